"""The command with which another tool is made to break something: begun once, ended for certain.

It comes from the command line alone (`chaos run FILE -- COMMAND…`), never from a file. It runs on a leash (`chaos.drivers.leash`), so that
it ends with the run even when the run is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from chaos.drivers.leash import end
from chaos.errors import Unreachable

GRACE_S = 5.0
"""How long the command may take to end when it is asked to; then it is killed."""
BEGINS_S = 5.0
ENDS_S = GRACE_S + 3.0
"""The leash needs a little more, to kill and to see that nothing is left."""


class ExternalCommand:
    """One command. Called from several threads: an end that comes before the beginning keeps it from beginning."""

    def __init__(self, command: Sequence[str], log: Path, on_leash: Callable[[int], None] | None = None) -> None:
        """`log` gets everything that the command writes. `on_leash` hears the leash's pid before the command begins."""
        self._command = list(command)
        self._log = log
        self._on_leash = on_leash
        self._leash: subprocess.Popen[bytes] | None = None
        self._process: psutil.Process | None = None
        self._said: list[str] | None = None
        """What the leash told at its end, line by line."""
        self._over = False
        self._lock = threading.Lock()

    def begin(self) -> str:
        """The command runs; what was done, in words that hold none of its arguments. Raises Unreachable when it does not."""
        name = Path(self._command[0]).name
        with self._lock:
            if self._over:
                raise Unreachable(f"`{name}` was not begun: the fault was over before")
            try:
                leash = self._leash = self._start()
            except OSError as error:
                raise Unreachable(f"`{name}` could not be begun: {error}") from error
        word, _, rest = self._hear(leash).partition(" ")
        if word != "began":
            raise Unreachable(f"`{name}` could not be begun: {rest or 'nothing was heard of it'}")
        with contextlib.suppress(psutil.Error, ValueError):  # it has ended already
            self._process = psutil.Process(int(rest))
        return f"began `{name}` as process {rest}"

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            leash = subprocess.Popen(
                [sys.executable, "-P", "-m", "chaos.drivers.leash"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        try:
            if self._on_leash is not None:
                self._on_leash(leash.pid)
            assert leash.stdin is not None
            leash.stdin.write(json.dumps({"command": self._command, "grace_s": GRACE_S}).encode() + b"\n")
            leash.stdin.flush()
        except OSError:
            leash.kill()
            leash.wait()
            raise
        return leash

    def _hear(self, leash: subprocess.Popen[bytes]) -> str:
        assert leash.stdout is not None
        readable, _, _ = select.select([leash.stdout], [], [], BEGINS_S)
        return leash.stdout.readline().decode(errors="replace").strip() if readable else ""

    def end(self) -> str:
        """The command, and everything that it began, has ended; how, in words. Idempotent. Raises Unreachable when it has not."""
        with self._lock:
            self._over = True
            leash = self._leash
        if leash is None:
            return "its command never began"
        with contextlib.suppress(ProcessLookupError):
            leash.send_signal(signal.SIGTERM)
        try:
            leash.wait(ENDS_S)
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"the command on the leash {leash.pid} has not ended in {ENDS_S:g}s") from error
        if leash.returncode != 0 and self._process is not None and self._process.is_running():
            end(
                self._process.pid, GRACE_S, self._process.pid
            )  # somebody killed the leash, which can end nothing any more
            return "its command was ended"
        return self._how(leash)

    def _how(self, leash: subprocess.Popen[bytes]) -> str:
        """What the leash has said of the end; said again when it is asked again."""
        with self._lock:
            if self._said is None:
                assert leash.stdout is not None
                os.set_blocking(leash.stdout.fileno(), False)
                self._said = (leash.stdout.read() or b"").decode(errors="replace").split("\n")
            said = self._said
        code = next((line.partition(" ")[2] for line in said if line.startswith("ended ")), None)
        if code is not None:
            return f"its command had ended by itself with {code}"
        return "its command was killed" if "killed" in said else "its command was ended"
