"""Whole runs with somebody looking on: a file of metrics and a Grafana, which hear of the fault while it is on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.verdict import PROVES_NOTHING
from tests.drivers.loopback import Asked, Said, serving
from tests.safety.stand import Stand, nothing_left

pytestmark = [pytest.mark.timeout(60)]
TOKEN = "glsa_secret-of-grafana"


def with_grafana(stand: Stand, url: str) -> Path:
    path = stand.folder / "annotated.yaml"
    text = (stand.folder / "system.yaml").read_text()
    path.write_text(f"{text}announce: {{grafana: {{url: '{url}', token: {TOKEN}}}}}\n")
    return path


def test_grafana_and_the_metrics_file_know_of_the_fault_while_it_is_on(stand: Stand) -> None:
    file, during = stand.folder / "run.prom", []

    def answer(asked: Asked) -> Said:
        if asked.method == "POST":
            during.append(file.read_text())
        return Said(200, b'{"id": 7, "message": "Annotation added"}')

    with serving(answer) as here:
        system = with_grafana(stand, here.url)
        answered = stand.chaos(
            "run", "--json", "--metrics-file", str(file), "--system", str(system), str(stand.experiment("pause"))
        )
        asked = list(here.asked)
    run = json.loads(answered.stdout)["run"]
    said = [(one.method, one.path) for one in asked]
    posts = said.count(("POST", "/api/annotations"))
    assert posts == said.count(("PATCH", "/api/annotations/7")) >= 1, answered.stderr
    begun, ended = json.loads(asked[0].body), json.loads(asked[-1].body)
    assert run in begun["text"]
    assert begun["tags"][0] == "chaos"
    assert ended["timeEnd"] > begun["time"]
    assert 'chaos_fault_active{experiment="dies",system="stand",fault="pause",target="model"} 1' in during[0]
    last = file.read_text()
    assert 'fault="pause",target="model"} 0' in last
    assert 'state="ended"} 1' in last
    nothing_left(stand, 1.0)
    kept = [
        path.read_text(errors="replace")
        for folder in (stand.folder / "runs").glob("*")
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert kept
    assert not [text for text in kept if TOKEN in text]


def test_a_grafana_that_hangs_and_a_file_that_cannot_be_written_harm_no_run(stand: Stand) -> None:
    with serving(lambda _: (here.released.wait(30) and Said()) or Said()) as here:
        system = with_grafana(stand, here.url)
        answered = stand.chaos(
            "run", "--json", "--metrics-file", str(stand.folder / "none" / "run.prom"), "--system", str(system),
            str(stand.experiment("pause")),
        )  # fmt: skip
    assert json.loads(answered.stdout)["verdict"] not in PROVES_NOTHING
    assert "MetricsFile" in answered.stderr
    assert "Annotations has not told everything" in answered.stderr or "Grafana does not show" in answered.stderr
    nothing_left(stand, 1.0)
