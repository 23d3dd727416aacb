"""Fixtures of the system tests."""

from tests.system.labs import docker_lab, process_lab

__all__ = ["docker_lab", "process_lab"]
