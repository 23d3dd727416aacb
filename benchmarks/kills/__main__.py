"""`python -m benchmarks.kills`: a whole round of kills, and docs/kills.md says what was left.

tests/safety ─▶ a line for each kill ─▶ results/DATE.json ─▶ docs/kills.md

`--sample` makes only the kills that `make test` makes, and prints the page instead of storing anything. `--page` writes the page alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.kills.page import page
from benchmarks.kills.results import Round, counted, newest, noted, store
from tests.safety.stand import LEASE_S

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "kills.md"
TESTS = ("test_kills.py", "test_docker_kills.py", "test_other_kills.py", "test_late_acts.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when nothing was left by any kill."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--sample", action="store_true", help="only the kills of `make test`; print the page, store nothing"
    )
    parser.add_argument("--page", action="store_true", help="only write docs/kills.md anew")
    parser.add_argument("tests", nargs="*", default=TESTS, help="with --sample: only these files of tests/safety")
    given = parser.parse_args(arguments)
    if given.page:
        PAGE.write_text(page(newest()))
        return 0
    made = kills(given.tests if given.sample else TESTS, whole=not given.sample)
    if given.sample:
        print(page(made))
    else:
        store(made)
        PAGE.write_text(page(newest()))
    return 0 if made.passed and not made.left else 1


def kills(tests: Sequence[str], *, whole: bool) -> Round:
    """The kills have been made; what came of them."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "kills.jsonl"
        environment = {**os.environ, "CHAOS_KILLS": "all" if whole else "sample", "CHAOS_KILLS_NOTES": str(notes)}
        paths = [str(ROOT / "tests" / "safety" / name) for name in tests]
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--timeout=0",
            "-p",
            "no:cacheprovider",
            "-n",
            "2",
            "--dist",
            "loadfile",
            *paths,
        ]
        ended = subprocess.run(argv, cwd=ROOT, env=environment, check=False)
        return Round(time.strftime("%Y-%m-%d"), LEASE_S, ended.returncode == 0, counted(noted(notes)))


if __name__ == "__main__":
    sys.exit(main())
