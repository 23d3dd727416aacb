"""Ctrl-C and SIGTERM at any moment: everything is undone, the verdict says so, and the exit code is 130."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from queue import Queue

import pytest

from tests.system.checks import nothing_left
from tests.system.labs import EXPERIMENTS, Work

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

QUICK = (
    (EXPERIMENTS / "quickstart.yaml")
    .read_text()
    .replace("warmup: 30s", "warmup: 4s")
    .replace("baseline: 20s", "baseline: 6s")
)
KILL = (
    (EXPERIMENTS / "replica-killed.yaml")
    .read_text()
    .replace("warmup: 15s", "warmup: 4s")
    .replace("baseline: 20s", "baseline: 6s")
)


def interrupted(work: Work, text: str, at: str, number: signal.Signals, times: int = 1) -> tuple[int, Path, str]:
    """The run was told to stop when its live view first said `at`; (exit code, run folder, everything it said)."""
    before = set(work.runs())
    process = work.start("run", work.experiment(text), "--system", work.name)
    said: Queue[str | None] = Queue()
    assert process.stderr is not None
    stream = process.stderr

    def read() -> None:
        for line in stream:
            said.put(line)
        said.put(None)

    threading.Thread(target=read, daemon=True).start()
    heard, left = "", times
    while (line := said.get(timeout=60)) is not None:
        heard += line
        if at in line and left:
            for _ in range(left):
                os.kill(process.pid, number)
            left = 0
    assert left == 0, f"never said {at!r}: {heard}"
    code = process.wait(60)
    assert process.stdout is not None
    heard += process.stdout.read()
    process.stdout.close()
    stream.close()
    [folder] = set(work.runs()) - before
    return code, folder, heard


@pytest.mark.parametrize(
    ("text", "at", "number"),
    [
        (QUICK, "warming up", signal.SIGINT),
        (QUICK, "the fault is on", signal.SIGINT),
        (QUICK, "the fault is on", signal.SIGTERM),
        (KILL, "the fault is on", signal.SIGINT),
    ],
)
def test_a_signal_undoes_everything_and_exits_130(
    process_lab: Work, text: str, at: str, number: signal.Signals
) -> None:
    code, folder, heard = interrupted(process_lab, text, at, number)
    assert code == 130, heard
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["verdict"] == "interrupted"
    assert verdict["exit_code"] == 130
    assert next(one for one in verdict["findings"] if "undone" in one["question"])["verdict"] == "confirmed"
    assert number.name in json.dumps(verdict["findings"])
    assert "Traceback" not in heard
    nothing_left(process_lab)


def test_two_signals_skip_the_report_and_never_the_undo(process_lab: Work) -> None:
    code, folder, heard = interrupted(process_lab, QUICK, "the fault is on", signal.SIGINT, times=2)
    assert code == 130, heard
    assert json.loads((folder / "verdict.json").read_text())["verdict"] == "interrupted"
    nothing_left(process_lab)
