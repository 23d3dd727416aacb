"""Rules that somebody loads into the lab's Prometheus beside the lab's own, to see whether the missing one closes the gap.

file ─▶ promtool ─▶ LAB/added-NAME.yml ─▶ reload ─▶ seen among the loaded rules
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import yaml

from chaos.drivers.http import ask, json_of, session
from chaos.errors import ChaosError, Unreachable
from chaos.lab.processes import LabStatus
from chaos.lab.topology import ADDED_RULES

WITHIN_S = 10.0
"""A reload is a matter of milliseconds; on an overloaded machine, of seconds."""
PROMETHEUS = "the lab's Prometheus"


class BadRules(ChaosError):
    """The file is none that Prometheus would load."""

    exit_code = 2


def add(lab: LabStatus, file: Path, promtool: Path) -> list[str]:
    """The rules of this file are evaluated by the lab's Prometheus; their names. A file of the same name takes its place.

    Raises BadRules with what Prometheus' own checker says of a file that cannot be loaded, before anything is changed; Unreachable.
    """
    _must_be_up(lab)
    text = _checked(file, promtool)
    names = _names(text)
    if not names:
        raise BadRules(f"{file} has no rule; write one under `groups:`")
    there = lab.folder / ADDED_RULES.replace("*", file.stem)
    before = there.read_text(encoding="utf-8") if there.exists() else None
    there.write_text(text, encoding="utf-8")
    try:
        _reload(lab)
    except Unreachable:  # else the next reload, whoever wants that, would load it, or fail of it
        if before is None:
            there.unlink()
        else:
            there.write_text(before, encoding="utf-8")
        raise
    _wait(lab, set(names))
    return names


def drop(lab: LabStatus) -> list[str]:
    """None of the added rules is evaluated any more; their names."""
    _must_be_up(lab)
    names: list[str] = []
    for path in sorted(lab.folder.glob(ADDED_RULES)):
        names += _names(path.read_text(encoding="utf-8"))
        path.unlink()
    if names:
        _reload(lab)
    return names


def _must_be_up(lab: LabStatus) -> None:
    if not lab.up:
        raise Unreachable(f"the lab `{lab.name}` is not up; run `chaos lab up`")


def _checked(file: Path, promtool: Path) -> str:
    if not file.exists():
        raise BadRules(
            f"there is no file {file}; name a file of Prometheus' rules. `chaos coverage --suggest {file}` writes one where it finds a "
            "rule, and says why where it finds none"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRules(f"{file} cannot be read: {error}") from error
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise BadRules(f"{file} was not loaded: {(said or ['promtool refuses it'])[-1].removeprefix(f'{file}: ')}")
    return text


def _names(text: str) -> list[str]:
    groups = (yaml.safe_load(text) or {}).get("groups") or ()
    return [str(rule.get("alert") or rule["record"]) for group in groups for rule in group.get("rules") or ()]


def _reload(lab: LabStatus) -> None:
    with session() as asking:
        said = ask(asking, "POST", f"http://{lab.outside['prometheus']}/-/reload", what=PROMETHEUS, timeout_s=WITHIN_S)
    if not said.ok:
        raise Unreachable(f"the lab's Prometheus did not reload its rules: {said.text.strip()}")


def _wait(lab: LabStatus, names: set[str]) -> None:
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        with session() as asking:
            said = ask(
                asking, "GET", f"http://{lab.outside['prometheus']}/api/v1/rules", what=PROMETHEUS, timeout_s=WITHIN_S
            )
            data = json_of(said, PROMETHEUS)["data"]
        if names <= {rule["name"] for group in data["groups"] for rule in group["rules"]}:
            return
        time.sleep(0.1)
    raise Unreachable(f"the lab's Prometheus does not show {', '.join(sorted(names))} after {WITHIN_S:g} s")
