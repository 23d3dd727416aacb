"""The order of the tests: those that bring up a lab take minutes, so they begin first and the quick ones fill what is left."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests import containers
from tests.containers import inside

__all__ = ["inside"]

# GNU readline, which pytest imports, writes the terminal's width into the environment behind Python's back, and every command that a
# test runs would fold its lines to it. A test of folded lines says COLUMNS itself.
os.environ.pop("COLUMNS", None)
os.unsetenv("COLUMNS")

# How long one example takes says how busy the machine is, and nothing else.
settings.register_profile("quiet", deadline=None)
settings.load_profile("quiet")
# Where a test says nothing of its own: Hypothesis' 100 examples, and with `make fuzz` as many times more as for all others.
settings.register_profile("fuzz", max_examples=100 * int(os.environ.get("CHAOS_FUZZ", "1")), deadline=None)
if "CHAOS_FUZZ" in os.environ:
    settings.load_profile("fuzz")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Whatever needs a container engine finds the image that its containers are made of."""
    if item.get_closest_marker("docker") is not None:
        containers.image_is_there()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """System tests first; the order within each half stays."""
    items.sort(key=lambda item: item.get_closest_marker("system") is None)
