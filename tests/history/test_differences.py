"""What was not the same in two runs: what says most comes first, and what differs in each run anyway is marked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.history.differences import LONGEST, Difference, Side, differences
from tests.history.test_compared import SIDE

LAB = """\
name: lab
entry: http://127.0.0.1:{0}/score
targets:
  model:
    proxies: ['http://127.0.0.1:{0}1', 'http://localhost:{0}2']
telemetry: {{prometheus: 'http://{1}:9090'}}
"""


def of(first: str, second: str, *, what: str = "experiment") -> tuple[Difference, ...]:
    return differences(replace(SIDE, **{what: first}), replace(SIDE, **{what: second}))


def test_the_fault_the_severity_and_the_rules_come_before_prose_and_the_system() -> None:
    before = "description: one\ntags: [a]\nsteady_state: [{min: 1%}]\nexpect: {quiet: true}\nblast_radius: {traffic: 10%}\nfaults: [{fault: delay}]\nname: a\n"
    after = (
        before.replace("one", "two")
        .replace("[a]", "[b]")
        .replace("1%", "2%")
        .replace("true", "no")
        .replace("10%", "20%")
    )
    after = after.replace("fault: delay", "fault: hang").replace("name: a", "name: b")
    [alert] = SIDE.plan.alerts
    plan = replace(SIDE.plan, alerts=(replace(alert, expr="vector(0) > 1"),))
    verdict = replace(SIDE.verdict, version="9.9")
    found = differences(
        replace(SIDE, experiment=before, system="name: x\nentry: a"), Side(verdict, plan, after, "name: y\nentry: b")
    )
    assert [one.place for one in found] == [
        "name", "faults[0].fault", "blast_radius.traffic", "expect.quiet", "ModelAccuracyLow: rule", "chaos-ml",
        "steady_state[0].min", "name", "description", "tags", "entry",
    ]  # fmt: skip


def test_a_lab_at_other_ports_and_another_seed_differ_anyway_and_stand_last() -> None:
    plan = replace(SIDE.plan, seed="another")
    first, second = (replace(SIDE, system=LAB.format(port, "127.0.0.1")) for port in (1, 2))
    found = differences(first, replace(second, plan=plan, system=f"{second.system}environment: lab\n"))
    assert [one.place for one in found if not one.anyway] == ["environment"]
    assert {one.place for one in found[1:]} == {"entry", "targets.model.proxies", "seed"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (LAB.format(1, "prometheus.one"), LAB.format(1, "prometheus.two")),
        ("entry: http://127.0.0.1:1/score", "entry: http://127.0.0.1:1/other"),
        ("entry: http://127.0.0.1:1/score", "entry: http://shop:1/score"),
        ("proxies: ['http://127.0.0.1:1']", "proxies: ['http://127.0.0.1:1', 'http://127.0.0.1:2']"),
        ("name: '1'", "name: '2'"),
    ],
)
def test_another_server_another_path_and_one_more_proxy_are_told(first: str, second: str) -> None:
    [one] = of(first, second, what="system")
    assert not one.anyway


def test_a_long_list_is_counted_and_only_what_the_other_has_not_is_named() -> None:
    names = [f"feature-{number}" for number in range(50)]
    [one] = of(f"features: [{', '.join(names)}]", f"features: [{', '.join([*names[1:], 'new'])}]")
    assert (one.first, one.second) == (
        "50 entries, 1 of them here alone: feature-0", "50 entries, 1 of them here alone: new",
    )  # fmt: skip
    [one] = of("features: []\nname: a", f"name: a\nfeatures: [{', '.join(names)}]")
    assert (one.first, one.second) == ("–", "50 entries: feature-0, feature-1, feature-2, feature-3, …")
    [one] = of("tags: [a, b]", "tags: [b, c]")
    assert (one.first, one.second) == ("a, b", "b, c")


def test_of_long_values_that_begin_alike_what_differs_is_seen() -> None:
    same = "x" * 500
    [one] = of(f"description: {same} early", f"description: {same} late")
    assert "early" in one.first
    assert "late" in one.second
    assert max(map(len, (one.first, one.second))) <= LONGEST
