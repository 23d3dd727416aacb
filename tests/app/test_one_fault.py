"""A fault that is on for a block keeps the rules of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.app.armings import targets_by_name
from chaos.app.one_fault import Reach, armed, fault_of
from chaos.app.safeguard import Safeguard
from chaos.drivers.state import State
from chaos.errors import ChaosError, Refused
from chaos.faults.base import Fault
from chaos.system import System, parse_system
from chaos.undo_list import UndoList
from tests.drivers.loopback import Said, eventually, serving
from tests.proxy.loopback import TOKEN, running_proxy, unused_port

FILE = """
name: shop
environment: staging
entry: http://127.0.0.1:1/score
targets:
  model: {proxies: ['http://127.0.0.1:1'], token: abcdefghijklmnop, protocol: oip}
telemetry: {prometheus: 'http://127.0.0.1:1'}
"""


def system(**edits: str) -> System:
    more = "".join(f"{name}: {value}\n" for name, value in edits.items())
    return parse_system(FILE + more, "system.yaml", {})[0]


def delay() -> Fault:
    return fault_of("delay", "model", {"by": "300ms"})


def test_a_block_hurts_nothing_that_a_run_hurts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)  # where a warden writes its log
    names = targets_by_name(system(), ["model"])
    run = Safeguard(State.of_user(), UndoList("drill", "drill", str(tmp_path), 10.0, 60.0, ()), (), names, alone=True)
    run.begin()
    try:
        with pytest.raises(Refused, match="is being hurt by drill"), armed(system(), tmp_path, delay()):
            raise AssertionError("the block must not begin")
    finally:
        run.end(clean=True)


@pytest.mark.parametrize(("subjects", "told"), [("users", ["before", "after"]), ("synthetic", [])])
def test_people_hear_before_and_after_of_a_block_that_hurts_real_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subjects: str, told: list[str]
) -> None:
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)  # where a warden writes its log
    with serving(lambda _: Said()) as here:
        shop = system(announce=f"{{webhook: '{here.url}/a'}}")
        with pytest.raises(ChaosError), armed(shop, tmp_path, delay(), Reach(subjects=subjects)):
            raise AssertionError("no proxy is there")
        assert [json.loads(asked.body)["when"] for asked in here.asked] == told


def test_a_block_of_which_nobody_could_be_told_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)  # where a warden writes its log
    shop = system(announce="{webhook: 'http://127.0.0.1:1/a'}")
    with (
        pytest.raises(Refused, match="nobody could be told of delay at model"),
        armed(shop, tmp_path, delay(), Reach(subjects="users")),
    ):
        raise AssertionError("the block must not begin")
    assert list(State.of_user().runs()) == []


def test_a_block_is_told_of_is_on_ends_when_it_is_stopped_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)  # where a warden writes its log
    with serving(lambda _: Said()) as here, running_proxy(tmp_path, model=unused_port()) as proxy:
        text = FILE.replace("'http://127.0.0.1:1'], token: abcdefghijklmnop", f"'{proxy.control}'], token: {TOKEN}")
        shop, _ = parse_system(f"{text}announce: {{webhook: '{here.url}/a'}}\n", "system.yaml", {})
        with armed(shop, tmp_path, delay(), Reach(subjects="users")) as made:
            assert made.ended_by is None
            assert made.read().faults[0].effects == 0
            State.of_user().run(made.run).ask_to_stop("ada")
            eventually(lambda: made.ended_by == "ada", 10.0, "the block hears that it is to end")
        assert [json.loads(asked.body)["when"] for asked in here.asked] == ["before", "after"]
    assert list(State.of_user().runs()) == []
