"""`python -m benchmarks.rehearsal live`: what a rehearsal says is held against what happens."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from benchmarks.rehearsal.live import LAB, live, wanted


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when it was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearsal", description=(__doc__ or "").splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    one = kinds.add_parser("live", help="run what has not been run twice, then compare")
    one.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these faults alone, in this order")
    one.add_argument("--again", action="store_true", help="those that have two runs, too")
    one.add_argument("--name", default=LAB, help="what the lab is called")
    one.add_argument("--minutes", type=float, default=600.0, help="after so many no further run begins")
    one.add_argument("--keep", action="store_true", help="leave the lab up")
    given = parser.parse_args(arguments)
    paths = wanted(given.only, again=given.again)
    if paths:
        live(paths, given.name, time.monotonic() + 60 * given.minutes, keep=given.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
