"""`python -m benchmarks.offswitch`: runs are ended in every way, again and again, and what they hurt is watched from outside.

    calm       nothing else runs
    busy       two processes for each processor burn time
    hanging    a call of the Docker engine is held back, and one of two proxies is stopped

What is measured, from where to where, stands in `results.page`. With `--docker` containers are hurt as well, at the engine that
DOCKER_HOST names (`scripts/with-engine` starts one). Exit 1 when more than one run of ten misses a budget.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.offswitch.boxes import FAULTS, Boxes, boxes
from benchmarks.offswitch.holding import Holding, holding
from benchmarks.offswitch.results import CONDITIONS, HUNG, Result, collected, page
from benchmarks.offswitch.watching import JOB, Door, Gauge, burning, gauge, seconds_until_back
from chaos.drivers.ports import free_ports
from chaos.lab import monitoring
from tests.drivers.loopback import eventually, running
from tests.safety.stand import TOKEN, Stand, standing

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "offswitch.md"
SWITCHES = ("Ctrl-C", "chaos stop", "guard")
SETTLED_S = 0.5
"""Between the last effect and the switch."""
BUSY_S = 1.5
"""The same where the machine is to be busy: it is so from the beginning of this, and nothing is fresh to the scheduler any more."""
HELD_S = 8.0
"""How long a call hangs in every tenth run: almost until its driver gives it up. In the others it hangs until everything else is back."""
PROBES = """\
calm:
  query: calm
  unit: ratio
  better: higher
  arms: none
  doc: 1 until somebody breaks the guard.
  sample: {with: {}, series: ['calm 1x10'], at: 1m, gives: 1}
"""
SYSTEM = """\
name: offswitch
environment: lab
targets:
  model:
    proxies: {controls}
    token: {token}
    protocol: oip
    process: {{table: processes.json, labels: {{app: model}}}}
{boxes}telemetry: {{prometheus: '{prometheus}'}}
variables: {{window: 10s}}
"""
BOX = "  {name}: {{docker: {{host: '{engine}', labels: {{chaos.offswitch: {label}}}}}}}\n"
EXPERIMENT = """\
name: offswitch
system: {system}
steady_state:
  - {{name: sky, promql: vector(1), unit: ratio, min: 50%}}
blast_radius:
  {{traffic: 50%, by: header:x-user, containers: 6, max_duration: 50s, lease: 10s, subjects: users, abort: [{{probe: calm, min: 50%}}]}}
baseline: 300ms
faults:
{faults}
recovery: 1s
expect: {{holds: [sky]}}
"""
FAULT = "  - {{fault: {fault}, target: {target}, duration: 45s}}\n"


@dataclass(frozen=True)
class Bench:
    """What is hurt: a stand with a second proxy, and where there is an engine, containers and a way to it that can be held."""

    stand: Stand
    gauge: Gauge
    controls: tuple[str, str]
    second: subprocess.Popen[bytes]
    """The proxy that stops answering when it is told to; it is asked first."""
    boxes: Boxes | None
    engine: Holding | None

    def experiment(self, *, hanging: bool) -> Path:
        """The experiment of one run; when something is to hang, with the container whose call does."""
        wanted = [fault for fault in FAULTS if self.boxes is not None and (hanging or fault != "hung")]
        made = [("http_error", "model"), ("kill", "model"), ("pause", "model")]
        made += [("pause" if fault == "hung" else fault, FAULTS[fault]) for fault in wanted]
        lines = ""
        if self.boxes is not None and self.engine is not None:
            for fault in wanted:
                name = FAULTS[fault]
                lines += BOX.format(name=name, engine=self.engine.address, label=self.boxes.label(name))
        [prometheus] = [
            line.split("'")[1]
            for line in (self.stand.folder / "system.yaml").read_text().splitlines()
            if line.startswith("telemetry:")
        ]
        system = self.stand.folder / "offswitch-system.yaml"
        system.write_text(SYSTEM.format(controls=list(self.controls), token=TOKEN, boxes=lines, prometheus=prometheus))
        (self.stand.folder / "probes").mkdir(exist_ok=True)
        (self.stand.folder / "probes" / "own.yaml").write_text(PROBES)
        path = self.stand.folder / "offswitch.yaml"
        faults = "".join(FAULT.format(fault=fault, target=target) for fault, target in made)
        path.write_text(EXPERIMENT.format(system=system, faults=faults))
        return path


def once(bench: Bench, condition: str, switch: str, *, hold_s: float = 0.0) -> dict[str, float]:
    """One run under this condition, ended by this switch: what was hurt → seconds until all of its kind was undone."""
    hanging = condition == "hanging"
    engine, held = bench.engine, bench.boxes if bench.engine is not None else None
    doors = [Door(control, TOKEN) for control in bench.controls]
    bench.gauge.calm_down()
    if hanging and engine is not None and held is not None:
        engine.hold(rf"^POST \S*{held.path('hung')}/pause ")
    run = bench.stand.start(bench.experiment(hanging=hanging))
    command: subprocess.Popen[bytes] | None = None
    as_wanted = False

    def everything_hurt() -> bool:
        containers = held is None or all(held.hurt(fault) for fault in FAULTS if fault != "hung")
        caught = not hanging or engine is None or engine.caught.is_set()
        return len(bench.stand.hurt()) == 2 and all(door.held() for door in doors) and containers and caught

    try:
        eventually(everything_hurt, 30, "everything is hurt")
        with burning(2 * (os.cpu_count() or 1) if condition == "busy" else 0):
            if hanging:
                bench.second.send_signal(signal.SIGSTOP)
                doors = doors[1:]
            time.sleep(BUSY_S if condition == "busy" else SETTLED_S)
            assert run.poll() is None, "the run has ended before anybody pressed a switch"
            begun_wall_s = time.time()
            match switch:
                case "Ctrl-C":
                    run.send_signal(signal.SIGINT)
                case "chaos stop":
                    argv = [sys.executable, "-m", "chaos", "stop"]
                    environment, folder = bench.stand.environment(), bench.stand.folder
                    command = subprocess.Popen(argv, env=environment, cwd=folder, stderr=subprocess.DEVNULL)
                case _:
                    begun_wall_s = bench.gauge.break_it()
            looks = {f"proxy {number}": door.held for number, door in enumerate(doors)}
            looks["processes"] = bench.stand.hurt  # type: ignore[assignment]
            if held is not None:
                looks["partition"] = held.cut_off
            took = seconds_until_back(looks, begun_wall_s)
        time.sleep(max(0.0, begun_wall_s + hold_s - time.time()))
        let_go_wall_s, as_wanted = time.time(), True
    finally:
        bench.second.send_signal(signal.SIGCONT)
        if engine is not None:
            engine.let_go()
        for _ in range(2):  # the second one skips the report, which nobody reads; neither skips an undo
            if run.poll() is None:
                run.send_signal(signal.SIGINT)
                time.sleep(0.05)
        said, _ = run.communicate(timeout=60)
        if not as_wanted:
            print(said[-3000:], file=sys.stderr)
        if command is not None:
            command.wait(60)
    eventually(lambda: not bench.stand.left(), 20, "nothing is left")
    return _by_kind(bench, took, begun_wall_s, let_go_wall_s, hanging=hanging)


def _by_kind(
    bench: Bench, took: Mapping[str, float], begun_wall_s: float, let_go_wall_s: float, *, hanging: bool
) -> dict[str, float]:
    found = {"proxies": max(one for name, one in took.items() if name.startswith("proxy"))}
    found["processes"] = took["processes"]
    if bench.boxes is not None:
        back = [bench.boxes.back_at_s(fault, begun_wall_s) - begun_wall_s for fault in ("kill", "pause")]
        found["containers"] = max(took["partition"], *back)
        if hanging:
            found[HUNG] = bench.boxes.back_at_s("hung", let_go_wall_s) - let_go_wall_s
    return found


@contextmanager
def benched(folder: Path, *, docker: bool) -> Iterator[Bench]:
    """Everything that runs end at, until the block ends."""
    with ExitStack() as stack:
        watched = stack.enter_context(gauge())
        stand = stack.enter_context(standing(folder, monitoring.find(ROOT / ".chaos"), JOB.format(port=watched.port)))
        route, control = free_ports(2)
        argv = [
            sys.executable, "-m", "chaos.proxy", "--route", f"model=127.0.0.1:{route}>127.0.0.1:9",
            "--control", f"127.0.0.1:{control}", "--token-file", str(folder / "token"), "--protocol", "oip",
        ]  # fmt: skip
        second = stack.enter_context(running(argv, folder, "second-proxy"))
        door = Door(f"http://127.0.0.1:{control}", TOKEN)
        eventually(lambda: not door.held(), 20, "the second proxy answers")
        engine = stack.enter_context(holding(folder)) if docker else None
        hurt = stack.enter_context(boxes(ROOT / ".chaos")) if docker else None
        yield Bench(stand, watched, (f"http://127.0.0.1:{control}", stand.control), second, hurt, engine)


def machine(bench: Bench) -> dict[str, str]:
    """What the figures depend on."""
    found = {"processors": str(os.cpu_count()), "Linux": platform.release(), "Python": platform.python_version()}
    if bench.boxes is not None:
        found["Docker"] = str(bench.boxes.client.version()["Version"])
    return found


def main() -> int:
    """The measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.offswitch", description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="of each switch under each condition")
    parser.add_argument("--quick", action="store_true", help="three runs of each, which say little")
    parser.add_argument("--docker", action="store_true", help="containers, too")
    parser.add_argument("--publish", action="store_true", help="keep the figures and write docs/offswitch.md")
    parser.add_argument(
        "--render", type=Path, metavar="FILE", help="measure nothing, make the page of this stored result"
    )
    given = parser.parse_args()
    # A shell may have started this with Ctrl-C ignored; containers must not stay.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    if given.render is not None:
        PAGE.write_text(page(Result.from_json(given.render.read_text())))
        return 0
    runs = 3 if given.quick else given.runs
    took: list[tuple[str, str, Mapping[str, float]]] = []
    with tempfile.TemporaryDirectory() as folder, benched(Path(folder), docker=given.docker) as bench:
        for number in range(runs):
            for condition in CONDITIONS:
                for switch in SWITCHES:
                    hold_s = HELD_S if given.docker and condition == "hanging" and number % 10 == 0 else 0.0
                    took.append((condition, switch, once(bench, condition, switch, hold_s=hold_s)))
            print(f"{number + 1} of {runs} rounds", file=sys.stderr, flush=True)
        result = Result(datetime.now(UTC).strftime("%Y-%m-%d"), machine(bench), collected(took))
    print(page(result))
    if given.publish and not given.quick:
        (RESULTS / f"{result.date}.json").write_text(result.to_json())
        PAGE.write_text(page(result))
    for cell in result.missed():
        print(f"over its budget: {cell.switch}, {cell.condition}, {cell.what}: {cell.p90_s():.2f} s", file=sys.stderr)
    return 1 if result.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
