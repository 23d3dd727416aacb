"""`python -m benchmarks.offswitch`: runs are ended in every way, again and again, and what they hurt is watched from outside.

Each run arms a fault at a real fault proxy, kills one process and stops another. The clock starts when somebody presses the switch: at
the signal, at the start of the command `chaos stop` (its own start-up counts), or at the moment from which the guard's query returns
the breached value. It ends when the proxy is held by nobody, and when both processes are as before: two figures a run.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from chaos.lab import monitoring
from tests.drivers.loopback import eventually
from tests.safety.stand import Stand, standing

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "offswitch.md"
LOOK_S = 0.004
BUDGET_S = {"proxy": 1.0, "containers": 2.0}
GUARD_AFTER_S = 7.0
"""The guard's query turns bad so long after the run was started; by then everything is hurt, also on a busy machine."""
PROBES = """\
calm:
  query: vector(time() < bool $until)
  unit: ratio
  better: higher
  arms: none
  doc: 1 until a given moment, then 0.
  sample: {with: {until: "10"}, series: [], at: 1m, gives: 0}
"""
SWITCHES = ("Ctrl-C", "chaos stop", "guard")


def hurting(stand: Stand, until_s: float | None) -> Path:
    """The experiment of one run; with a guard that breaks at `until_s`, in seconds since the epoch."""
    path = stand.experiment("proxy", "kill", "pause")
    text = path.read_text().replace("1500ms", "18s")
    if until_s is not None:
        system = stand.folder / "guarded.yaml"
        plain = (stand.folder / "system.yaml").read_text()
        system.write_text(plain.replace("{window: 10s}", f"{{window: 10s, until: '{until_s:.3f}'}}"))
        (stand.folder / "probes").mkdir(exist_ok=True)
        (stand.folder / "probes" / "own.yaml").write_text(PROBES)
        text = text.replace(str(stand.folder / "system.yaml"), str(system))
        text = text.replace("subjects: users}", "subjects: users, abort: [{probe: calm, min: 50%}]}")
    path = stand.folder / "offswitch.yaml"
    path.write_text(text)
    return path


def gone_after_s(hurt: Callable[[], object], begun_s: float, found: list[float]) -> None:
    """Notes how long after `begun_s` nothing was hurt any more."""
    while hurt():
        if time.time() - begun_s > 30:
            found.append(float("inf"))
            return
        time.sleep(LOOK_S)
    found.append(time.time() - begun_s)


def once(stand: Stand, switch: str) -> dict[str, float]:
    """One run, ended by this switch: seconds until the proxy was free, and until the containers were back."""
    until_s = time.time() + GUARD_AFTER_S if switch == "guard" else None
    process = stand.start(hurting(stand, until_s))
    command: subprocess.Popen[bytes] | None = None
    proxy: list[float] = []
    containers: list[float] = []
    try:
        eventually(lambda: len(stand.hurt()) == 2 and stand.armed(), 20, "everything is hurt")
        if until_s is not None:
            begun_s = until_s
            time.sleep(max(0.0, until_s - time.time()))
        else:
            time.sleep(0.5)
            begun_s = time.time()
        if switch == "Ctrl-C":
            process.send_signal(signal.SIGINT)
        elif switch == "chaos stop":
            argv = [sys.executable, "-m", "chaos", "stop"]
            command = subprocess.Popen(argv, env=stand.environment(), cwd=stand.folder, stderr=subprocess.DEVNULL)
        watching = [
            threading.Thread(target=gone_after_s, args=(stand.armed, begun_s, proxy)),
            threading.Thread(target=gone_after_s, args=(stand.hurt, begun_s, containers)),
        ]
        for thread in watching:
            thread.start()
        for thread in watching:
            thread.join()
    finally:
        said, _ = process.communicate(timeout=60)
        if not proxy or not containers:
            print(said[-1500:], file=sys.stderr)
        if command is not None:
            command.wait(60)
    eventually(lambda: not stand.left(), 10, "nothing is left")
    return {"proxy": proxy[0], "containers": containers[0]}


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """So many processes do nothing but burn processor time."""
    with ExitStack() as stack:
        for _ in range(processes):
            burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        yield


def line(name: str, values: list[float], budget_s: float) -> str:
    """A row of the table."""
    shares = statistics.quantiles(values, n=10)
    within = sum(value <= budget_s for value in values)
    figures = " | ".join(f"{figure:.2f} s" for figure in (statistics.median(values), shares[8], max(values)))
    return f"| {name} | {len(values)} | {figures} | {within} of {len(values)} within {budget_s:g} s |"


def page(rows: list[str], when: str) -> str:
    """The page."""
    table = "\n".join(rows)
    return f"""\
# The off-switch

From the switch to the last undo, as `make offswitch` measured it on {when}: a fault at a fault proxy, one killed and one stopped process,
watched from outside every few milliseconds. *Ctrl-C* counts from the signal, *chaos stop* from the start of the command, *guard* from the
moment at which the guard's query returns a breached value (a scrape and an evaluation come before that, and the plan says how long).
*Busy* is with two processes for each processor that do nothing but burn time.

| switch, what was hurt | runs | median | 90 % | longest | budget |
|---|---|---|---|---|---|
{table}
"""


def main() -> int:
    """The measurement. Exit 1 when a median misses its budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.offswitch", description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="of each kind")
    parser.add_argument("--publish", action="store_true", help="keep the figures and write docs/offswitch.md")
    given = parser.parse_args()
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, standing(Path(folder), monitoring.find(ROOT / ".chaos")) as stand:
        for number in range(given.runs):
            for busy in (False, True):
                for switch in SWITCHES:
                    with burning(4 if busy else 0):
                        took = once(stand, switch)
                    for what, seconds in took.items():
                        values.setdefault(f"{switch}{', busy' if busy else ''}: {what}", []).append(seconds)
            print(f"{number + 1} of {given.runs} rounds", file=sys.stderr, flush=True)
    rows = [line(name, found, BUDGET_S[name.rpartition(": ")[2]]) for name, found in sorted(values.items())]
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    print(page(rows, when))
    if given.publish:
        (RESULTS / f"{when}.json").write_text(json.dumps(values, indent=1) + "\n")
        PAGE.write_text(page(rows, when))
    missed = [name for name, found in values.items() if statistics.median(found) > BUDGET_S[name.rpartition(": ")[2]]]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
