"""The examples of deploy/gamedays: each is what its reader takes, and says what the documents say of it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from chaos.app.cli import app
from chaos.app.gameday.loading import load_day
from chaos.app.gameday.server import STOP_S
from chaos.gameday import Schedule, parse_gameday, starts
from tests.gameday.values import at

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy" / "gamedays"
SHIPPED, _ = parse_gameday((ROOT / "experiments" / "gameday.yaml").read_text(), "gameday.yaml", {})


def options(command: str) -> set[str]:
    """The options of `chaos gameday COMMAND`."""
    found: Any = get_command(app)
    return {option for one in found.commands["gameday"].commands[command].params for option in one.opts}


def named(words: list[str]) -> tuple[str, set[str]]:
    """The command of `… gameday COMMAND …`, and the options that it is given."""
    place = words.index("gameday")
    return words[place + 1], {word for word in words[place + 2 :] if word.startswith("--")}


def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(HERE / "chaos-gameday.service")
    return found


def test_the_unit_gives_the_server_longer_to_end_than_it_takes_and_kills_no_warden() -> None:
    service = unit()["Service"]
    assert float(service["TimeoutStopSec"]) > STOP_S
    assert service["KillMode"] == "process"  # every other value that ends anything kills wardens with the group
    command, given = named(service["ExecStart"].split())
    assert command == "serve"
    assert given <= options("serve")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    def verify(text: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "chaos-gameday.service"
        path.write_text(text.replace("/srv/chaos/.venv/bin/chaos", sys.executable))
        return subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    text = (HERE / "chaos-gameday.service").read_text()
    about = [line for line in verify(text).stderr.splitlines() if "chaos-gameday" in line]
    assert about == []
    wrong = verify(text.replace("KillMode=process", "KillMode=proces"))
    assert "chaos-gameday" in wrong.stderr


def test_the_crontab_line_starts_when_the_shipped_game_day_does() -> None:
    [line] = [line for line in (HERE / "crontab").read_text().splitlines() if not line.startswith("#")]
    *fields, rest = line.split(maxsplit=5)
    zone, after = "Europe/Berlin", at("2026-01-01 00:00")
    here = Schedule(cron=" ".join(fields), timezone=zone)
    assert list(islice(starts(here, after), 60)) == list(islice(starts(SHIPPED.calendar, after), 60))
    command, given = named(rest.split())
    assert command == "run"
    assert given <= options("run")


def test_the_workflow_is_what_github_publishes_of_workflows(tmp_path: Path) -> None:
    def check(text: str) -> int:
        path = tmp_path / "workflow.yml"
        path.write_text(text)
        words = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
        return subprocess.run([sys.executable, *words], capture_output=True, check=False, timeout=60).returncode

    text = (HERE / "github-actions.yml").read_text()
    assert check(text) == 0
    assert check(text.replace("runs-on:", "run-on:")) != 0
    steps = yaml.safe_load(text)["jobs"]["game-day"]["steps"]
    [words] = [step["run"].split() for step in steps if "gameday" in step.get("run", "")]
    assert named(words[: words.index("|")])[1] <= options("run")


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((HERE / "cronjob.yaml").read_text()))


def test_the_manifests_are_what_kubernetes_publishes_of_their_kinds() -> None:
    for one in manifests():
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)
    broken = manifests()[0]
    broken["spec"]["shedule"] = broken["spec"].pop("schedule")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


def test_the_clusters_game_day_is_right_with_all_its_files_and_never_begins_again_by_itself(tmp_path: Path) -> None:
    job, _, files = manifests()
    for name, text in files["data"].items():
        (tmp_path / name).write_text(text)
    made = load_day(tmp_path / "gameday.yaml", variables={"CHAOS_PROXY_TOKEN": "0123456789abcdef"}, state=tmp_path)
    assert made.names() == ["slow-loan-model-tells"]
    spec = job["spec"]["jobTemplate"]["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] > made.longest_s()
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > STOP_S
    assert named(pod["containers"][0]["args"])[1] <= options("run")
    container = pod["containers"][0]
    [state] = [one["value"] for one in container["env"] if one["name"] == "CHAOS_STATE"]
    [writable] = [one for one in container["volumeMounts"] if state.startswith(f"{one['mountPath']}/")]
    assert not writable.get("readOnly")
    assert {"name": writable["name"], "persistentVolumeClaim": {"claimName": "chaos-runs"}} in pod["volumes"]
