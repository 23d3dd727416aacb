"""Who holds the proxy, leases and deadlines to the instant, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.proxy.__main__ import main
from chaos.proxy.armed import SAMPLED_PER_S, RunState
from chaos.proxy.arming import Refusal, parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.process import parse_route
from chaos.proxy.registry import Registry
from tests.fuzzing import examples
from tests.proxy.loopback import arming

ERROR = {"fault": "http_error"}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def made() -> tuple[Registry, Clock]:
    clock = Clock()
    return Registry(clock), clock


def test_a_lease_is_over_the_instant_that_it_says_even_if_no_timer_has_run() -> None:
    registry, clock = made()
    registry.arm("a", parse_arming(arming(ERROR, lease_s=5, deadline_s=60)))
    clock.now_s += 5.0
    assert registry.current()
    clock.now_s += 0.001
    assert not registry.current()
    assert (registry.runs["a"].state, registry.expiries, registry.holders) == ("expired", 1, {})


def test_a_later_arming_cannot_push_the_deadline_out() -> None:
    registry, clock = made()
    registry.arm("a", parse_arming(arming(ERROR, lease_s=30, deadline_s=10)))
    clock.now_s += 8
    registry.arm("a", parse_arming(arming(ERROR, lease_s=30, deadline_s=60)))
    clock.now_s += 2.001
    assert not registry.current()


def test_a_disarmed_run_can_be_armed_again_before_its_deadline_and_not_after() -> None:
    registry, clock = made()
    registry.arm("a", parse_arming(arming(ERROR, lease_s=30, deadline_s=10)))
    registry.disarm("a")
    clock.now_s += 5
    assert registry.arm("a", parse_arming(arming(ERROR, lease_s=30, deadline_s=10))).generation == 2
    registry.disarm("a")
    clock.now_s += 6
    with pytest.raises(Refusal) as refused:
        registry.arm("a", parse_arming(arming(ERROR, lease_s=30, deadline_s=10)))
    assert refused.value.status == 409
    assert not registry.current()


def test_an_expired_holder_makes_room_for_the_next_run() -> None:
    registry, clock = made()
    registry.arm("a", parse_arming(arming(ERROR, lease_s=1)))
    clock.now_s += 2
    assert registry.arm("b", parse_arming(arming(ERROR))).state == "armed"
    assert registry.renew("a") is None


def test_a_refused_rearming_leaves_the_first_arming_in_force() -> None:
    registry, _ = made()
    registry.arm("a", parse_arming(arming(ERROR)))
    before = registry.current()
    with pytest.raises(Refusal):
        registry.arm("a", parse_arming(arming({"fault": "http_error", "status": 1})))
    assert registry.current() is before


def test_a_removed_fault_lets_its_waiters_go_and_no_others() -> None:
    registry, _ = made()
    delay = {"fault": "delay", "by": "60s"}
    registry.arm("a", parse_arming(arming(delay, delay)))
    released: list[int] = []
    registry.waiting = {lambda: released.append(0): ("a", 0), lambda: released.append(1): ("a", 1)}
    registry.arm("a", parse_arming(arming(delay)))
    assert released == [1]
    registry.disarm("a")
    assert released == [1, 0]
    assert not registry.waiting


REQUESTS = [{"x": x, "y": y} for x in (None, "1", "2", "3") for y in (None, "1", "2")]
SLICES: dict[str | None, Callable[[dict[str, str | None]], bool]] = {
    None: lambda _: True,
    'header:x == "1"': lambda request: request["x"] == "1",
    'header:X == "2"': lambda request: request["x"] == "2",
    'header:x != "1"': lambda request: request["x"] not in (None, "1"),
    'header:y == "1"': lambda request: request["y"] == "1",
}


def meet(one: str | None, other: str | None) -> bool:
    """Whether one of all requests is in both slices."""
    return any(SLICES[one](request) and SLICES[other](request) for request in REQUESTS)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["arm", "arm", "renew", "disarm", "disarm all", "wait"]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(list(SLICES)),
            st.sampled_from([5.0, 7.0]),
            st.floats(0, 8),
        ),
        max_size=25,
    )
)
def test_the_proxy_is_held_by_exactly_those_who_armed_beside_each_other_and_renewed_in_time(
    steps: list[tuple[str, str, str | None, float, float]],
) -> None:
    registry, clock = made()
    held: dict[str, tuple[str | None, float, float]] = {}
    begun: dict[str, float] = {}
    expired: set[str] = set()
    for what, run, where, lease_s, wait_s in steps:
        if what == "wait":
            clock.now_s += wait_s
        for one, (_, renewed_s, its_lease_s) in list(held.items()):
            if clock.now_s - renewed_s > its_lease_s or clock.now_s - begun[one] > 30:
                expired.add(one)
                del held[one]
        if what == "arm":
            free = not any(meet(where, other) for one, (other, *_) in held.items() if one != run)
            allowed = free and run not in expired and clock.now_s - begun.get(run, clock.now_s) <= 30
            body = arming(ERROR, lease_s=lease_s, deadline_s=30, arms={"traffic": 1, "by": "request", "where": where})
            try:
                registry.arm(run, parse_arming(body))
                assert allowed
                begun.setdefault(run, clock.now_s)
                held[run] = where, clock.now_s, lease_s
            except Refusal:
                assert not allowed
        elif what == "renew":
            assert (registry.renew(run) is not None) is (run in held)
            if run in held:
                held[run] = held[run][0], clock.now_s, held[run][2]
        elif what.startswith("disarm"):
            for one in [run] if what == "disarm" else list(held):
                held.pop(one, None)
            registry.disarm(run if what == "disarm" else None)
        assert {one.run: one.arms.where for one in registry.current()} == {run: one for run, (one, *_) in held.items()}
        assert [one.run for one in registry.active] == list(registry.holders)
    assert registry.expiries == len(expired)


def test_large_counters_keep_every_digit() -> None:
    counters = Counters()
    counters.requests["model", "none", 2] = 123_456_789
    counters.delay_s["delay"] = 1_234_567.125
    text = counters.text(armed=0, expiries=0)
    assert '{route="model",arm="none",code_class="2xx"} 123456789\n' in text
    assert '{fault="delay"} 1234567.125\n' in text


def test_the_proxys_own_protocol_is_what_auto_means() -> None:
    named, told = Registry(Clock(), "oip"), Registry(Clock())
    for registry in (named, told):
        registry.arm("a", parse_arming(arming(ERROR)))
    assert [one.protocol.name for one in named.active if one.protocol is not None] == ["oip"]
    assert [one.protocol for one in told.active] == [None]


@pytest.mark.parametrize(
    "text",
    ["", "a", "a=", "a=127.0.0.1:1", "=127.0.0.1:1>127.0.0.1:2", "a=x>y", "a=127.0.0.1:1>127.0.0.1:99999", "a=:1>b:2"],
)
def test_a_route_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_route(text)


@pytest.mark.parametrize(
    ("token", "more", "said"),
    [
        ("short", [], "shorter than 16"),
        (None, [], "the token cannot be read from"),
        (None, [], "write one with: head -c 24 /dev/urandom | base64 >"),
        ("a" * 20, ["--protocol", "telepathy"], "telepathy"),
        ("a" * 20, ["--control", "nowhere"], "no address"),
    ],
)
def test_the_proxy_does_not_start_on_a_wrong_command_line(
    token: str | None, more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if token is not None:
        (tmp_path / "token").write_text(token)
    assert main(["--route", "a=127.0.0.1:0>127.0.0.1:9", "--token-file", str(tmp_path / "token"), *more]) == 2
    assert said in capsys.readouterr().err


def test_of_many_changed_answers_so_many_a_second_are_kept() -> None:
    state = RunState("a")
    kept = [sum(state.samples(second + part / 1000) for part in range(1000)) for second in (5, 6)]
    assert kept == [SAMPLED_PER_S, SAMPLED_PER_S]
    assert state.samples(7.0)
