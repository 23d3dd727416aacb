"""Faults of containers: what a driver is asked to do, as plain data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.document import read_document
from chaos.faults import catalogue
from chaos.faults.base import Fault
from chaos.faults.containers import VERBS, Act, ContainerFault, act_of

KINDS = {name: kind for name, kind in catalogue().items() if issubclass(kind, ContainerFault)}
DOING = [(name, example.yaml) for name, kind in KINDS.items() for example in kind.examples if example.does]


def made(text: str) -> ContainerFault:
    document = read_document(text, "experiment.yaml", {})
    assert isinstance(document.data, dict)
    fault = catalogue()[str(document.data["fault"])].model_validate(document.data)
    assert isinstance(fault, ContainerFault)
    return fault


def test_every_verb_has_its_fault_and_every_fault_of_containers_has_a_verb() -> None:
    assert set(KINDS) == set(VERBS)
    assert {name for name, kind in catalogue().items() if kind.acts_on == "container"} == set(KINDS)


@pytest.mark.parametrize(("name", "text"), DOING)
def test_what_a_driver_is_asked_survives_the_plan_and_the_disk(name: str, text: str) -> None:
    act = made(text).wanted()
    assert act.verb == name
    assert act.lasts_s == 30.0
    assert act_of(made(text).model_dump_json()) == act
    assert Act.from_json(act.to_json()) == act


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("{fault: kill, target: m, containers: 3}", {}),
        ("{fault: stop, target: m}", {"grace": 5.0}),
        ("{fault: restart, target: m, grace: 500ms}", {"grace": 0.5}),
        ("{fault: cpu_limit, target: m, cpus: 0.2}", {"cpus": 0.2}),
        ("{fault: memory_limit, target: m, size: 256MB}", {"size": 256_000_000}),
        ("{fault: cpu_stress, target: m}", {"workers": 1}),
        ("{fault: memory_stress, target: m, size: 1GiB, oom: true}", {"size": 1024**3, "oom": True}),
        ("{fault: disk_fill, target: m, size: 64kB}", {"size": 64_000, "path": "/tmp"}),
        ("{fault: network_delay, target: m, by: 50ms, jitter: 5ms}", {"by": 0.05, "jitter": 0.005}),
        ("{fault: network_loss, target: m, loss: 10%}", {"loss": 0.1}),
        ("{fault: network_corruption, target: m, damaged: 5%}", {"damaged": 0.05}),
        ("{fault: network_bandwidth, target: m, rate: 100kB/s}", {"rate": 100_000.0}),
        ("{fault: network_partition, target: m, how: refuse}", {"how": "refuse"}),
    ],
)
def test_quantities_reach_the_driver_in_seconds_bytes_and_shares(text: str, parameters: dict[str, Any]) -> None:
    assert made(text).wanted() == Act(made(text).fault, parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["relative", "/a b", "/a;rm -rf /", "/$(id)", "/`id`", "/a\nb", "/a'b", '/a"b', "/" + "a" * 300]
)
def test_a_folder_whose_name_a_shell_could_take_for_more_is_refused(path: str) -> None:
    with pytest.raises(ValueError):
        KINDS["disk_fill"].model_validate({"target": "m", "size": 1000, "path": path})


@given(
    st.dictionaries(
        st.text(max_size=8), st.one_of(st.text(max_size=8), st.integers(), st.floats(allow_nan=False), st.booleans())
    )
)
def test_an_act_is_read_back_as_it_was_written(parameters: dict[str, Any]) -> None:
    act = Act("kill", parameters, 1.5)
    assert Act.from_json(act.to_json()) == act


@pytest.mark.parametrize("text", ["{}", "[]", "3", '{"verb": "explode"}', '{"verb": ["kill"]}', "kill"])
def test_what_is_no_act_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Act.from_json(text)


@pytest.mark.parametrize("text", ['{"fault": "delay", "target": "m", "by": "1s"}', '{"fault": "nobody"}', "{}"])
def test_what_is_no_fault_of_containers_is_no_act(text: str) -> None:
    with pytest.raises(ValueError, match="no fault of containers"):
        act_of(text)


def test_a_fault_of_another_name_says_itself_which_verb_it_is() -> None:
    class Nap(ContainerFault):
        fault: str = "nap"

        def explain(self) -> str:
            return f"{self.those()} takes a nap"

    with pytest.raises(NotImplementedError, match="nap"):
        Nap(target="m").wanted()
    assert json.loads(Act("pause").to_json())["verb"] == "pause"
    assert issubclass(Nap, Fault)
