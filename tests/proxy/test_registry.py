"""Leases and deadlines to the instant, with a clock that the test moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.proxy.__main__ import main
from chaos.proxy.armed import Refusal, Registry, parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.process import parse_route
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
    assert registry.current() is not None
    clock.now_s += 0.001
    assert registry.current() is None
    assert (registry.runs["a"].state, registry.expiries, registry.holder) == ("expired", 1, None)


def test_a_later_arming_cannot_push_the_deadline_out() -> None:
    registry, clock = made()
    registry.arm("a", parse_arming(arming(ERROR, lease_s=30, deadline_s=10)))
    clock.now_s += 8
    registry.arm("a", parse_arming(arming(ERROR, lease_s=30, deadline_s=60)))
    clock.now_s += 2.001
    assert registry.current() is None


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
    assert registry.current() is None


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
    registry.waiting = {lambda: released.append(0): 0, lambda: released.append(1): 1}
    registry.arm("a", parse_arming(arming(delay)))
    assert released == [1]
    registry.disarm("a")
    assert released == [1, 0]
    assert not registry.waiting


@settings(max_examples=examples(100))
@given(
    st.lists(
        st.tuples(st.sampled_from(["arm", "renew", "disarm", "wait"]), st.sampled_from(["a", "b"]), st.floats(0, 8)),
        max_size=25,
    )
)
def test_the_proxy_is_held_by_exactly_who_armed_it_last_and_renewed_in_time(
    steps: list[tuple[str, str, float]],
) -> None:
    registry, clock = made()
    held: tuple[str, float] | None = None
    begun: dict[str, float] = {}
    over: set[str] = set()
    for what, run, wait_s in steps:
        if held is not None and (clock.now_s - held[1] > 5 or clock.now_s - begun[held[0]] > 30):
            over.add(held[0])
            held = None
        if what == "wait":
            clock.now_s += wait_s
        elif what == "arm":
            allowed = (
                (held is None or held[0] == run) and run not in over and clock.now_s - begun.get(run, clock.now_s) <= 30
            )
            try:
                registry.arm(run, parse_arming(arming(ERROR, lease_s=5, deadline_s=30)))
                assert allowed
                begun.setdefault(run, clock.now_s)
                held = run, clock.now_s
            except Refusal:
                assert not allowed
        elif what == "renew":
            assert (registry.renew(run) is not None) is (held is not None and held[0] == run)
            if held is not None and held[0] == run:
                held = run, clock.now_s
        else:
            registry.disarm(run)
            if held is not None and held[0] == run:
                held = None
        armed = registry.current()
        alive = held is not None and clock.now_s - held[1] <= 5 and clock.now_s - begun[held[0]] <= 30
        assert (armed.run if armed else None) == (held[0] if alive and held else None)


def test_large_counters_keep_every_digit() -> None:
    counters = Counters()
    counters.requests["model", "none", 2] = 123_456_789
    counters.delay_s["delay"] = 1_234_567.125
    text = counters.text(armed=False, expiries=0)
    assert '{route="model",arm="none",code_class="2xx"} 123456789\n' in text
    assert '{fault="delay"} 1234567.125\n' in text


def test_the_proxys_own_protocol_is_what_auto_means() -> None:
    named, told = Registry(Clock(), "oip"), Registry(Clock())
    for registry in (named, told):
        registry.arm("a", parse_arming(arming(ERROR)))
    assert named.armed is not None
    assert named.armed.protocol is not None
    assert named.armed.protocol.name == "oip"
    assert told.armed is not None
    assert told.armed.protocol is None


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
        ("a" * 20, ["--protocol", "telepathy"], "telepathy"),
        ("a" * 20, ["--control", "nowhere"], "no address"),
        (None, [], "token"),
    ],
)
def test_the_proxy_does_not_start_on_a_wrong_command_line(
    token: str | None, more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if token is not None:
        (tmp_path / "token").write_text(token)
    assert main(["--route", "a=127.0.0.1:0>127.0.0.1:9", "--token-file", str(tmp_path / "token"), *more]) == 2
    assert said in capsys.readouterr().err
