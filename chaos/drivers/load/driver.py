"""Starts, watches and ends the load: Locust in a process of its own. Tells it which of its faults are on.

Each line on its standard input names all the faults that are on, under a lease; the load acknowledges it in acks.jsonl. It ends when
that input ends, so no fault of it outlives the runner.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter

from chaos.drivers.load.plan import LoadPlan
from chaos.errors import Unreachable
from chaos.exposure import LoadSummary, Sample

START_S = 30.0
STOP_S = 8.0
ACK_S = 3.0
"""A load that has not obeyed by then is broken; one that shall take a fault off is then ended."""
_SAMPLE: TypeAdapter[Sample] = TypeAdapter(Sample)


@dataclass(frozen=True, slots=True)
class Obeyed:
    """The load's own word that these faults are on and no others, since this wall time."""

    number: int
    on: tuple[int, ...]
    at_wall_s: float


_OBEYED: TypeAdapter[Obeyed] = TypeAdapter(Obeyed)


class LoadDriver:
    """One load; its files lie in `folder` (the run's `locust/`). A fault lives for `lease_s` seconds after it was last renewed."""

    def __init__(self, plan: LoadPlan, folder: Path, lease_s: float = 10.0) -> None:
        self.plan = plan
        self.folder = folder
        self.lease_s = lease_s
        self._on: set[int] = set()
        self._told = 0
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._samples: IO[str] | None = None
        self._rest = ""
        self._seen: list[Sample] = []

    def start(self) -> None:
        """Requests are being sent. Raises Unreachable with Locust's last words when it cannot start."""
        plan, samples, acks = (self.folder / name for name in ("plan.json", "samples.jsonl", "acks.jsonl"))
        plan.touch(mode=0o600)
        plan.write_text(self.plan.to_json())
        samples.touch()
        acks.touch()
        environment = {
            **os.environ,
            "CHAOS_LOAD_PLAN": str(plan),
            "CHAOS_LOAD_SAMPLES": str(samples),
            "CHAOS_LOAD_ACKS": str(acks),
        }
        argv = [
            sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py")), "--headless", "--users", "1",
            "--spawn-rate", "1", "--json", "--loglevel", "WARNING", "--stop-timeout", "1", "--host", "http://in-the-plan",
        ]  # fmt: skip
        with (self.folder / "stats.json").open("wb") as out, (self.folder / "locust.log").open("wb") as log:
            self._process = subprocess.Popen(
                argv,
                env=environment,
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)  # a load that does not read must not hold up an undo
        deadline_s = time.monotonic() + START_S
        while samples.stat().st_size == 0:
            if self._process.poll() is not None:
                raise Unreachable(f"Locust could not start: {self._last_words()}")
            if time.monotonic() > deadline_s:
                self._kill()
                raise Unreachable(f"Locust sent nothing within {START_S:g}s: {self._last_words()}")
            time.sleep(0.05)

    def alive(self) -> bool:
        """Whether Locust runs."""
        return self._process is not None and self._process.poll() is None

    def hurt(self, index: int) -> Obeyed:
        """This fault of the plan is on. Raises Unreachable when the load does not say so in time; it may be on all the same."""
        return self._tell(lambda on: on | {index})

    def heal(self, index: int) -> Obeyed | None:
        """This fault is off: by the load's own word, or because the load is no more (None). A load that does not obey is ended."""
        if self.alive():
            try:
                return self._tell(lambda on: on - {index})
            except Unreachable:
                self._kill()
        return None

    def renew(self) -> Obeyed:
        """The faults that are on stay on for another lease. Raises Unreachable when the load does not say so in time."""
        return self._tell(lambda on: on)

    def _tell(self, change: Callable[[set[int]], set[int]]) -> Obeyed:
        """The load has been told which faults are on, and has said that it is so, or that a later word is.

        Words go out in the order of their numbers, each with everything that is on: whichever call ends last, the last word holds.
        """
        acks = self.folder / "acks.jsonl"
        with self._lock:
            self._on, self._told = change(self._on), self._told + 1
            number, known = self._told, acks.stat().st_size if acks.exists() else 0
            self._say(json.dumps({"number": number, "on": sorted(self._on), "lease_s": self.lease_s}))
        deadline_s = time.monotonic() + ACK_S
        while True:
            said = _acknowledged(acks, known, number)
            if said is not None:
                return said
            if not self.alive():
                raise Unreachable(f"the load is gone: {self._last_words()}")
            if time.monotonic() > deadline_s:
                raise Unreachable(f"the load did not say within {ACK_S:g}s which of its faults are on")
            time.sleep(0.01)

    def _say(self, line: str) -> None:
        """The line is in the pipe, whole: it is shorter than what a pipe takes at once."""
        pipe = self._process.stdin if self._process is not None else None
        if pipe is None:
            raise Unreachable("the load does not run, so none of its faults can be on")
        try:
            os.write(pipe.fileno(), line.encode() + b"\n")
        except OSError as error:  # it has ended, or has not read for thousands of lines
            raise Unreachable(f"the load does not listen: {error}") from error

    def new_samples(self) -> list[Sample]:
        """The seconds that ended since the last call."""
        if self._samples is None:
            path = self.folder / "samples.jsonl"
            if not path.exists():
                return []
            self._samples = path.open(encoding="utf-8")
        rows = (self._rest + self._samples.read()).split("\n")
        self._rest = rows.pop()
        found = [_SAMPLE.validate_json(row) for row in rows if row]
        self._seen += found
        return found

    def stop(self) -> LoadSummary:
        """Nothing is sent any more; what the whole load was."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._kill()
        self.new_samples()
        sent, asked = sum(one.sent for one in self._seen), sum(one.asked for one in self._seen)
        seconds = max(1, len(self._seen))
        failures, p50, p99 = self._final()
        return LoadSummary(
            seconds=len(self._seen),
            asked_per_s=asked / seconds,
            achieved_per_s=sent / seconds,
            sent=sent,
            unsent=sum(one.unsent for one in self._seen),
            failures=failures,
            p50_ms=p50,
            p99_ms=p99,
        )

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        said = (self.folder / "locust.log").read_text(errors="replace").strip().splitlines()
        return " / ".join(said[-4:]) or "it said nothing"

    def _final(self) -> tuple[int, float | None, float | None]:
        """Failures and latency quantiles from Locust's final statistics; nothing when it was killed before."""
        try:
            rows = json.loads((self.folder / "stats.json").read_text())
            row = next(row for row in rows if row["name"] == "entry")
            times = sorted((float(ms), int(count)) for ms, count in row.get("response_times", {}).items())
            return int(row.get("num_failures", 0)), _quantile(times, 0.5), _quantile(times, 0.99)
        except (OSError, ValueError, StopIteration, LookupError, TypeError, AttributeError):
            return 0, None, None


def _acknowledged(acks: Path, known: int, number: int) -> Obeyed | None:
    """The first acknowledgement of this number or a later one, after so many bytes; None as long as there is none."""
    with acks.open("rb") as file:
        file.seek(known)
        lines = file.read().split(b"\n")[:-1]
    found = (_OBEYED.validate_json(line) for line in lines)
    return next((one for one in found if one.number >= number), None)


def _quantile(times: list[tuple[float, int]], share: float) -> float | None:
    total, reached = sum(count for _, count in times), 0
    for value, count in times:
        reached += count
        if reached >= share * total:
            return value
    return None
