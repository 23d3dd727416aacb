"""What bad input gets: one clear sentence for each problem, the right exit code, and nothing left behind."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system.checks import nothing_left
from tests.system.labs import EXPERIMENTS, Answered, Work

pytestmark = [pytest.mark.system]

GOOD = (EXPERIMENTS / "quickstart.yaml").read_text()
KILL = (EXPERIMENTS / "replica-killed.yaml").read_text()
CLOSED = "http://127.0.0.1:9"
"""Nobody listens there (the discard port)."""


@dataclass(frozen=True)
class Bad:
    """One way to be wrong: what to replace in the experiment and in the lab's system file, and what must be said."""

    says: str
    code: int
    experiment: str = GOOD
    swap: tuple[str, str] = ("", "")
    system: tuple[str, str] | None = None


CASES = {
    "unknown key": Bad(
        r"experiment\.yaml:\d+:\d+: .*durration: unknown key; did you mean `duration`\?",
        2,
        swap=("duration: 90s", "durration: 90s"),
    ),
    "missing unit": Bad(
        r"experiment\.yaml:\d+:\d+: .*90 has no unit; write 90s", 2, swap=("duration: 90s", "duration: 90")
    ),
    "unresolved variable": Bad(
        r"experiment\.yaml:\d+:\d+: .*\$\{RATE\} has no value; .*--var RATE=", 2, swap=("rate: 40/s", "rate: ${RATE}")
    ),
    "Prometheus unreachable": Bad(
        rf"Prometheus.* at {CLOSED}.*cannot be reached", 3, system=(r"prometheus: http://\S+", f"prometheus: {CLOSED}")
    ),
    "zero targets": Bad(
        r"kill: the target `loan-model` has no running container",
        3,
        experiment=KILL,
        system=("app: loan-model}}", "app: nothing}}"),
    ),
    "proxy down": Bad(rf"fault proxy.* at {CLOSED}", 3, system=(r"proxies: \['[^']+'\]", f"proxies: ['{CLOSED}']")),
    "alert not loaded": Bad(
        r"ModelAccuracyLoww.* not loaded.*did you mean `ModelAccuracyLow`",
        3,
        swap=("alert: ModelAccuracyLow", "alert: ModelAccuracyLoww"),
    ),
    "wrong token": Bad(r"fault proxy.*token", 3, system=(r"token: \S+", "token: 0123456789abcdef0123")),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_before_anything_is_touched(process_lab: Work, name: str) -> None:
    case = CASES[name]
    experiment = case.experiment.replace(*case.swap) if case.swap[0] else case.experiment
    assert not case.swap[0] or experiment != case.experiment, "the experiment has changed; mend this test"
    more = ["--system", process_lab.name]
    if case.system is not None:
        lab = process_lab.folder / ".chaos" / "labs" / process_lab.name
        changed, count = re.subn(*case.system, process_lab.system(), count=1)  # of the first target, the loan model
        assert count == 1, "the system file has changed; mend this test"
        (lab / "bad-system.yaml").write_text(changed)
        more = ["--system", str(lab / "bad-system.yaml")]
    before = process_lab.runs()
    answered = process_lab.chaos("run", process_lab.experiment(experiment), *more)
    assert re.search(case.says, " ".join(answered.err.split())), answered.err
    assert answered.code == case.code, answered
    clear(answered)
    assert process_lab.runs() == before, "a run folder was made"
    nothing_left(process_lab)


def clear(answered: Answered) -> None:
    """No traceback, nothing on stdout."""
    assert "Traceback" not in answered.err
    assert answered.out == ""


@pytest.mark.parametrize("command", ["proxy", "sink"])
def test_a_taken_port_is_named_and_nothing_starts(process_lab: Work, tmp_path: Path, command: str) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = {
            "proxy": ["--control", address, "--token-file", str(token), "--route", "a=127.0.0.1:0>127.0.0.1:9"],
            "sink": ["--listen", address, "--log", str(tmp_path / "log")],
        }[command]
        answered = process_lab.chaos(command, *arguments)
    assert answered.code == 1
    assert address.rpartition(":")[2] in answered.err
    assert "is the port taken?" in " ".join(answered.err.split())
    clear(answered)


def test_two_labs_run_side_by_side_and_the_second_leaves_nothing(process_lab: Work) -> None:
    up = process_lab.chaos("lab", "up", "--name", "second")
    assert up.code == 0, up.err
    assert process_lab.chaos("lab", "status", "--name", "second").code == 0
    assert process_lab.chaos("plan", str(EXPERIMENTS / "quickstart.yaml"), "--system", "second").code == 0
    assert process_lab.chaos("lab", "down", "--name", "second").code == 0
    assert process_lab.chaos("lab", "status", "--name", "second").code == 3
    assert not (process_lab.folder / ".chaos" / "labs" / "second").exists()
    assert process_lab.status().up, "the first lab was hurt"


def test_a_plan_touches_nothing_and_names_targets_arms_and_bounds(process_lab: Work) -> None:
    before = process_lab.runs()
    answered = process_lab.chaos("plan", str(EXPERIMENTS / "quickstart.yaml"))
    assert answered.code == 0, answered.err
    for word in ("loan-model", "10%", "ModelAccuracyLow", "oncall", "no sooner than"):
        assert word in answered.out, word
    assert process_lab.runs() == before
    nothing_left(process_lab)
