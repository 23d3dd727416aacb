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
from tests.system.labs import Work, at_once, hurried

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

QUICK = hurried("quickstart")
KILL = hurried("replica-killed")


def interrupted(work: Work, text: str, *signals: tuple[str, signal.Signals]) -> tuple[int, Path, str]:
    """Each signal was sent when the live view first said its words, in this order; (exit code, run folder, all it said)."""
    work.quiet()
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
    heard, to_send = "", list(signals)
    try:
        while (line := said.get(timeout=60)) is not None:
            heard += line
            if to_send and to_send[0][0] in line:
                os.kill(process.pid, to_send.pop(0)[1])
        code = process.wait(60)
        assert process.stdout is not None
        heard += process.stdout.read()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdout, stream):
            if pipe is not None:
                pipe.close()
    assert not to_send, f"never said {to_send[0][0]!r}: {heard}"
    [folder] = set(work.runs()) - before
    return code, folder, heard


@pytest.mark.parametrize(
    ("text", "at", "number"),
    [
        (QUICK, "warming up", signal.SIGINT),
        (QUICK, "the fault is on", signal.SIGINT),
        (QUICK, "the fault is on", signal.SIGTERM),
        (KILL, "the fault is on", signal.SIGINT),
        (KILL, "the fault is on", signal.SIGHUP),
    ],
)
def test_a_signal_undoes_everything_and_exits_130(
    process_lab: Work, text: str, at: str, number: signal.Signals
) -> None:
    code, folder, heard = interrupted(process_lab, text, (at, number))
    assert code == 130, heard
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["verdict"] == "interrupted"
    assert verdict["exit_code"] == 130
    assert next(one for one in verdict["findings"] if "undone" in one["question"])["verdict"] == "confirmed"
    assert number.name in json.dumps(verdict["findings"])
    assert "Traceback" not in heard
    nothing_left(process_lab)


def test_a_second_signal_skips_the_report_and_never_the_undo(process_lab: Work) -> None:
    twice = (("the fault is on", signal.SIGINT), ("undoing", signal.SIGINT))
    code, folder, heard = interrupted(process_lab, QUICK, *twice)
    assert code == 130, heard
    assert json.loads((folder / "verdict.json").read_text())["verdict"] == "interrupted"
    assert not (folder / "report.html").exists()
    nothing_left(process_lab)


def test_a_live_view_that_nobody_reads_any_more_costs_the_run_nothing(process_lab: Work) -> None:
    """`chaos run … 2>&1 | head -1`: the pipe closes while the replica is dead."""
    process_lab.quiet()
    before = set(process_lab.runs())
    process = process_lab.start("run", process_lab.experiment(at_once(KILL)), "--system", process_lab.name, "--json")
    assert process.stderr is not None
    assert process.stdout is not None
    process.stderr.readline()
    process.stderr.close()
    out = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 0
    assert json.loads(out)["verdict"] == "confirmed"
    [folder] = set(process_lab.runs()) - before
    assert (folder / "report.html").exists()
    nothing_left(process_lab)
