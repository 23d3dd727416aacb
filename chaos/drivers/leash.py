"""A command that ends with whoever began it: a small process between the two, which outlives a runner that is killed.

    runner ── stdin: what to start; its end is the end ──▶ leash ──▶ command, in a session of its own
           ◀── stdout: a line when it began, one when it ended ──

The kernel closes the pipe when the runner dies, however it dies. Then, and on SIGTERM, the command and everything in its process group
get SIGTERM, and SIGKILL when they are not gone after some seconds. The command writes to the leash's stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time

import psutil

LOOK_S = 0.1


def members(group: int) -> list[int]:
    """The processes of this group that live; the dead whom nobody has waited for are none."""
    found: list[int] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def end(group: int, grace_s: float) -> bool:
    """The group is gone. Whether SIGTERM was enough."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
    until_s = time.monotonic() + grace_s
    while members(group):
        if time.monotonic() > until_s:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            return False
        time.sleep(LOOK_S / 2)
    return True


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
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask)
    said = _first_line()
    if asked or not said.endswith(b"\n"):
        return 0  # the runner is gone before it has said everything: nothing begins
    told = json.loads(said)
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
    gently = end(command.pid, float(told["grace_s"]))
    command.wait()
    _say("gone" if gently else "killed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
