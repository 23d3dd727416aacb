"""A command that ends with whoever began it: a small process between the two, which outlives a runner that is killed.

    runner ── stdin: what to start; its end is the end ──▶ leash ──▶ command, in a session of its own
           ◀── stdout: a line when it began, one when it ended ──

The kernel closes the pipe when the runner dies, however it dies. Then, and on SIGTERM, the command, everything in its process group and
everything that descends from it get SIGTERM, and SIGKILL when they are not gone after some seconds. On Linux orphans come to the leash, so
that what goes into a session of its own, or becomes a daemon, is found all the same. The command writes to the leash's stderr.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

import psutil

LOOK_S = 0.1
KILLED_S = 1.0
"""How long it may take until nothing is left that was killed; what forks meanwhile is killed, too."""
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""


def adopt_orphans() -> None:
    """A descendant whose parent ends becomes a child of this process, and not of the system's first one. Linux alone can do that."""
    if sys.platform == "linux":
        with contextlib.suppress(
            OSError, AttributeError
        ):  # a C library without prctl: then groups are all that is known
            ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def members(group: int, root: int) -> list[psutil.Process]:
    """The processes of this group, and the descendants of the process `root`, that live. The dead whom nobody has waited for are none.

    A tool that begins a session of its own leaves the group, and stays a descendant.
    """
    found: dict[int, psutil.Process] = {}
    with contextlib.suppress(psutil.Error):
        found = {process.pid: process for process in psutil.Process(root).children(recursive=True)}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group:
                found.setdefault(process.pid, process)
    return [process for process in found.values() if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def end(group: int, grace_s: float, root: int) -> bool:
    """The group and the descendants of `root` are gone. Whether SIGTERM was enough.

    Who is born while they end is asked as well, once.
    """
    asked: set[tuple[int, float]] = set()
    until_s = time.monotonic() + grace_s
    while left := members(group, root):
        if time.monotonic() > until_s:
            _kill(group, root)
            return False
        for process in left:
            with contextlib.suppress(psutil.Error):
                born = process.pid, process.create_time()
                if born not in asked:
                    asked.add(born)
                    process.terminate()
        time.sleep(LOOK_S / 2)
    return True


def _kill(group: int, root: int) -> None:
    until_s = time.monotonic() + KILLED_S
    while (left := members(group, root)) and time.monotonic() < until_s:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(LOOK_S / 2)


def _bury(command: int) -> None:
    """The adopted who have died are waited for, so that they do not stay in the table of processes. Not the command: see `_ended`."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, ChildProcessError):
            if child.pid != command and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a runner that is dead reads nothing
        os.write(1, f"{text}\n".encode(errors="replace"))


def _first_line() -> bytes:
    """What the runner says first, up to the end of its line; the rest stays unread."""
    said = bytearray()
    while not said.endswith(b"\n") and (piece := os.read(0, 1)):
        said += piece
    return bytes(said)


def _ended(command: subprocess.Popen[bytes]) -> int | None:
    """The exit code of a command that has ended. It is not waited for, so that its pid, and its group's, stay its own."""
    seen = os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if seen is None:
        return None
    return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status


def main() -> int:
    """The process: waits for what to start, then for the end."""
    asked = died = False

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True

    def mourn(*_: object) -> None:
        nonlocal died
        died = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask)
    said = _first_line()
    if asked or not said.endswith(b"\n"):
        return 0  # the runner is gone before it has said everything: nothing begins
    told = json.loads(said)
    adopt_orphans()
    signal.signal(signal.SIGCHLD, mourn)  # looking whenever somebody died is cheaper than looking ten times a second
    try:
        command = subprocess.Popen(
            told["command"], stdin=subprocess.DEVNULL, stdout=2, stderr=2, start_new_session=True
        )
    except OSError as error:
        _say(f"failed {error.strerror or error}")
        return 1
    _say(f"began {command.pid}")
    code: int | None = None
    while not asked:
        readable, _, _ = select.select([0], [], [], LOOK_S)
        if readable and not os.read(0, 4096):
            break
        if code is None and (code := _ended(command)) is not None:
            _say(f"ended {code}")
        if died:
            died = False
            _bury(command.pid)
    gently = end(command.pid, float(told["grace_s"]), os.getpid())
    command.wait()
    _say("gone" if gently else "killed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
