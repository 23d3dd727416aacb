"""Starts, watches and ends the load: Locust in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter

from chaos.drivers.load.plan import LoadPlan
from chaos.errors import Unreachable
from chaos.exposure import LoadSummary, Sample

START_S = 30.0
STOP_S = 8.0
_SAMPLE: TypeAdapter[Sample] = TypeAdapter(Sample)


class LoadDriver:
    """One load; its files lie in `folder` (the run's `locust/`)."""

    def __init__(self, plan: LoadPlan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._samples: IO[str] | None = None
        self._rest = ""
        self._seen: list[Sample] = []

    def start(self) -> None:
        """Requests are being sent. Raises Unreachable with Locust's last words when it cannot start."""
        plan, samples = self.folder / "plan.json", self.folder / "samples.jsonl"
        plan.touch(mode=0o600)
        plan.write_text(self.plan.to_json())
        samples.touch()
        environment = {**os.environ, "CHAOS_LOAD_PLAN": str(plan), "CHAOS_LOAD_SAMPLES": str(samples)}
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


def _quantile(times: list[tuple[float, int]], share: float) -> float | None:
    total, reached = sum(count for _, count in times), 0
    for value, count in times:
        reached += count
        if reached >= share * total:
            return value
    return None
