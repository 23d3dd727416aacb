"""Which driver a target gets: what the system file lacks is one sentence, and a broken package stops only who uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.drivers.catalogue import UnknownDriver, container_driver
from chaos.drivers.docker import DockerDriver
from chaos.system import Target
from tests.drivers.container_contract import OPT_IN

ENTRIES = """
[chaos.drivers]
broken = there_is_no_such_module:make
picky = picky_driver_of_a_test:make
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package is installed with a driver that cannot be imported, and one that wants to know `where`."""
    about = tmp_path / "broken_drivers-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-drivers\nVersion: 1\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "picky_driver_of_a_test.py").write_text("def make(settings, *_): return settings['where']")
    monkeypatch.syspath_prepend(tmp_path)


def refused(driver: dict[str, Any]) -> str:
    """The one sentence with which this driver is refused."""
    with pytest.raises(UnknownDriver) as caught:
        container_driver(Target(driver=driver), OPT_IN, Path())
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("use", ["docker", "process"])
def test_a_driver_without_labels_is_told_that_they_are_missing(use: str) -> None:
    assert "`labels`: is missing; it takes " in refused(
        {"use": use, "table": "t.json"} if use == "process" else {"use": use}
    )


def test_settings_of_the_wrong_kind_are_told_by_name_and_never_repeated() -> None:
    said = refused({"use": "docker", "labels": "SECRET"})
    assert "`labels`" in said
    assert "SECRET" not in said
    assert "`hots`: is no key of it" in refused({"use": "docker", "labels": {"app": "model"}, "hots": "SECRET"})


def test_a_driver_of_ours_may_be_asked_for_by_name() -> None:
    found = container_driver(Target(driver={"use": "docker", "labels": {"app": "model"}}), OPT_IN, Path())
    assert found is not None
    assert isinstance(found[1], DockerDriver)


@pytest.mark.usefixtures("added")
def test_a_broken_package_refuses_only_the_system_that_uses_it() -> None:
    for driver in ({"use": "docker", "labels": {"app": "model"}}, {"use": "picky", "where": "moon"}):
        assert container_driver(Target(driver=driver), OPT_IN, Path()) is not None
    assert "the driver 'broken' from there_is_no_such_module:make cannot be imported" in refused({"use": "broken"})


@pytest.mark.usefixtures("added")
def test_a_setting_that_another_packages_driver_misses_is_one_sentence() -> None:
    assert "`picky` misses 'where'" in refused({"use": "picky"})


@pytest.mark.usefixtures("added")
def test_a_misspelt_driver_is_named_though_another_package_is_broken() -> None:
    assert "did you mean `broken`?" in refused({"use": "brokn"})
