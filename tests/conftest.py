"""The order of the tests: what takes long begins first, and the quick ones fill what is left."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import containers
from tests.containers import inside
from tests.fuzzing import examples

__all__ = ["inside"]

# GNU readline, which pytest imports, writes the terminal's width into the environment behind Python's back, and every command that a
# test runs would fold its lines to it. A test of folded lines says COLUMNS itself.
os.environ.pop("COLUMNS", None)
os.unsetenv("COLUMNS")

LABS = Path(__file__).parent / "system"
LONG = (
    "test_compiled.py",
    "safety/test_warden.py",
    "safety/test_late_acts.py",
    "detection/test_traps.py",
    "drivers/test_docker_verbs.py",
    "safety/test_external_commands.py",
    "drivers/test_docker_driver.py",
    "drivers/test_rule_commands.py",
    "security/test_files_from_others.py",
    "load/test_load_driver.py",
    "faults/test_fault_contract.py",
    "safety/test_other_kills.py",
    "safety/test_docker_kills.py",
    "detection/test_ground_truth.py",
    "drivers/test_rule_facts.py",
    "lab/test_rules.py",
    "gameday/test_commands.py",
    "gameday/test_serving.py",
    "test_soak.py",
)
"""Files that take half a minute and more: they begin first, so that no worker is left with one of them at the end."""

# How long one example takes says how busy the machine is, and nothing else. So many where a test says nothing of its own.
settings.register_profile("quiet", max_examples=examples(34), deadline=None)
settings.load_profile("quiet")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Whatever needs a container engine finds the image that its containers are made of."""
    if item.get_closest_marker("docker") is not None:
        containers.image_is_there()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """System tests first, then the long files; else the order stays. `make test` looks for system tests in one folder only."""
    elsewhere = [item.nodeid for item in items if _system(item) and LABS not in item.path.parents]
    if elsewhere:
        raise pytest.UsageError(f"a system test belongs into tests/system: {elsewhere[0]}")
    place = {LABS.parent / file: place for place, file in enumerate(LONG)}
    items.sort(key=lambda item: (not _system(item), place.get(item.path, len(LONG))))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What eleven thousand tests are kept in is there to the end: no garbage collection looks through it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _system(item: pytest.Item) -> bool:
    return item.get_closest_marker("system") is not None
