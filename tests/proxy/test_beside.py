"""Several runs in one registry: who may be beside whom, and that what happens to one happens to no other."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.proxy.armed import MOST_UNTOUCHED, RunState
from chaos.proxy.arming import Refusal, parse_arming
from chaos.proxy.registry import MOST_PROVING, Registry
from tests.proxy.loopback import KEY, arming

ERROR = {"fault": "http_error"}
DELAY = {"fault": "delay", "by": "60s"}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def of(where: str | None, *faults: dict[str, Any], traffic: float = 1.0, **more: Any) -> Any:
    """An arming of this slice."""
    arms = {"traffic": traffic, "by": "header:x-request-id", "where": where}
    return parse_arming(arming(*(faults or (ERROR,)), **{"arms": arms, **more}))


def x(value: str) -> str:
    """The slice of requests whose header says this."""
    return f'header:x == "{value}"'


def headers(value: str) -> dict[str, str]:
    """Somebody's request in that slice."""
    return {"x-request-id": "someone", "x": value}


def beside(*values: str, **more: Any) -> tuple[Registry, Clock]:
    """A registry that runs hold side by side, each named after its slice."""
    clock = Clock()
    registry = Registry(clock)
    for value in values:
        registry.arm(value, of(x(value), **more))
    return registry, clock


def runs(registry: Registry) -> list[str]:
    """Who holds the proxy now, the oldest hold first."""
    return [one.run for one in registry.current()]


def untouched(state: RunState, group: str = "treatment") -> int:
    """The requests that prove the run's removal."""
    return state.arms[group].untouched_since_disarm  # type: ignore[index]


# --- arming -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (None, x("a")),
        (x("a"), None),
        (None, None),
        (x("a"), x("a")),
        ('header:x != "b"', x("a")),
        ('header:y == "b"', x("a")),
        ('json:$.x == "b"', x("a")),
    ],
)
def test_a_run_that_could_meet_another_is_refused_and_leaves_no_trace(mine: str | None, theirs: str | None) -> None:
    registry = Registry(Clock())
    registry.arm("first", of(theirs))
    before = registry.current()
    with pytest.raises(Refusal) as refused:
        registry.arm("second", of(mine))
    assert refused.value.status == 409
    (told,) = refused.value.problems
    assert told.startswith("this proxy is held by the run first, and ")
    assert "; wait for it to end" in told
    assert told.endswith(" (a lease ends within 30s of its runner's death)")
    assert registry.current() is before
    assert list(registry.runs) == ["first"]


def test_rearming_with_a_slice_that_meets_another_run_is_refused_and_the_earlier_arming_stays_as_it_was() -> None:
    registry, clock = beside("a", "b")
    before, told = registry.current(), registry.runs["b"].as_json(clock.now_s + 1)
    clock.now_s += 1
    with pytest.raises(Refusal, match="held by the run a"):
        registry.arm("b", of('header:x != "c"', ERROR, DELAY, lease_s=60))
    assert registry.current() is before
    assert registry.runs["b"].as_json(clock.now_s) == told
    registry.arm("b", of(x("b"), ERROR, DELAY))
    assert [one.since_s for one in registry.current()[1].request_faults] == [1000.0, 1001.0]


def test_runs_beside_each_other_may_differ_in_everything_but_the_place_of_their_slices() -> None:
    registry, clock = beside("a")
    registry.arm("b", of(x("b"), {"fault": "wrong_predictions"}, mode="shadow", lease_s=5, deadline_s=50))
    registry.arm("c", of(x("c"), DELAY, traffic=0.5, subjects="synthetic", synthetic_key=KEY, lease_s=7, seed="other"))
    clock.now_s += 1
    a, b, c = (registry.runs[run].as_json(clock.now_s) for run in "abc")
    assert [(one["mode"], one["lease_remaining_s"], one["deadline_remaining_s"]) for one in (a, b, c)] == [
        ("live", 29, 3599),
        ("shadow", 4, 49),
        ("live", 6, 3599),
    ]
    assert [one.synthetic_key for one in registry.current()] == [None, None, bytes.fromhex(KEY)]


def test_a_run_that_arms_again_keeps_its_place_and_one_that_comes_back_is_the_youngest() -> None:
    registry, _ = beside("a", "b", "c")
    before = registry.active
    registry.arm("a", of(x("a"), DELAY))
    assert runs(registry) == list(registry.holders) == ["a", "b", "c"]
    assert [one.generation for one in registry.current()] == [2, 1, 1]
    assert [one.generation for one in before] == [1, 1, 1], "whoever has begun a request goes on with what he has read"
    registry.disarm("a")
    registry.arm("a", of(x("a")))
    assert runs(registry) == list(registry.holders) == ["b", "c", "a"]


def test_a_slice_is_free_again_once_its_run_has_ended() -> None:
    registry, _ = beside("a", "b")
    registry.disarm("a")
    registry.arm("again", of(x("a")))
    assert runs(registry) == ["b", "again"]


# --- what ends one, ends one ------------------------------------------------------------------------------------------


def test_a_lease_that_is_over_ends_its_own_run_alone() -> None:
    registry, clock = beside("a", "b")
    registry.arm("c", of(x("c"), lease_s=5))
    clock.now_s += 5.001
    assert runs(registry) == ["a", "b"]
    assert [registry.runs[run].state for run in "abc"] == ["armed", "armed", "expired"]
    assert registry.expiries == 1
    assert registry.renew("c") is None
    clock.now_s += 25
    assert runs(registry) == []
    assert registry.expiries == 3


def test_a_renewal_is_of_one_lease() -> None:
    registry, clock = beside("a", "b")
    clock.now_s += 20
    assert registry.renew("b") is registry.runs["b"]
    clock.now_s += 20
    assert runs(registry) == ["b"]


def test_disarming_one_leaves_the_others_and_the_kill_switch_leaves_nobody() -> None:
    registry, _ = beside("a", "b", "c")
    registry.disarm("b")
    assert runs(registry) == list(registry.holders) == ["a", "c"]
    assert registry.holder_of("b") is None
    assert registry.holder_of("c") is registry.runs["c"]
    registry.disarm(None)
    assert (runs(registry), registry.holders) == ([], {})
    assert [registry.runs[run].state for run in "abc"] == ["disarmed"] * 3


@pytest.mark.parametrize("ending", ["disarm", "arm without it", "lease"])
def test_only_those_who_wait_for_a_run_are_let_go_with_it(ending: str) -> None:
    registry, clock = beside()
    registry.arm("a", of(x("a"), DELAY, lease_s=5))
    registry.arm("b", of(x("b"), DELAY))
    released: list[str] = []
    registry.waiting = {lambda: released.append("a"): ("a", 0), lambda: released.append("b"): ("b", 0)}
    if ending == "disarm":
        registry.disarm("a")
    elif ending == "lease":
        clock.now_s += 6
        registry.current()
    else:
        registry.arm("a", of(x("a"), faults=[]))
    assert released == ["a"]
    registry.disarm(None)
    assert released == ["a", "b"]


def test_a_fault_is_on_for_its_own_run_and_no_other_with_the_same_place_for_it() -> None:
    registry, clock = beside("a")
    registry.arm("b", of(x("b"), ERROR, ERROR, lease_s=5))
    a, b = registry.current()
    assert [registry.obeys(a, index) for index in (0, 1)] == [True, False]
    assert [registry.obeys(b, index) for index in (0, 1)] == [True, True]
    clock.now_s += 6
    assert [registry.obeys(one, 0) for one in (a, b)] == [True, False]
    registry.arm("a", of(x("a"), faults=[]))
    assert not registry.obeys(a, 0)


def test_whoever_is_let_go_meets_what_holds_from_now_on() -> None:
    registry, _ = beside("a", "b")
    (a, b), met = registry.current(), []
    registry.waiting = {lambda: met.append((registry.obeys(a, 0), registry.obeys(b, 0), runs(registry))): ("a", 0)}
    registry.disarm("a")
    assert met == [(False, True, ["b"])]


# --- removal is proven, also while others go on -----------------------------------------------------------------------


def test_the_removal_of_one_is_proven_while_another_holds_the_proxy() -> None:
    registry, _ = beside("a", "b")
    registry.disarm("a")
    for _ in range(3):
        registry.passed(headers("a"), None)
    registry.passed(headers("elsewhere"), None)
    assert (untouched(registry.runs["a"]), untouched(registry.runs["a"], "outside")) == (3, 1)
    assert untouched(registry.runs["b"]) == 0
    assert registry.lately() is None


def test_the_removals_of_several_are_proven_at_a_time() -> None:
    registry, clock = beside("a", "b", "c")
    registry.disarm("a")
    registry.passed(headers("a"), None)
    clock.now_s += 500
    registry.current()  # the leases of the others are over
    for value in "aabc":
        registry.passed(headers(value), None)
    assert [untouched(registry.runs[run]) for run in "abc"] == [3, 1, 1]
    assert registry.lately() is registry.runs["c"]
    clock.now_s += 101
    assert [one.run for one in registry.proving()] == ["b", "c"]


def test_a_run_that_holds_the_proxy_again_has_no_removal_to_prove() -> None:
    registry, _ = beside("a", "b")
    registry.disarm("a")
    registry.arm("a", of(x("a")))
    registry.passed(headers("a"), None)
    assert registry.proving() == ()
    assert untouched(registry.runs["a"]) == 0


def test_the_run_that_ended_last_is_the_one_that_ended_last_however_often_it_came_back() -> None:
    registry, _ = beside("a", "b")
    registry.disarm("a")
    registry.arm("a", of(x("a")))
    registry.disarm("b")
    registry.disarm("a")
    assert [one.run for one in registry.proving()] == ["b", "a"]
    assert registry.lately() is registry.runs["a"]


def test_a_slice_over_bodies_is_proven_by_requests_whose_body_was_read_and_by_no_others() -> None:
    registry = Registry(Clock())
    for place in ("north", "south"):
        registry.arm(place, of(f'json:$.region == "{place}"'))
    registry.disarm("north")
    for body in (None, b'{"region": "north"}', b'{"region": "south"}', b""):
        registry.passed({"x-request-id": "someone"}, body)
    assert (untouched(registry.runs["north"]), untouched(registry.runs["north"], "outside")) == (1, 2)


def test_proofs_end_once_they_are_enough_and_only_the_latest_are_kept_up() -> None:
    registry, _ = beside(*(f"{number}" for number in range(MOST_PROVING + 2)))
    for run in list(registry.runs):
        registry.disarm(run)
    assert [one.run for one in registry.proving()] == [f"{number}" for number in range(2, MOST_PROVING + 2)]
    registry.runs["2"].untouched = MOST_UNTOUCHED
    assert [one.run for one in registry.proving()] == [f"{number}" for number in range(3, MOST_PROVING + 2)]
