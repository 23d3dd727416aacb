"""What other packages add: a fault, a protocol and a container driver through entry points, seen by the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = '''
from typing import ClassVar, Literal

from chaos.drivers.base import Container
from chaos.faults.base import Example, Fault
from chaos.protocols.oip import PROTOCOL as OIP


class Lazy(Fault):
    """lazy"""
    acts_on = "request"
    family = "mood"
    must = "somebody"
    quiet = "nobody"
    examples: ClassVar = (Example("{fault: lazy, target: m, duration: 1s}", does="nothing"),)
    fault: Literal["lazy"] = "lazy"

    def explain(self):
        return "nothing is done"


class Mine(type(OIP)):
    """mine"""
    name = "mine"


PROTOCOL = Mine()


class Driver:
    def __init__(self, where):
        self.where = where

    def find(self):
        return [Container(self.where, "id-1", {}, "running")]


def make(settings, opt_in, beside):
    return Driver(settings["where"])
'''
ENTRIES = """
[chaos.faults]
lazy = added_faults:Lazy
[chaos.protocols]
mine = added_faults:PROTOCOL
[chaos.drivers]
elsewhere = added_faults:make
"""


@pytest.fixture
def added(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which such a package is installed."""
    (tmp_path / "added_faults.py").write_text('"""Added."""\n' + PLUGIN)
    about = tmp_path / "added_faults-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: added-faults\nVersion: 1\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def said(environment: dict[str, str], *arguments: str) -> str:
    found = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_an_added_fault_and_protocol_stand_in_the_catalogues(added: dict[str, str]) -> None:
    assert "mood" in said(added, "-m", "chaos", "faults")
    assert "somebody" in said(added, "-m", "chaos", "faults", "lazy")
    assert "mine" in said(added, "-m", "chaos", "protocols")


def test_an_added_driver_is_made_from_what_the_system_file_says(added: dict[str, str]) -> None:
    code = (
        "from pathlib import Path; from chaos.drivers.catalogue import container_driver; from chaos.system import Target;"
        "target = Target(driver={'use': 'elsewhere', 'where': 'moon'});"
        "name, driver = container_driver(target, ('chaos.enabled', 'true'), Path('.')); print(name, driver.find()[0].name)"
    )
    assert said(added, "-c", code) == "elsewhere moon\n"


def test_a_driver_that_nobody_offers_is_named_with_those_that_are() -> None:
    from chaos.drivers.catalogue import UnknownDriver, container_driver
    from chaos.system import Target

    with pytest.raises(UnknownDriver, match=r"there is no driver `dokcer`; did you mean `docker`\?"):
        container_driver(Target(driver={"use": "dokcer"}), ("chaos.enabled", "true"), Path())


def test_a_package_that_cannot_be_imported_stops_the_program_and_is_named(
    added: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "added_faults.py").write_text("import nothing_of_this_name")
    found = subprocess.run(
        [sys.executable, "-m", "chaos", "faults"], env=added, capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 3
    assert "the fault 'lazy' from added_faults:Lazy cannot be imported" in found.stderr
    assert "Traceback" not in found.stderr
