"""`python -m benchmarks.statistics`: the tables of docs/detection.md, printed and written into it. Some minutes, one core.

The seed is fixed, so that the same code gives the same tables. `--runs` below the 2,000 of the document prints and writes nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.statistics.tables import tables, with_tables

PAGE = Path(__file__).parents[2] / "docs" / "detection.md"
BEGIN, END = "<!-- simulated: begin -->", "<!-- simulated: end -->"
RUNS = 2_000


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description=__doc__)
    asked.add_argument("--runs", type=int, default=RUNS, help="simulated runs of each cell")
    runs = asked.parse_args().runs
    made = f"{runs:,} runs a cell, made by `python -m benchmarks.statistics --runs {runs}`.\n\n{tables(runs)}"
    print(made)
    if runs >= RUNS:
        PAGE.write_text(with_tables(PAGE.read_text(), made, BEGIN, END))


if __name__ == "__main__":
    main()
