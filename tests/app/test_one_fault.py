"""A fault that is on for a block keeps the rules of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.armings import targets_by_name
from chaos.app.one_fault import armed, fault_of
from chaos.app.safeguard import Safeguard
from chaos.drivers.state import State
from chaos.errors import Refused
from chaos.system import System, parse_system
from chaos.undo_list import UndoList

FILE = """
name: shop
environment: staging
entry: http://127.0.0.1:1/score
targets:
  model: {proxies: ['http://127.0.0.1:1'], token: abcdefghijklmnop, protocol: oip}
telemetry: {prometheus: 'http://127.0.0.1:1'}
"""


def system(**edits: str) -> System:
    text = FILE
    for name, value in edits.items():
        text += f"{name}: {value}\n"
    return parse_system(text, "system.yaml", {})[0]


def delay() -> object:
    return fault_of("delay", "model", {"by": "300ms"})


def test_a_block_hurts_nothing_that_a_run_hurts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "state"))
    names = targets_by_name(system(), ["model"])
    run = Safeguard(State.of_user(), UndoList("drill", "drill", str(tmp_path), 10.0, 60.0, ()), (), names, alone=True)
    run.begin()
    try:
        with pytest.raises(Refused, match="is being hurt by drill"), armed(system(), tmp_path, delay()):  # type: ignore[arg-type]
            raise AssertionError("the block must not begin")
    finally:
        run.end(clean=True)
