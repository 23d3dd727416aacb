"""The two processes of a soak: started with pipes, asked by lines, and gone at the end however that comes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.proxy.machine import family
from benchmarks.proxy.peers import ROOT
from benchmarks.soak.pipes import GOODBYE_S

MOST_SAID = 2000


class Ended(Exception):
    """The process is not there any more."""


class Child:
    """`python -m MODULE …`, in a session of its own: Ctrl-C at a terminal reaches the soak, which ends it in its turn."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._log = log
        self._module = module
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, start_new_session=True, env={**kept, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def complaints(self) -> list[str]:
        """What it wrote to standard error, as one sentence: warnings, and exceptions that nobody caught. None of it is asked for."""
        lines = self._log.read_text(errors="replace").splitlines()
        said = " ".join(" ".join(line for line in lines if "traffic is taken for" not in line).split())
        return [f"{self._module} said: {said[-MOST_SAID:]}"] if said else []

    def check(self) -> None:
        """Raises Ended when it has."""
        if self._process.poll() is not None:
            raise Ended(f"{self._module} ended with {self._process.returncode}")

    async def line(self) -> str:
        """The next line that it says. Raises Ended."""
        assert self._process.stdout is not None
        said = await asyncio.to_thread(self._process.stdout.readline)
        if not said:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
            self.check()
            raise Ended(f"{self._module} says nothing any more")
        return said.decode().strip()

    async def ask(self, question: str) -> str:
        """What it answers to one line. Raises Ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(question.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            self.check()
            raise Ended(f"{self._module} does not listen any more") from error
        return await self.line()

    def descriptors(self) -> int:
        """Open file descriptors of it and all below it."""
        found = 0
        for one in family(self.pid):
            with contextlib.suppress(OSError):
                found += sum(1 for _ in Path(f"/proc/{one}/fd").iterdir())
        return found

    def end(self) -> None:
        """It has ended and so has everything below it: since its input ended, or after a while by force."""
        below = family(self.pid)[1:]
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            self._process.wait(GOODBYE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for one in below:
            with contextlib.suppress(OSError):
                # Orphans of ours alone: they are still in the session that this process began.
                if os.getsid(one) == self.pid:
                    os.kill(one, signal.SIGKILL)
