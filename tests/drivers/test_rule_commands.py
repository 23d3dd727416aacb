"""`chaos coverage` and `chaos check --live`, as people call them, against a real Prometheus with broken rules and right ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from chaos.drivers.ports import free_ports
from tests.drivers.rule_stand import BROKEN, FIRING, MANY, RIGHT, Stand
from tests.values import EXPERIMENT, SYSTEM, edited

ALERT = EXPERIMENT[EXPERIMENT.index("    - alert:") :]


def chaos(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "chaos", *words]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_coverage_sorts_every_rule_and_says_a_sentence_of_each(rule_stand: Stand, tmp_path: Path) -> None:
    url = rule_stand.prometheus.url
    found = chaos("coverage", "--prometheus", url, "--json", folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    said = json.loads(found.stdout)
    assert len(said["rules"]) == len(BROKEN) + len(RIGHT) + len(FIRING) + MANY
    assert Counter(one["place"] for one in said["rules"]) == Counter(said["counts"])
    assert all(one["sentence"] for one in said["rules"])
    placed = {one["alert"]: one for one in said["rules"]}
    for name, (_, kinds) in BROKEN.items():
        assert [f"{one['kind']}: {one['verdict']}" for one in placed[name]["problems"]] == kinds
    shown = chaos("coverage", "--prometheus", url, folder=tmp_path)
    lines = shown.stdout.splitlines()
    assert lines[0].startswith(f"{len(placed)} alert rules of {url}, over the last 7d, of which")
    assert f"{said['counts']['cannot fire']}  cannot fire" in shown.stdout
    assert [line for line in lines if line in ("Cannot fire", "Always firing", "Never fired in the recording")] == [
        "Cannot fire", "Always firing", "Never fired in the recording",
    ]  # fmt: skip
    assert all(f"  {name}  named" in shown.stdout for name in placed if not name.startswith("Many"))
    assert list(tmp_path.iterdir()) == [], "it only reads"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--prometheus", "localhost:9090"), 2, "is no address; write something like http://127.0.0.1:9090"),
        (("--prometheus", "http://127.0.0.1:PORT"), 3, "cannot be reached"),
        (("--prometheus", "http://127.0.0.1:PORT", "--over", "soon"), 2, "--over"),
        (("--prometheus", "http://127.0.0.1:PORT", "--over", "5s"), 2, "less than a minute says nothing"),
        (("--alertmanager", "http://127.0.0.1:PORT"), 2, "write --prometheus, too"),
        (("--prometheus", "http://127.0.0.1:PORT", "--fail-under", "80%"), 2, "rules alone prove nothing of faults"),
        (("--fail-under", "0.8"), 2, "write 80%"),
        (("--fail-under", "80%"), 1, "there is no score yet"),
        (("--max-age", "old"), 2, "--max-age"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_sentence(
    words: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    nobody = str(free_ports(1)[0])
    found = chaos("coverage", *(word.replace("PORT", nobody) for word in words), folder=tmp_path)
    assert found.returncode == code
    assert said in " ".join(found.stderr.replace("│", " ").split())
    assert "Traceback" not in found.stderr


def experiment(folder: Path, prometheus: str, *alerts: str) -> Path:
    """An experiment that expects these alerts, beside its system."""
    system = edited(SYSTEM, ("http://127.0.0.1:9090", prometheus))
    (folder / "system.yaml").write_text(system.replace("traffic.jsonl", str(folder / "traffic.jsonl")))
    (folder / "traffic.jsonl").write_text("{}\n")
    expected = "".join(f"    - alert: {name}\n" for name in alerts)
    path = folder / "experiment.yaml"
    path.write_text(
        edited(
            EXPERIMENT,
            (ALERT, expected),
            ("probe: latency", "probe: latency_p99"),
            ("system: lab", "system: system.yaml"),
        )
    )
    return path


def test_check_live_is_wrong_about_every_alert_that_cannot_fire_at_its_place_and_doubts_others(
    rule_stand: Stand, tmp_path: Path
) -> None:
    path = experiment(tmp_path, rule_stand.prometheus.url, "Accuracy", "NoSuchMetric", "RawCounter", "Bool", "Acuracy")
    found = chaos("check", "--live", str(path), folder=tmp_path)
    assert found.returncode == 2, found.stderr
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "NoSuchMetric" in text)
    assert (
        f"{path}:{line}:7: expect.alerts[1]: NoSuchMetric cannot fire: no series is called `model_acuracy`"
        in found.stderr
    )
    assert "expect.alerts[3]: Bool always fires: " in found.stderr
    assert "expect.alerts[4]: the alert Acuracy is not loaded in Prometheus; did you mean `Accuracy`?" in found.stderr
    assert "RawCounter" not in found.stderr
    assert "can fire: Accuracy, RawCounter" in found.stdout
    assert "  ? RawCounter may not do what it says: `errors_total` only grows" in found.stdout


def test_check_live_is_content_with_an_alert_that_can_fire_and_says_it_to_machines(
    rule_stand: Stand, tmp_path: Path
) -> None:
    path = experiment(tmp_path, rule_stand.prometheus.url, "Accuracy", "RawCounter")
    found = chaos("check", "--live", "--json", str(path), folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    [said] = json.loads(found.stdout)
    assert [(one["alert"], one["can_fire"], len(one["problems"])) for one in said["alerts"]] == [
        ("Accuracy", True, 0),
        ("RawCounter", True, 1),
    ]


def test_check_live_needs_the_system_and_its_prometheus(tmp_path: Path) -> None:
    path = experiment(tmp_path, f"http://127.0.0.1:{free_ports(1)[0]}", "Accuracy")
    found = chaos("check", "--live", str(path), folder=tmp_path)
    assert found.returncode == 3
    assert "cannot be reached" in found.stderr
    (tmp_path / "system.yaml").unlink()
    assert chaos("check", str(path), folder=tmp_path).returncode == 0
    found = chaos("check", "--live", str(path), folder=tmp_path)
    assert found.returncode == 2
    assert "there is no system `system.yaml`" in found.stderr
    assert chaos("check", "--json", str(path), folder=tmp_path).returncode == 2
