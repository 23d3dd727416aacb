"""`python -m benchmarks.detection`: detections whose truth is known, until there are enough, and docs/detection-times.md says how far off.

tests/detection/truth.py ─▶ results/DATE.json ─▶ docs/detection-times.md

`--page` writes the page alone; `--print` prints it and stores nothing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.detection.results import FOLDER, Rounds, newest, page, spread
from chaos.lab import monitoring
from tests.detection.truth import Measured, measure, watched

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "detection-times.md"
GAUGES = 52
INTERVAL_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when no measured time was outside of what can be true."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--detections", type=int, default=260, help="at least so many; a round makes 52")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next one has the next")
    parser.add_argument("--page", action="store_true", help="only write docs/detection-times.md anew")
    parser.add_argument("--print", action="store_true", help="print the page, store nothing")
    given = parser.parse_args(arguments)
    if given.page:
        stored = newest()
        assert stored is not None, "nothing is stored yet"
        PAGE.write_text(page(stored))
        return 0
    made = rounds(given.detections, given.seed)
    if given.print:
        print(page(made))
    else:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{made.date}.json").write_text(made.to_json())
        PAGE.write_text(page(made))
    return 1 if any(row.outside for row in made.rows) else 0


def rounds(detections: int, seed: int) -> Rounds:
    """The rounds have been made: each with servers of its own, whose offsets are others every time."""
    tools = monitoring.find(ROOT / ".chaos")
    measured: list[Measured] = []
    count = -(-detections // GAUGES)
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder, watched(Path(folder), tools, GAUGES, INTERVAL_S) as stand:
            measured += measure(stand, GAUGES, seed + number, INTERVAL_S)
        print(f"round {number + 1} of {count}", flush=True)
    return Rounds(
        datetime.now(UTC).date().isoformat(),
        "python -m benchmarks.detection",
        count,
        count * GAUGES,
        INTERVAL_S,
        os.cpu_count() or 1,
        spread(measured),
    )


if __name__ == "__main__":
    raise SystemExit(main())
