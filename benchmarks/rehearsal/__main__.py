"""`python -m benchmarks.rehearsal live|compare|oracle|speed`: what a rehearsal says is held against what happens.

live     each experiment of the catalogue twice, live; then compare
compare  the rehearsal of each first run against its second, into results/ and docs/rehearsal.md
oracle   scenarios of kept runs and of their rules, at every evaluation against `promtool test rules`
speed    a day of fifty rules, and a hundred scenarios, against `promtool test rules`
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from benchmarks.catalogue.__main__ import ROOT, STATE
from benchmarks.rehearsal import compared, speed
from benchmarks.rehearsal.agreement import agreement
from benchmarks.rehearsal.live import LAB, TIMES, kept_runs, live, wanted
from benchmarks.rehearsal.page import page
from benchmarks.rehearsal.reasons import REASONS
from chaos.drivers.throwaway import Programs
from chaos.errors import ChaosError
from chaos.lab import monitoring
from chaos.rehearsal.models import NoModel

PAGE = ROOT / "docs" / "rehearsal.md"


def say(said: str) -> None:
    """A line, at once."""
    print(said, flush=True)


def compare(names: Sequence[str], programs: Programs) -> None:
    """Every fault of which two runs are kept has its result."""
    for name in names:
        folders = kept_runs(name)
        if len(folders) < TIMES:
            continue
        try:
            one = compared.compare(name, folders[:TIMES], programs, REASONS)
        except (ChaosError, NoModel) as error:
            say(f"{name:24} {error}")
            continue
        compared.store(one)
        for held in one.alerts:
            say(f"{name:24} {held.alert:24} {held.line(one.evaluation_s)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when it was measured; 1 when the oracle does not agree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rehearsal", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=("live", "compare", "oracle", "speed", "page"))
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these faults alone, in this order")
    parser.add_argument("--again", action="store_true", help="live: those that have two runs, too")
    parser.add_argument("--docker", action="store_true", help="live: those that need real containers, and no others")
    parser.add_argument("--name", default=LAB, help="live: what the lab is called")
    parser.add_argument("--minutes", type=float, default=600.0, help="live: after so many no further run begins")
    parser.add_argument("--keep", action="store_true", help="live: leave the lab up")
    parser.add_argument("--rounds", type=int, default=speed.ROUNDS, help="speed: of each")
    given = parser.parse_args(arguments)
    tools = monitoring.find(STATE, say)
    programs = Programs(tools.prometheus, tools.promtool)
    if given.kind == "live" and (paths := wanted(given.only, docker=given.docker, again=given.again)):
        live(paths, given.name, time.monotonic() + 60 * given.minutes, docker=given.docker, keep=given.keep)
    names = given.only or [path.stem for docker in (False, True) for path in wanted((), docker=docker, again=True)]
    good = True
    if given.kind in ("live", "compare"):
        compare(names, programs)
    if given.kind == "oracle":
        good = agreement([folder for name in names for folder in kept_runs(name)[:1]], programs, say)
    if given.kind == "speed":
        speed.store([speed.measure(one, programs, given.rounds, say) for one in speed.work()])
    PAGE.write_text(page(list(compared.stored().values()), speed.stored()))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
