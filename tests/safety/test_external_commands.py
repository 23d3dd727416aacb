"""What a run promises of another tool that it begins: the command ends with it, and only the query says that the effect is gone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.drivers.loopback import eventually
from tests.safety.stand import LEASE_S, Stand, nothing_left

pytestmark = [pytest.mark.timeout(120)]


def experiment(stand: Stand, duration: str) -> Path:
    """The experiment whose only fault is another tool's."""
    path = stand.experiment("external")
    text = path.read_text().replace("1500ms", duration).replace("recovery: 2s", "recovery: 4s")
    path.write_text(text)
    return path


def findings(verdict: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Question → its verdict and its answer."""
    return {one["question"]: (one["verdict"], one["answer"]) for one in verdict["findings"]}


@contextlib.contextmanager
def outside(stand: Stand, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run whose other tool has begun, and would go on for long."""
    process = stand.start(experiment(stand, "18s"), "--command", *stand.outsider(*arguments))
    try:
        eventually(lambda: bool(stand.outsiders()), 20, "the command runs")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def test_a_run_begins_the_command_sees_its_effect_ends_it_and_proves_the_removal(stand: Stand) -> None:
    answered = stand.chaos("run", "--json", str(experiment(stand, "8s")), "--", *stand.outsider())
    assert answered.returncode == 0, answered.stdout + answered.stderr
    verdict = json.loads(answered.stdout)
    found = findings(verdict)
    happened, answer = found["Did external happen at model?"]
    assert happened == "confirmed"
    assert "its query showed it for" in answer
    assert "its command was ended" in answer
    assert found["Is the removal of external at model proven?"][0] == "confirmed"
    [done] = verdict["effects"]
    assert done["first_effect_wall_s"] < done["removed_wall_s"]
    [folder] = [path for path in (stand.folder / "runs").iterdir() if verdict["run"].endswith(path.name[-8:])]
    assert (folder / "external.log").read_text() == "the outsider is here\n"
    assert "leases do not apply" in (folder / "report.html").read_text()
    # What stands on the command line may be secret.
    assert str(stand.outside) not in (folder / "journal.jsonl").read_text()
    assert not stand.outsiders()
    nothing_left(stand, 1.0)


def test_an_effect_that_nobody_saw_proves_nothing(stand: Stand) -> None:
    answered = stand.chaos("run", "--json", str(experiment(stand, "2s")), "--", "true")
    assert answered.returncode == 3
    happened, answer = findings(json.loads(answered.stdout))["Did external happen at model?"]
    assert happened == "invalid"
    assert "its query never showed it" in answer
    assert "ended by itself with 0" in answer
    nothing_left(stand, 1.0)


def test_a_command_that_is_not_there_is_said_and_nothing_is_proven(stand: Stand) -> None:
    answered = stand.chaos("run", "--json", str(experiment(stand, "2s")), "--", "no-such-tool")
    assert answered.returncode == 3
    happened, answer = findings(json.loads(answered.stdout))["Did external happen at model?"]
    assert (happened, "`no-such-tool` could not be begun: No such file" in answer) == ("invalid", True)
    nothing_left(stand, 1.0)


def test_what_somebody_begins_by_hand_is_waited_for_and_seen(stand: Stand) -> None:
    process = stand.start(experiment(stand, "8s"))
    eventually(lambda: bool(stand.state.runs() and process.stdout), 20, "the run begins")
    for line in process.stdout or ():
        if "inject" in line:
            break
    by_hand = subprocess.Popen(stand.outsider(), stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: _up(stand) == 1, 10, "Prometheus sees it")
    finally:
        by_hand.kill()
        by_hand.wait()
    said, _ = process.communicate(timeout=40)
    found = findings(json.loads(said[said.index("{\n") :]))
    assert found["Did external happen at model?"][0] == "confirmed", said
    assert found["Is the removal of external at model proven?"][0] == "confirmed"
    nothing_left(stand, 1.0)


def _up(stand: Stand) -> float:
    from chaos.drivers.prometheus import PrometheusDriver

    address = (stand.folder / "system.yaml").read_text().split("prometheus: '")[1].split("'")[0]
    series = PrometheusDriver(address).query('up{job="outsider"}')
    return series[0].samples[-1][1] if series else 0.0


def test_a_run_that_is_killed_leaves_no_command(stand: Stand) -> None:
    with outside(stand) as process:
        process.kill()
        process.wait()
        eventually(lambda: not stand.outsiders(), 5, "the command is gone")
    nothing_left(stand, LEASE_S + 4.0)


def test_a_run_that_is_killed_leaves_no_stubborn_command_and_none_of_its_children(stand: Stand) -> None:
    with outside(stand, "--stubborn", "--child") as process:
        process.kill()
        process.wait()
        eventually(lambda: not stand.outsiders(), 9, "the command's child is killed")
    nothing_left(stand, LEASE_S + 4.0)


def test_a_run_that_hangs_has_its_command_ended_by_its_warden(stand: Stand) -> None:
    with outside(stand) as process:
        process.send_signal(signal.SIGSTOP)
        eventually(lambda: not stand.outsiders(), LEASE_S + 6.0, "the warden ends the command")
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=40)
    nothing_left(stand, 2.0)


def test_a_command_ends_with_a_run_that_is_killed_together_with_its_warden(stand: Stand) -> None:
    with outside(stand) as process:
        [run] = stand.state.runs()
        psutil.Process(int((run.path / "warded").read_text())).kill()
        process.kill()
        process.wait()
        eventually(lambda: not stand.outsiders(), 5, "the command is gone")
    assert stand.chaos("recover").returncode == 0
    nothing_left(stand, 1.0)


def test_stopping_a_run_ends_its_command(stand: Stand) -> None:
    with outside(stand) as process:
        os.kill(process.pid, signal.SIGINT)
        eventually(lambda: not stand.outsiders(), 3, "the command is ended")
        said, _ = process.communicate(timeout=40)
    assert json.loads(said[said.index("{\n") :])["verdict"] == "interrupted"
    nothing_left(stand, 1.0)


def test_a_stop_says_that_everything_is_undone_when_the_effect_of_another_tool_was_seen_off(stand: Stand) -> None:
    with outside(stand) as process:
        eventually(lambda: _up(stand) == 1, 10, "Prometheus sees it")
        answered = stand.chaos("stop")
        assert _up(stand) == 0
        process.communicate(timeout=40)
    assert answered.returncode == 0, answered.stderr
    assert "everything is undone" in answered.stderr
    nothing_left(stand, 1.0)


def test_of_a_run_that_is_killed_its_warden_says_that_nobody_saw_the_effect_off(stand: Stand) -> None:
    with outside(stand) as process:
        [run] = stand.state.runs()
        log = run.log()
        [effect] = log.still_on()
        process.kill()
        process.wait()
        nothing_left(stand, LEASE_S + 4.0)
        assert (log.still_on(), log.left_on()) == ([], [effect])
        log.close()


def test_a_command_for_no_external_fault_is_refused_and_never_begins(stand: Stand) -> None:
    answered = stand.chaos("run", str(stand.experiment("pause")), "--", *stand.outsider())
    assert answered.returncode == 3
    assert "has no `fault: external` for the command after `--`" in answered.stderr
    assert not stand.outsiders()
    nothing_left(stand, 1.0)
