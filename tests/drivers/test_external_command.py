"""The command of another tool: begun once, ended for certain. Real processes; what dies with its runner is in `tests/safety`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chaos.drivers.external import ExternalCommand
from chaos.errors import Unreachable
from tests.drivers.loopback import eventually

SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]


class Begun:
    """A command, and what the test knows of it."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.log = folder / "external.log"
        self.leashes: list[int] = []
        self.command = ExternalCommand(command or SLEEP, self.log, self.leashes.append)

    def process(self) -> psutil.Process:
        """The command's own process, once it runs."""
        [found] = psutil.Process(self.leashes[0]).children()
        return found


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Begun]:
    made = Begun(tmp_path)
    yield made
    made.command.end()


def test_it_begins_in_a_session_of_its_own_and_writes_to_its_log(begun: Begun) -> None:
    told = begun.command.begin()
    process = begun.process()
    assert told == f"began `{Path(sys.executable).name}` as process {process.pid}"
    assert os.getsid(process.pid) == process.pid
    eventually(lambda: begun.log.read_text() == "here\n", 10, "the log has what it wrote")


def test_it_has_ended_when_end_returns_however_often_that_is_asked(begun: Begun) -> None:
    begun.command.begin()
    process = begun.process()
    assert begun.command.end() == "its command was ended"
    assert gone(process)
    assert begun.command.end() == "its command was ended"


DAEMON = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
"""
"""Begins a process in a session of its own, and says which."""


@pytest.mark.parametrize("stays", ["import time; time.sleep(60)", ""])
@pytest.mark.skipif(sys.platform != "linux", reason="orphans come to the leash on Linux alone")
def test_what_left_the_commands_session_ends_with_it_whether_or_not_its_parent_lives(
    tmp_path: Path, stays: str
) -> None:
    begun = Begun(tmp_path, sys.executable, "-c", DAEMON + stays)
    begun.command.begin()
    try:
        daemon = psutil.Process(int(eventually(begun.log.read_text, 10, "the daemon is told")))
        assert os.getsid(daemon.pid) == daemon.pid
        if not stays:
            eventually(lambda: daemon.ppid() == begun.leashes[0], 10, "the leash has adopted it")
    finally:
        begun.command.end()
    assert gone(daemon)


@pytest.mark.skipif(sys.platform != "linux", reason="orphans come to the leash on Linux alone")
def test_orphans_that_have_died_leave_no_zombie_while_the_command_runs(tmp_path: Path) -> None:
    orphan = "import os, time\nif os.fork() == 0:\n    if os.fork() == 0:\n        time.sleep(0.2)\n        print('late', flush=True)\n    os._exit(0)\nos.wait()\ntime.sleep(60)"
    begun = Begun(tmp_path, sys.executable, "-c", orphan)
    begun.command.begin()
    try:
        leash = psutil.Process(begun.leashes[0])
        eventually(begun.log.read_text, 10, "the orphan has spoken")
        eventually(lambda: len(leash.children()) == 1, 10, "the command alone is left")
        assert not gone(begun.process())
    finally:
        begun.command.end()


def test_a_command_that_ended_by_itself_says_with_what(tmp_path: Path) -> None:
    begun = Begun(tmp_path, sys.executable, "-c", "raise SystemExit(7)")
    begun.command.begin()
    process = begun.process()
    eventually(lambda: gone(process), 10, "it ends")
    eventually(lambda: "7" in begun.command.end(), 1, "its code is told")
    assert begun.command.end() == "its command had ended by itself with 7"


def test_an_end_that_comes_first_keeps_it_from_beginning(begun: Begun) -> None:
    assert begun.command.end() == "its command never began"
    with pytest.raises(Unreachable, match="the fault was over before"):
        begun.command.begin()
    assert not begun.leashes


def test_an_end_in_the_middle_of_its_beginning_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(5):
        begun = Begun(tmp_path)
        beginning = threading.Thread(target=_begin, args=(begun.command,))
        beginning.start()
        begun.command.end()
        beginning.join(20)
        begun.command.end()
        assert not [pid for pid in begun.leashes if psutil.pid_exists(pid)]


def _begin(command: ExternalCommand) -> None:
    try:
        command.begin()
    except Unreachable:
        return


def test_a_command_whose_leash_was_killed_is_ended_all_the_same(begun: Begun) -> None:
    begun.command.begin()
    process = begun.process()
    os.kill(begun.leashes[0], signal.SIGKILL)
    assert begun.command.end() == "its command was ended"
    eventually(lambda: gone(process), 5, "it is gone")


def test_a_program_that_is_not_there_is_said_without_its_arguments(tmp_path: Path) -> None:
    begun = Begun(tmp_path, "/no/such/tool", "--token=secret")
    with pytest.raises(Unreachable, match="`tool` could not be begun: No such file") as failed:
        begun.command.begin()
    assert "secret" not in str(failed.value)
