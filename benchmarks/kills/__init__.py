"""Kills: who was killed with SIGKILL, at which step of a run and with which effect on, and whether anything was left."""
