"""Fixtures of the system tests, and how they are dealt out to several labs."""

from __future__ import annotations

import pytest
from xdist.remote import Producer

from tests.system.labs import docker_lab, process_lab
from tests.system.shares import Labs

__all__ = ["docker_lab", "process_lab"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Labs:
    """Each worker has one share of them, whatever `--dist` says: it asks for this folder by name."""
    return Labs(config, log)
