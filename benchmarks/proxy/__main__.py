"""`python -m benchmarks.proxy`: brings everything up, measures in interleaved rounds, tells, and ends everything.

Half a minute, while developing:  python -m benchmarks.proxy --rounds 2 --seconds 1 --peers direct,chaos,nginx --sections cpu
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.proxy import machine, tools
from benchmarks.proxy.cases import CASES, CURVES, LATENCIES, TWO, WORKERS, Case, request_ids
from benchmarks.proxy.measure import Bench, check, measure
from benchmarks.proxy.peers import HERE, ROOT, STARTS, Absent, Peer, Stage, bring_up
from benchmarks.proxy.render import publish, tables
from benchmarks.proxy.results import Result, Run, from_json
from chaos.errors import ChaosError

QUICK = ("cpu", "latency", "workers")
SECTIONS = (*QUICK, *(curve.name for curve in CURVES))
STEP_S = 0.4
"""What a measurement takes besides its seconds, about: arming, the load's start, looking at memory."""
STATE = ROOT / ".chaos" / "benchmarks"


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement of a round."""

    section: str
    case: Case
    peer: str

    def seconds(self, whole: int) -> int:
        """How long it lasts when the budget's measurements last `whole`: those of curves are there to be looked at."""
        return whole if self.section in QUICK else max(1, whole // 3)


def steps(sections: list[str], peers: list[Peer]) -> list[Step]:
    """Everything that one round measures: case by case, and within a case peer by peer."""
    able = {peer.name: peer for peer in peers}
    most = [name for name in able if name != TWO]
    planned: list[tuple[str, tuple[Case, ...], Sequence[str]]] = [
        ("cpu", CASES, [name for name in most if name != "direct"]),
        ("latency", LATENCIES, most),
        ("workers", WORKERS, ("chaos", TWO)),
        *((curve.name, curve.cases, curve.peers) for curve in CURVES),
    ]
    return [
        Step(section, case, name)
        for section, cases, names in planned
        if section in sections
        for case in cases
        for name in names
        if name in able and able[name].can(case)
    ]


def taking_part(names: list[str], sections: list[str]) -> list[str]:
    """Who is started: our proxy with two workers goes with the section that is about it, and with no other."""
    asked = {*names, TWO} if "chaos" in names and "workers" in sections else {*names} - {TWO}
    return [name for name in STARTS if name in asked]


def turned(all_steps: list[Step], number: int) -> Iterator[Step]:
    """The steps of one round: within each case, another peer goes first in each round."""
    cases = dict.fromkeys((step.section, step.case.name) for step in all_steps)
    for key in cases:
        same = [step for step in all_steps if (step.section, step.case.name) == key]
        first = number % len(same)
        yield from same[first:] + same[:first]


def _wrk(stage: Stage) -> tuple[str, dict[str, str]] | None:
    try:
        unpacked = tools.debian(stage.state, "wrk")
        return unpacked.program("wrk"), unpacked.environment
    except tools.Missing as missing:
        say(f"wrk is missing ({missing}); the load is our own, which is slower")
        return None


def say(text: str) -> None:
    """To standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def _set_up(stack: ExitStack, names: list[str], sections: list[str]) -> tuple[Bench, list[Peer], dict[str, str]]:
    """Backend and peers run, and have proven that they do the work; those that do not are absent."""
    folder = Path(
        stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-benchmark-", ignore_cleanup_errors=True))
    )
    STATE.mkdir(parents=True, exist_ok=True)
    found, port = machine.cores(), machine.free_port()
    argv = [sys.executable, "-m", "benchmarks.proxy.backend", str(port)]
    backend = machine.start(argv, found.load, folder / "backend.log", [port], {"PYTHONPATH": str(ROOT)})
    stack.callback(backend.end)
    stage = Stage(port, found.peer, folder, STATE, stack)
    say(f"starting {', '.join(names)}")
    everyone = bring_up(stage, names)
    absent = {peer.name: peer.why for peer in everyone if isinstance(peer, Absent)}
    peers = [peer for peer in everyone if isinstance(peer, Peer)]
    for peer in list(peers):
        mine = dict.fromkeys(step.case for step in steps(sections, [peer]))
        wrong = next(((case.name, said) for case in mine if (said := check(peer, case)) is not None), None)
        if wrong is not None:
            peers.remove(peer)
            absent[peer.name] = f"{wrong[0]}: {wrong[1]}"
    for name, why in absent.items():
        say(f"absent: {name}: {why}")
    ids = folder / "ids"
    ids.write_text("\n".join(request_ids()) + "\n")
    return Bench(found, backend.process.pid, ids, _wrk(stage)), peers, absent


def _measured(setup: Bench, peer: Peer, step: Step, number: int, seconds: int) -> Run:
    """One run; a failed one when the peer or the load broke down, so that the rest is measured all the same."""
    try:
        return measure(setup, peer, step.case, step.section, number, seconds=step.seconds(seconds))
    except (RuntimeError, ChaosError) as error:
        say(f"failed: {step.section} {step.case.name} {step.peer}: {error}")
        return Run(step.section, step.case.name, step.peer, number, 0, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def bench(names: list[str], sections: list[str], rounds: int, seconds: int) -> Result:
    """A whole benchmark. Every process that it started has ended, however it ends."""
    runs: list[Run] = []
    with ExitStack() as stack:
        setup, peers, absent = _set_up(stack, names, sections)
        able = {peer.name: peer for peer in peers}
        todo = steps(sections, peers)
        minutes = rounds * sum(step.seconds(seconds) + STEP_S for step in todo) / 60
        say(f"{len(todo)} measurements a round, {rounds} rounds: about {minutes:.0f} minutes")
        for number in range(rounds):
            for step in turned(todo, number):
                run = _measured(setup, able[step.peer], step, number, seconds)
                runs.append(run)
                load = run.load_cpu_s / run.seconds if run.seconds else 0.0
                say(
                    f"{number + 1}/{rounds} {step.section:11} {step.case.name:22} {step.peer:10} {run.cpu_us:8.1f} us "
                    f"{run.rate:8.0f}/s p50 {run.p50_ms:.2f} p99 {run.p99_ms:.2f} ms, {run.rss_mb:.0f} MB, load's core "
                    f"{load:.0%}, foreign {run.foreign:.0%}" + (f", {run.errors} ERRORS" if run.errors else "")
                )
        versions = {peer.name: peer.version for peer in peers}
        settings = {"rounds": float(rounds), "seconds": float(seconds), "wrk": float(setup.wrk is not None)}
    return Result(datetime.now(UTC).date().isoformat(), machine.facts(), settings, versions, absent, tuple(runs))


def _words(text: str, known: tuple[str, ...], what: str) -> list[str]:
    found = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in found if word not in known]
    if wrong:
        raise argparse.ArgumentTypeError(f"no such {what}: {', '.join(wrong)}; known: {', '.join(known)}")
    return found


def main() -> int:
    """The exit code: 0, or 130 when it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proxy", description="What the fault proxy costs.")
    parser.add_argument("--rounds", type=int, help="5, or 3 with --quick")
    parser.add_argument(
        "--seconds", type=int, help="of each measurement, whole; curves take a third: 3, or 1 with --quick"
    )
    parser.add_argument("--peers", type=lambda text: _words(text, tuple(STARTS), "peer"), default=list(STARTS))
    parser.add_argument("--sections", type=lambda text: _words(text, SECTIONS, "section"))
    parser.add_argument("--quick", action="store_true", help="the budget alone, in about 5 minutes; publishes nothing")
    parser.add_argument("--publish", action="store_true", help="into results/ and docs/, not only into .chaos/")
    parser.add_argument("--render", type=Path, metavar="FILE", help="measure nothing, publish this stored result")
    given = parser.parse_args()
    rounds = given.rounds if given.rounds is not None else 3 if given.quick else 5
    seconds = given.seconds if given.seconds is not None else 1 if given.quick else 3
    sections = given.sections or list(QUICK if given.quick else SECTIONS)
    publishes = given.publish and not given.quick
    if rounds < 1 or seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if given.render:
            found = from_json(json.loads(given.render.read_text()))
        else:
            found = bench(taking_part(given.peers, sections), sections, rounds, seconds)
            stored = HERE / "results" / f"{found.taken}.json" if publishes else STATE / "last.json"
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_text(json.dumps(found.as_json(), indent=1) + "\n")
            say(f"stored: {stored.relative_to(ROOT)}")
    except KeyboardInterrupt:
        say("interrupted; everything has ended")
        return 130
    if publishes or given.render:
        publish(found, ROOT / "docs")
    print(tables(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
