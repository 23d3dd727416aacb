"""Runs that were started from the page: a `chaos run` each, in a session of its own, that neither ends nor waits with the server."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LONGEST_SAID = 16 * 1024
"""Bytes of what a start said that are shown: its last ones."""
LOOKED_AT = 64 * 1024
"""Bytes of a plan that are searched for its seed; it stands among the first."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One run as a person has confirmed it: the file, and the seed whose plan was shown."""

    file: Path
    seed: str
    runs: Path
    production: bool
    system: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """What `--var` gave; in the run's environment, where no list of processes shows them."""

    def words(self) -> list[str]:
        """The command line of the run."""
        said = ["run", str(self.file), f"--seed={self.seed}", "--runs", str(self.runs)]
        said += ["--system", self.system] if self.system is not None else []
        return [*said, "--yes"] if self.production else said


@dataclass
class Start:
    """A run that was started here. What it says goes to a file without a name, which it keeps when the server is gone."""

    number: int
    wish: Wish
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def code(self) -> int | None:
        """Its exit code; None while it goes on."""
        return self.process.poll()

    def said(self) -> str:
        """The end of what it has said up to now. The run writes where the file's place is, which it shares: that is never moved."""
        descriptor = self.output.fileno()
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, LONGEST_SAID, max(0, size - LONGEST_SAID)).decode("utf-8", "replace")

    def folder(self) -> str | None:
        """The name of the run's folder; None as long as there is none."""
        for journal in sorted(self.wish.runs.glob("*/journal.jsonl"), reverse=True):
            if self._is_in(journal):
                return journal.parent.name
        return None

    def _is_in(self, journal: Path) -> bool:
        try:
            with (journal.parent / "plan.json").open("rb") as file:
                return f'"seed":"{self.wish.seed}"'.encode() in file.read(LOOKED_AT).replace(b'": "', b'":"')
        except OSError:
            return False


class Starts:
    """Every run that this server has started. Safe from any thread."""

    def __init__(self, program: Sequence[str] = (sys.executable, "-P", "-m", "chaos")) -> None:
        self._program = list(program)
        self._starts: dict[int, Start] = {}
        self._lock = threading.Lock()

    def begin(self, wish: Wish) -> Start:
        """The run is a process of its own now; one confirmation is one run, so a form that is sent twice begins nothing more while it
        goes on. Raises OSError when there can be none.
        """
        with self._lock:
            for one in self._starts.values():
                if one.wish == wish and one.code() is None:
                    return one
            output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the start is shown
            process = subprocess.Popen(
                [*self._program, *wish.words()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **wish.variables},
            )
            start = Start(len(self._starts) + 1, wish, process, output)
            self._starts[start.number] = start
            return start

    def of(self, number: int) -> Start | None:
        """The start of this number."""
        return self._starts.get(number)

    def waiting(self) -> list[Start]:
        """Those that go on and have no folder yet."""
        with self._lock:
            return [one for one in self._starts.values() if one.code() is None and one.folder() is None]
