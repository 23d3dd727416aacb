"""`python -m benchmarks.catalogue`: every fault's experiment runs in the lab, and docs/coverage.md says what noticed it.

experiments/catalogue/NAME.yaml ─▶ run ─▶ results/NAME.json, at once ─▶ docs/coverage.md

A fault that has a result is not run again, so an interrupted catalogue goes on where it was. `--again` runs it anew; `--only NAME…`
runs these alone, again. `--docker` runs what needs real containers, and nothing else. `--name` lets a second lab be up beside another.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import requests
import yaml

from benchmarks.catalogue.page import page
from benchmarks.catalogue.results import result_of, store, stored
from chaos.app import files as loading
from chaos.app.running import RunOptions, prepare, run
from chaos.drivers.folder import RunFolder
from chaos.drivers.http import session
from chaos.errors import ChaosError
from chaos.faults import catalogue
from chaos.lab import compose, monitoring, places, topology
from chaos.lab.processes import LabStatus
from chaos.telemetry import carries
from chaos.version import VERSION

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments" / "catalogue"
PAGE = ROOT / "docs" / "coverage.md"
STATE = ROOT / ".chaos"
NAMES = {False: "catalogue", True: "catalogue-docker"}
"""What the lab is called, unless another name is asked for: as local processes, and in Docker."""
IN_DOCKER = "docker"
"""The tag of an experiment that needs real containers."""
COMMANDS = {
    "external": (
        sys.executable,
        "-m",
        "benchmarks.catalogue.another_tool",
        compose.container("LAB", topology.REPLICAS[0]),
    )
}
"""Experiment → the command of another tool that it judges; LAB is what the lab is called."""
QUIET_S, LONGEST_S = 6.0, 240.0
"""How long no alert may be pending before the next run, and how long that may take."""


def rules() -> list[dict[str, Any]]:
    """Every alerting rule of the lab, of all its files, as they are written."""
    found = sorted(
        (one for one in files("chaos.lab").iterdir() if one.name.startswith("rules")), key=lambda one: one.name
    )
    return [rule for one in found for group in yaml.safe_load(one.read_text())["groups"] for rule in group["rules"]]


def alerts(match: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Every alert of the lab whose labels carry these, apart from the one that always fires."""
    return [rule["alert"] for rule in rules() if rule["alert"] != "Watchdog" and carries(rule["labels"], match)]


def experiments(only: Sequence[str], *, docker: bool, again: bool) -> list[Path]:
    """The experiments to run: those asked for, or those that have no result yet. Raises SystemExit when one does not exist."""
    known = {path.stem: path for path in sorted(EXPERIMENTS.glob("*.yaml"))}
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise SystemExit(f"no experiment for {', '.join(unknown)} in {EXPERIMENTS.relative_to(ROOT)}")
    have = set(stored())
    wanted = [path for name, path in known.items() if name in only or (not only and (again or name not in have))]
    return [path for path in wanted if needs_docker(path) == docker]


def system_of(path: Path, lab: str) -> str:
    """The system that the experiment runs against in the lab of this name: `lab` is the lab itself, `lab-NAME` a part of it."""
    return lab + str(yaml.safe_load(path.read_text())["system"]).removeprefix("lab")


def needs_docker(path: Path) -> bool:
    """Whether the experiment says that it needs real containers."""
    return IN_DOCKER in yaml.safe_load(path.read_text()).get("tags", [])


def variables(lab: LabStatus, *, docker: bool) -> dict[str, str]:
    """What the experiments' `${NAME}` become: where the fault proxy finds the older model."""
    where = compose.inside() if docker else lab.outside
    return {"LOAN_MODEL_OLD": f"http://{where[topology.OLD_MODEL]}"}


def wait_quiet(lab: LabStatus) -> None:
    """No alert of an earlier run has been pending or firing for a while. Raises SystemExit when they do not end."""
    until_s, loud_s = time.monotonic() + LONGEST_S, time.monotonic()
    using = session()
    while time.monotonic() - loud_s < QUIET_S:
        found = using.get(f"http://{lab.outside['prometheus']}/api/v1/alerts", timeout=5).json()["data"]["alerts"]
        loud = {one["labels"]["alertname"] for one in found} - {"Watchdog"}
        if loud:
            loud_s = time.monotonic()
        if time.monotonic() > until_s:
            raise SystemExit(f"the lab does not get quiet: {', '.join(sorted(loud))}")
        time.sleep(0.5)


def versions() -> dict[str, str]:
    """What took part, and in which version."""
    tools = monitoring.find(STATE)
    return {
        "chaos-ml": VERSION,
        "Prometheus": _version(tools.prometheus),
        "Alertmanager": _version(tools.alertmanager),
        "Python": sys.version.split()[0],
    }


def _version(program: Path) -> str:
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).partition("version ")[2].split(maxsplit=1)[0].rstrip(",")


def command(path: Path, lab: LabStatus) -> list[str]:
    """The command of another tool that this experiment judges; empty when it has none."""
    return [part.replace("LAB", lab.name) for part in COMMANDS.get(path.stem, ())]


def one(path: Path, lab: LabStatus, given: Mapping[str, str], took_part: Mapping[str, str]) -> bool:
    """The experiment has run and its result is stored; whether everything that was expected came true."""
    wait_quiet(lab)
    begun_s = time.monotonic()
    loaded = loading.load(path, system=system_of(path, lab.name), variables=given, state=STATE)
    ended = run(prepare(loaded), RunOptions(STATE / "catalogue", command=command(path, lab)))
    lines = RunFolder(ended.folder).lines()
    watched = alerts(loaded.system.alerts.match)
    result = result_of(lines, date=time.strftime("%Y-%m-%d"), rules=watched, versions=dict(took_part))
    store(result)
    fired = ", ".join(f"{alert} {after_s:.0f}s" for alert, after_s in result.fired.items()) or "nothing"
    print(f"{path.stem:24} {result.verdict:12} {time.monotonic() - begun_s:4.0f}s  {fired}", flush=True)
    if result.verdict != "confirmed":
        print(f"{'':24} {result.sentence}\n{'':24} {ended.folder}", flush=True)
    return result.verdict == "confirmed"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 when every run showed what was expected, 1 when one did not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalogue", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these faults alone, again")
    parser.add_argument("--again", action="store_true", help="those that have a result, too")
    parser.add_argument("--docker", action="store_true", help="what needs real containers, and nothing else")
    parser.add_argument("--name", help="what the lab is called; two catalogues at once need two names")
    parser.add_argument("--page", action="store_true", help="only write docs/coverage.md anew")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    given = parser.parse_args(arguments)
    wanted = [] if given.page else experiments(given.only, docker=given.docker, again=given.again)
    good = True
    if wanted:
        name = given.name or NAMES[given.docker]
        lab = places.up(name, STATE, lambda said: print(said, flush=True), docker=given.docker)
        try:
            took_part, values = versions(), variables(lab, docker=given.docker)
            for path in wanted:
                try:
                    good = one(path, lab, values, took_part) and good
                except (ChaosError, requests.RequestException) as error:
                    print(f"{path.stem:24} {error}", flush=True)
                    good = False
        finally:
            if not given.keep:
                places.down(name, STATE, lambda said: print(said, flush=True))
    PAGE.write_text(page(catalogue(), stored(), alerts()))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
