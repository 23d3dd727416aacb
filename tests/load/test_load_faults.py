"""Which of the load's faults are on, for how long, and what they did: without Locust, and without a clock."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.drivers.load.faults import OVERTIME_S, Due, LoadFaults, read_fault, unfit
from chaos.faults.loads import Drawn, Population, Told

ROWS = [{"income": number, "label": ("approve", "deny")[number % 2]} for number in range(20)]
PEOPLE = Population(ROWS, "label", "approve")
DRIFT, LATE, LOST, NOISE = range(4)
PLANNED = {
    "0": '{"fault": "concept_drift", "target": "m", "where": "income >= 10", "duration": "60s"}',
    "1": '{"fault": "label_delay", "target": "m", "by": "30s", "duration": "60s"}',
    "2": '{"fault": "label_loss", "target": "m", "share": "50%", "duration": "60s"}',
    "3": '{"fault": "label_noise", "target": "m", "share": "50%", "shape": "ramp 10s", "duration": "60s"}',
}
RICH, POOR = Drawn(0, ROWS[15], "deny"), Drawn(0, ROWS[5], "deny")
TOLD = Told(0, "approve", "deny")


def loaded() -> LoadFaults:
    return LoadFaults(PLANNED, PEOPLE, "seed")


def drawn(faults: LoadFaults, at_s: float, one: Drawn = RICH) -> tuple[Drawn, Any]:
    return faults.draw(one, "subject", {}, at_s)


def told(faults: LoadFaults, at_s: float, number: int = 0) -> Due:
    return faults.feedback(Told(number, "approve", "deny"), f"subject-{number}", {}, at_s)


def test_nothing_is_on_until_it_is_switched_on() -> None:
    faults = loaded()
    assert faults.on() == []
    assert drawn(faults, 0.0) == (RICH, ())
    assert told(faults, 0.0) == Due(TOLD)


def test_what_is_on_says_what_it_did() -> None:
    faults = loaded()
    assert faults.switch([DRIFT], 10, 0.0) == set()
    assert drawn(faults, 1.0) == (Drawn(0, ROWS[15], "approve"), ((DRIFT, "shifted"),))
    assert drawn(faults, 1.0, POOR) == (POOR, ())
    assert faults.switch([], 10, 2.0) == {DRIFT}
    assert drawn(faults, 2.0) == (RICH, ())


def test_switching_twice_is_switching_once() -> None:
    faults = loaded()
    faults.switch([LATE], 10, 0.0)
    assert faults.switch([LATE], 10, 1.0) == set()
    assert faults.on() == [LATE]
    assert faults.switch([], 10, 2.0) == {LATE}
    assert faults.switch([], 10, 3.0) == set()


def test_a_fault_that_is_not_in_the_plan_can_never_be_on() -> None:
    faults = loaded()
    faults.switch([LATE], 10, 0.0)
    with pytest.raises(KeyError, match="the plan has no fault 7"):
        faults.switch([LATE, 7], 10, 1.0)
    assert faults.on() == [LATE]


def test_it_ends_with_its_lease_and_is_reported_once() -> None:
    faults = loaded()
    faults.switch([DRIFT, LATE], 10, 0.0)
    assert drawn(faults, 9.9)[1]
    assert drawn(faults, 10.1) == (RICH, ()), "even before anybody has looked"
    assert faults.expire(10.1) == {DRIFT, LATE}
    assert faults.expire(10.2) == set()
    assert faults.on() == []


def test_a_renewed_lease_keeps_it_on_and_its_duration_ends_it_all_the_same() -> None:
    faults = loaded()
    for second in range(0, 60, 5):
        faults.switch([DRIFT], 10, float(second))
    assert drawn(faults, 59.0)[1]
    faults.switch([DRIFT], 10, 59.0)
    assert drawn(faults, 60.0 + OVERTIME_S - 0.1)[1]
    assert not drawn(faults, 60.0 + OVERTIME_S + 0.1)[1]
    assert faults.expire(60.0 + OVERTIME_S + 0.1) == {DRIFT}


def test_outcomes_wait_for_the_fault_that_holds_them() -> None:
    faults = loaded()
    faults.switch([LATE], 10, 0.0)
    assert told(faults, 1.0) == Due(Told(0, "approve", "deny", 30.0), ((LATE, "delayed"),), ((LATE, 30.0),))


def test_each_of_several_faults_is_counted_for_its_own_deeds() -> None:
    faults = loaded()
    faults.switch([LATE, LOST, NOISE], 100, 0.0)
    seen = {tuple(deed for _, deed in told(faults, 50.0, number).deeds) for number in range(200)}
    assert seen == {("delayed",), ("delayed", "lost"), ("delayed", "relabelled")}
    lost = [told(faults, 50.0, number) for number in range(2000)]
    share = sum(due.told is None for due in lost) / 2000
    assert abs(share - 0.5) < 5 * (0.25 / 2000) ** 0.5


def test_a_shape_moves_the_share() -> None:
    faults = loaded()
    faults.switch([NOISE], 100, 0.0)
    shares = [sum(bool(told(faults, at_s, number).deeds) for number in range(1000)) / 1000 for at_s in (0, 5, 10, 50)]
    assert shares[0] == 0
    assert abs(shares[1] - 0.25) < 0.08
    assert abs(shares[2] - 0.5) < 0.08
    assert shares[2] == shares[3]


def test_only_faults_of_the_load_are_read() -> None:
    with pytest.raises(ValueError, match="Delay is no fault of the load"):
        read_fault('{"fault": "delay", "target": "m", "by": "1s"}')


def test_what_cannot_happen_with_the_rows_is_said_of_each_fault() -> None:
    assert unfit(PLANNED.values(), PEOPLE) == []
    said = unfit(PLANNED.values(), Population([{"a": 1}], "label", None))
    assert [one.split()[0].rstrip(":") for one in said] == ["concept_drift", "label_noise"]
