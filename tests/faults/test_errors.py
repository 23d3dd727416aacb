"""What faults of the family errors say, as values."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.faults.base import Answer, Call, End, Memory, Part, Signal
from chaos.faults.base import Reset as ResetConnection
from chaos.faults.fail_first_n import FailFirstN
from chaos.faults.malformed_body import PAGE, MalformedBody
from chaos.faults.rate_limit import RateLimit
from chaos.faults.reset import Reset
from chaos.faults.truncated_body import TruncatedBody
from tests.fuzzing import examples

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)
DOCUMENTS = st.one_of(st.lists(JSON), st.dictionaries(st.text(), JSON))


def call(subject: str = "s", elapsed_s: float = 0.0, memory: Memory | None = None, **headers: str) -> Call:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call("seed", 0, subject, 1.0, told, elapsed_s=elapsed_s, memory=memory or Memory())


# --- rate_limit -------------------------------------------------------------------------------------------------------


def admitted(fault: RateLimit, arrivals_s: list[float]) -> list[float]:
    """When those came that were let through."""
    memory = Memory()
    return [at_s for at_s in arrivals_s if not list(fault.act(call(elapsed_s=at_s, memory=memory)))]


def test_without_a_rate_every_selected_request_is_too_many() -> None:
    fault = RateLimit(target="m", retry_after="1500ms")
    assert list(fault.act(call())) == [Answer(429, {"retry-after": "2"}, b"")]


def test_a_rate_is_kept_over_any_time_and_a_burst_after_a_pause() -> None:
    fault = RateLimit(target="m", above="10/s")
    steady = admitted(fault, [number / 100 for number in range(1000)])  # a hundred a second for ten seconds
    assert len(steady) == 10 + 100 - 1  # the burst, and ten a second
    assert [at_s for at_s in steady if at_s < 0.1] == [number / 100 for number in range(10)]
    assert len(admitted(fault, [0.0] * 50 + [60.0] * 50)) == 20


@given(st.lists(st.floats(0, 100), max_size=200), st.floats(0.1, 100), st.floats(0, 5))
def test_in_no_window_pass_more_than_the_burst_and_the_rate_allow(
    arrivals_s: list[float], rate: float, burst_s: float
) -> None:
    passed = admitted(RateLimit(target="m", above=rate, burst=burst_s), sorted(arrivals_s))
    for place, begin_s in enumerate(passed):
        for count, end_s in enumerate(passed[place:], 1):
            assert count <= 1 + max(0.0, burst_s * rate - 1) + (end_s - begin_s) * rate + 1e-3


def test_those_that_come_more_slowly_all_pass() -> None:
    fault = RateLimit(target="m", above="10/s", burst="0s")
    assert len(admitted(fault, [number * 0.1001 for number in range(500)])) == 500


def test_what_a_rate_makes_of_errors_nobody_can_say_and_a_share_says() -> None:
    assert RateLimit(target="m", above="10/s").treated(Signal.error_ratio, 0.1) is None
    assert RateLimit(target="m", share="50%").treated(Signal.error_ratio, 0.1) == pytest.approx(0.55)
    assert RateLimit(target="m", share="50%").treated(Signal.availability, 0.8) == pytest.approx(0.4)


# --- fail_first_n -----------------------------------------------------------------------------------------------------


def test_the_first_fail_and_the_ones_after_them_do_not() -> None:
    fault, memory = FailFirstN(target="m", first=2, status=500), Memory()
    said = []
    for number in range(4):
        memory.selected = number
        said.append(list(fault.act(call(memory=memory))))
    assert said == [[Answer(500, {}, b"")], [Answer(500, {}, b"")], [], []]


@pytest.mark.parametrize(
    ("attempt", "fails"),
    [(None, True), ("1", True), ("2", True), ("3", False), ("x", True), ("9" * 40, True), ("²", True)],
)
def test_the_first_attempts_of_each_request_fail(attempt: str | None, fails: bool) -> None:
    fault = FailFirstN(target="m", first=2, of="request")
    headers = {} if attempt is None else {"x_attempt_number": attempt}
    assert bool(list(fault.act(call(**headers)))) is fails


# --- reset and truncated_body -----------------------------------------------------------------------------------------


def test_a_reset_is_before_the_model_is_asked_or_within_its_answer_and_never_both() -> None:
    early, late = Reset(target="m"), Reset(target="m", after="10B")
    part = Part("piece", 0, 20, 0)
    assert (list(early.act(call())), list(early.deliver(part, call()))) == ([ResetConnection()], [])
    assert (list(late.act(call())), list(late.deliver(part, call()))) == ([], [ResetConnection(10)])


@given(st.integers(0, 100), st.lists(st.integers(1, 30), max_size=10))
def test_a_body_is_cut_once_and_after_exactly_so_many_bytes(after: int, sizes: list[int]) -> None:
    for fault in (Reset(target="m", after=after), TruncatedBody(target="m", after=after)):
        assert not list(fault.deliver(Part("head", 0, 1000, 0), call()))
        came = 0
        for place, size in enumerate(sizes):
            told = list(fault.deliver(Part("piece", place, size, came), call()))
            if told:
                (action,) = told
                assert isinstance(action, (ResetConnection, End))
                assert came + action.after == after
                break
            came += size
        else:
            assert came <= after


def test_only_a_reset_of_every_answer_predicts_errors() -> None:
    assert Reset(target="m", share="50%").treated(Signal.error_ratio, 0.0) == 0.5
    assert Reset(target="m", share="50%").treated(Signal.availability, 1.0) == 0.5
    assert Reset(target="m", after="1B").treated(Signal.error_ratio, 0.0) is None


# --- malformed_body ---------------------------------------------------------------------------------------------------


@settings(max_examples=examples(20))
@given(DOCUMENTS, st.sampled_from(["byte", "cut", "page", "empty"]), st.text(max_size=5), st.booleans())
def test_no_json_that_it_touches_can_be_parsed_any_more(
    document: object, how: str, subject: str, escaped: bool
) -> None:
    body = json.dumps(document, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    made = MalformedBody(target="m", how=how).edit_body(body, call(subject))
    with pytest.raises(ValueError):
        json.loads(made)
    assert made == MalformedBody(target="m", how=how).edit_body(body, call(subject))


def test_one_byte_is_another_and_the_rest_are_as_they_were() -> None:
    body = b'{"outputs": [{"data": [0, 1]}]}'
    for number in range(50):
        made = MalformedBody(target="m").edit_body(body, call(f"s{number}"))
        (place,) = [at for at in range(len(body)) if made[at] != body[at]]
        assert body[place] in b'{}[]:,"'
        assert len(made) == len(body)


def test_a_body_that_is_no_json_loses_a_byte_too_and_an_empty_one_stays() -> None:
    assert MalformedBody(target="m").edit_body(b"up 1", call()) != b"up 1"
    assert MalformedBody(target="m").edit_body(b"", call()) == b""
    assert MalformedBody(target="m", how="page").edit_body(b"", call()) == PAGE
