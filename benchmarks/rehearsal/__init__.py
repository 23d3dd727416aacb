"""Rehearsal held against what it claims: against live runs, against promtool's own unit tests of rules, and against the clock."""
