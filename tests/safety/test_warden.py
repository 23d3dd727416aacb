"""What the warden, the off-switch and `chaos recover` promise, each against real processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from chaos.app.warden import STOP_GRACE_S
from chaos.drivers.state import RunState
from tests.drivers.loopback import eventually
from tests.safety.stand import LEASE_S, Stand, nothing_left

pytestmark = [pytest.mark.timeout(120)]

LONG = "1500ms", "18s"


@contextlib.contextmanager
def hurting(stand: Stand, *kind: str) -> Iterator[tuple[subprocess.Popen[str], RunState]]:
    """A run whose faults are all on, and would stay on for long."""
    experiment = stand.experiment(*kind)
    experiment.write_text(experiment.read_text().replace(*LONG))
    process = stand.start(experiment)
    try:
        eventually(
            lambda: len(stand.hurt()) + len(stand.armed()) == len(kind), 20, f"everything is hurt ({stand.left()})"
        )
        [run] = stand.state.runs()
        yield process, run
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def warden_of(run: RunState) -> psutil.Process:
    """The process that looks after the run."""
    return psutil.Process(int((run.path / "warded").read_text()))


def verdict_of(process: subprocess.Popen[str], within_s: float = 30) -> dict[str, object]:
    """What the run found when it ended by itself."""
    said, _ = process.communicate(timeout=within_s)
    found: dict[str, object] = json.loads(said[said.index("{\n") :])
    return found


def test_a_run_whose_warden_is_killed_undoes_everything_and_proves_nothing(stand: Stand) -> None:
    with hurting(stand, "proxy", "kill", "pause") as (process, run):
        warden_of(run).kill()
        verdict = verdict_of(process)
    assert verdict["verdict"] == "invalid"
    assert "warden" in json.dumps(verdict["findings"])
    nothing_left(stand, 1.0)


def test_a_run_that_hangs_is_undone_by_its_warden_and_ends_when_it_wakes(stand: Stand) -> None:
    with hurting(stand, "proxy", "kill", "pause") as (process, _run):
        process.send_signal(signal.SIGSTOP)
        eventually(lambda: not stand.hurt() and not stand.armed(), LEASE_S + 4.0, "the warden undoes it")
        process.send_signal(signal.SIGCONT)
        assert verdict_of(process)["verdict"] == "invalid"
    nothing_left(stand, 1.0)


def test_a_warden_that_is_asked_to_end_undoes_everything_first(stand: Stand) -> None:
    with hurting(stand, "kill", "pause") as (process, run):
        warden_of(run).terminate()
        eventually(lambda: not stand.hurt(), 4.0, "everything is undone")
        verdict_of(process)
    nothing_left(stand, 1.0)


def test_when_both_die_recover_undoes_what_they_left(stand: Stand) -> None:
    with hurting(stand, "kill", "pause") as (process, run):
        warden_of(run).kill()
        process.kill()
        process.wait()
    assert stand.hurt()
    answered = stand.chaos("recover")
    assert answered.returncode == 0, answered.stderr
    assert "nothing is left" in answered.stderr
    nothing_left(stand, 0.5)


def test_recover_lets_a_run_alone_that_goes_on(stand: Stand) -> None:
    with hurting(stand, "pause") as (process, run):
        answered = stand.chaos("recover")
        assert answered.returncode == 0
        assert f"{run.name}: goes on" in answered.stderr
        assert stand.hurt()
        assert stand.chaos("stop").returncode == 0
        verdict_of(process)
    nothing_left(stand, 1.0)


def test_stop_ends_the_only_run_and_says_when_everything_was_undone(stand: Stand) -> None:
    with hurting(stand, "proxy", "kill", "pause") as (process, run):
        answered = stand.chaos("stop")
        assert answered.returncode == 0, answered.stderr
        assert f"{run.name}: everything is undone" in answered.stderr
        assert not stand.hurt()
        assert not stand.armed()
        verdict = verdict_of(process)
    assert (verdict["verdict"], verdict["exit_code"]) == ("interrupted", 130)
    assert "chaos stop" in json.dumps(verdict["findings"])
    nothing_left(stand, 1.0)


def test_stop_does_not_need_the_run_that_it_stops(stand: Stand) -> None:
    with hurting(stand, "proxy", "kill", "pause") as (process, _run):
        process.send_signal(signal.SIGSTOP)
        begun_s = time.perf_counter()
        answered = stand.chaos("stop")
        assert answered.returncode == 0, answered.stderr
        assert not stand.hurt()
        assert time.perf_counter() - begun_s < LEASE_S + 8.0
        eventually(lambda: not stand.armed(), LEASE_S + 2.0, "the proxy lets go")
    eventually(lambda: stand.chaos("recover").returncode == 0 and not stand.left(), 10, "nothing is left")


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_warden_gives_the_run_its_time_to_answer_a_stop_and_no_more_whatever_the_wall_clock_says(
    stand: Stand, jump_s: float
) -> None:
    with hurting(stand, "pause") as (process, run):
        process.send_signal(signal.SIGSTOP)
        asked_s = time.monotonic()
        run.ask_to_stop("somebody")
        said_s = time.time() + jump_s
        os.utime(run.path / "stop", (said_s, said_s))
        eventually(lambda: not stand.hurt(), LEASE_S + 4.0, "the warden undoes it")
        assert time.monotonic() - asked_s >= STOP_GRACE_S, "a stop that seems an hour old was acted on at once"
        assert "did not answer" in stand.logs(), "a stop that seems to come from tomorrow was not acted on"
        process.send_signal(signal.SIGCONT)
        verdict_of(process)
    nothing_left(stand, 4.0)


def test_stop_all_ends_every_run_and_lets_none_begin_until_resume(stand: Stand) -> None:
    with hurting(stand, "kill") as (process, _run):
        answered = stand.chaos("stop", "--all")
        assert answered.returncode == 0, answered.stderr
        verdict_of(process)
    refused = stand.chaos("run", str(stand.experiment("pause")))
    assert refused.returncode == 3
    assert "chaos resume" in refused.stderr
    assert not stand.hurt()
    assert stand.chaos("resume").returncode == 0
    assert stand.chaos("run", str(stand.experiment("pause"))).returncode == 0
    nothing_left(stand, 1.0)


def test_stop_without_a_run_says_so(stand: Stand) -> None:
    answered = stand.chaos("stop")
    assert answered.returncode == 3
    assert "no run goes on" in answered.stderr


def test_a_container_that_one_run_may_hurt_is_refused_to_another_one(stand: Stand) -> None:
    with hurting(stand, "kill", "pause") as (process, run):
        answered = stand.chaos("run", str(stand.experiment("pause")))
        assert answered.returncode == 3
        assert f"chaos stop {run.name}" in answered.stderr
        stand.chaos("stop")
        verdict_of(process)
    nothing_left(stand, 1.0)


def test_no_secret_stands_on_a_command_line_or_in_the_state(stand: Stand) -> None:
    from tests.safety.stand import TOKEN

    with hurting(stand, "proxy", "pause") as (process, run):
        lines = [" ".join(one.cmdline()) for one in psutil.Process(process.pid).children(recursive=True)]
        lines.append(" ".join(warden_of(run).cmdline()))
        kept = [path.read_text(errors="replace") for path in run.path.iterdir()]
        assert not [text for text in [*lines, *kept] if TOKEN in text]
        assert oct(run.path.stat().st_mode)[-3:] == "700"
        os.kill(process.pid, signal.SIGINT)
        verdict_of(process)
    nothing_left(stand, 1.0)
