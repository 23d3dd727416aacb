"""Grafana is told of faults as its documentation asks, and of its trouble people hear at the end. Against a Grafana on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from chaos.app.annotating import Annotations
from chaos.drivers.grafana import GrafanaClient
from chaos.drivers.ports import free_ports
from chaos.errors import InvalidFile
from chaos.events import State
from chaos.history.now import FaultNow, Now
from chaos.system import parse_system
from tests.drivers.loopback import Asked, Loopback, Said, serving
from tests.values import SYSTEM

TOKEN = "glsa_secret"
FAULT = FaultNow("f-0", "delay", "model", "300 ms later")
NOW = Now("wrong-1", "wrong", "lab", 1.7e9, 1.7e9, State.baseline, (FAULT,))
ON = replace(NOW, faults=(replace(FAULT, on=True, since_wall_s=1.7e9 + 0.25),))
GONE = replace(NOW, faults=(replace(FAULT, since_wall_s=1.7e9 + 0.25, until_wall_s=1.7e9 + 30.0),))


@dataclass
class Grafana:
    """Answers as the documentation of the annotations API says; refuses, with 400, what it does not allow."""

    annotations: dict[int, dict[str, object]] = field(default_factory=dict)
    refuses: int | None = None

    def __call__(self, asked: Asked) -> Said:
        if self.refuses is not None:
            return Said(self.refuses, b'{"message": "no"}')
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Said(401, b'{"message": "Unauthorized"}')
        said = json.loads(asked.body)
        times = [said[name] for name in ("time", "timeEnd") if name in said]
        if asked.headers["content-type"] != "application/json" or not all(type(at) is int for at in times):
            return Said(400)
        known = {"text": str, "tags": list, "time": int, "timeEnd": int, "dashboardUID": str, "panelId": int}
        if any(not isinstance(value, known.get(name, ())) for name, value in said.items()):
            return Said(400)
        if (asked.method, asked.path) == ("POST", "/api/annotations") and said.get("text"):
            self.annotations[len(self.annotations) + 1] = said
            return Said(200, json.dumps({"message": "Annotation added", "id": len(self.annotations)}).encode())
        number = int(asked.path.removeprefix("/api/annotations/"))
        if (
            asked.method == "PATCH"
            and number in self.annotations
            and said.keys() <= {"text", "tags", "time", "timeEnd"}
        ):
            self.annotations[number] |= said
            return Said(200, b'{"message": "Annotation patched"}')
        return Said(404)


@contextmanager
def grafana(
    token: str = TOKEN, dashboard: str | None = None, panel: int | None = None
) -> Iterator[tuple[Grafana, Loopback, Annotations]]:
    answers = Grafana()
    with serving(answers) as here:
        yield answers, here, Annotations(GrafanaClient(here.url, token, timeout_s=5.0), dashboard, panel)


def test_a_fault_is_marked_at_its_first_effect_and_becomes_a_region_at_its_removal() -> None:
    with grafana() as (answers, here, annotations):
        for now in (NOW, ON, ON, GONE, GONE):
            annotations.follow(now)
        assert annotations.close() == []
    assert [(one.method, one.path) for one in here.asked] == [
        ("POST", "/api/annotations"),
        ("PATCH", "/api/annotations/1"),
    ]
    assert json.loads(here.asked[0].body)["time"] == 1_700_000_000_250
    assert "timeEnd" not in json.loads(here.asked[0].body)
    assert answers.annotations == {
        1: {
            "text": "wrong: 300 ms later (wrong-1)",
            "tags": ["chaos", "wrong", "delay", "model"],
            "time": 1_700_000_000_250,
            "timeEnd": 1_700_000_030_000,
        }
    }


def test_a_dashboard_and_a_panel_are_named_when_the_system_file_does() -> None:
    with grafana(dashboard="abc", panel=4) as (answers, _, annotations):
        annotations.follow(ON)
    assert (answers.annotations[1]["dashboardUID"], answers.annotations[1]["panelId"]) == ("abc", 4)


def test_each_fault_has_its_own_annotation() -> None:
    with grafana() as (answers, _, annotations):
        annotations.follow(replace(ON, faults=(*ON.faults, replace(ON.faults[0], id="f-1", fault="kill"))))
    assert [one["tags"][2] for one in answers.annotations.values()] == ["delay", "kill"]  # type: ignore[index]


def test_what_was_refused_is_tried_again_and_then_whole() -> None:
    with grafana() as (answers, _, annotations):
        answers.refuses = 503
        annotations.follow(ON)
        answers.refuses = None
        annotations.follow(GONE)
        assert annotations.close() == []
    [one] = answers.annotations.values()
    assert (one["time"], one["timeEnd"]) == (1_700_000_000_250, 1_700_000_030_000)


@pytest.mark.parametrize(
    ("refuses", "why"), [(500, "answered 500"), (403, "may not write annotations"), (302, "answered 302")]
)
def test_what_grafana_does_not_show_is_said_at_the_end_without_the_token(refuses: int, why: str) -> None:
    with grafana() as (answers, _, annotations):
        answers.refuses = refuses
        annotations.follow(ON)
        annotations.follow(GONE)
        [said] = annotations.close()
    assert "Grafana does not show when delay at model was on" in said
    assert why in said
    assert TOKEN not in said


def test_a_wrong_token_and_a_server_that_is_gone_are_said_too() -> None:
    with grafana(token="wrong") as (_, _, annotations):
        annotations.follow(GONE)
        assert "may not write annotations" in annotations.close()[0]
    [port] = free_ports(1)
    annotations = Annotations(GrafanaClient(f"http://127.0.0.1:{port}", TOKEN), None, None)
    annotations.follow(GONE)
    assert "cannot be reached" in annotations.close()[0]


def test_a_fault_that_was_not_undone_stays_open_and_is_said() -> None:
    with grafana() as (answers, _, annotations):
        annotations.follow(ON)
        assert "it was not undone" in annotations.close()[0]
    assert "timeEnd" not in answers.annotations[1]


def test_a_run_that_hurt_nobody_tells_grafana_nothing() -> None:
    with grafana() as (_, here, annotations):
        annotations.follow(NOW)
        assert annotations.close() == []
    assert here.asked == []


def announced(said: str) -> object:
    return parse_system(f"{SYSTEM}announce: {said}\n", "system.yaml", {})[0].announce


def test_a_system_file_names_its_grafana_and_keeps_its_token_secret() -> None:
    found = announced("{grafana: {url: 'http://127.0.0.1:3000', token: glsa_secret, dashboard: abc, panel: 2}}")
    assert "glsa_secret" not in repr(found)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{}", "nobody is told"),
        ("{grafana: {url: 'http://127.0.0.1:3000'}}", "token"),
        ("{grafana: {url: nowhere, token: x}}", "no address"),
        ("{grafana: {url: 'http://127.0.0.1:3000', token: x, panel: 2}}", "write `dashboard: UID`, too"),
        ("{grafana: {url: 'http://127.0.0.1:3000', token: x, dashbord: y}}", "dashboard"),
    ],
)
def test_a_grafana_that_cannot_be_right_is_refused(said: str, why: str) -> None:
    with pytest.raises(InvalidFile, match=why):
        announced(said)
