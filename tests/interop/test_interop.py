"""Real clients get from real servers through the proxy what they get without it; armed, exactly what was selected differs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.cases import BY, CASES, DELAY_S, STATUS, SUBJECTS, Case, arming, expected, hurt
from tests.interop.stands import Stand
from tests.interop.tap import Both, calls, differs, paired
from tests.proxy.loopback import eventually

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]  # the first case of a server starts it
UNAVAILABLE = "the model is not available"
"""What the proxy says in the protocol's own error shape."""
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace("×", "-"))


def parsed(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without how long it took."""
    return {key: value for key, value in answer.items() if key != "seconds"}


def without_timeouts(given: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """The calls without the time that is left for each, which no two calls share."""
    return [
        tuple(
            tuple(pair for pair in one if pair[0] != "grpc-timeout") if isinstance(one, tuple) else one for one in call
        )
        for call in given
    ]


def said(ways: list[Both], way: str) -> list[tuple[object, ...]]:
    return [call for one in ways for call in calls(bytes(getattr(one, way)))]


def assert_same_on_both_sides(stand: Stand, case: Case) -> None:
    """What the client sent reached the server, and what the server said reached the client: every byte, or every call of HTTP/2."""
    if case.grpc:
        for way in ("asked", "answered"):
            assert_same_calls(stand, way)
        return
    pairs = paired(stand.near.exchanges, stand.far.exchanges, BY)
    assert len(pairs) == len(SUBJECTS), f"{len(pairs)} exchanges, not {len(SUBJECTS)}"
    found = [why for near, far in pairs if (why := differs(near, far))]
    assert not found, f"{found[0]}, in {len(found)} of {len(pairs)} exchanges"


def assert_same_calls(stand: Stand, way: str) -> None:
    """Both sides of the proxy have seen the same calls, one for each subject."""
    eventually(lambda: len(said(stand.far.connections, way)) >= len(SUBJECTS))
    near, far = said(stand.near.connections, way), said(stand.far.connections, way)
    assert len(near) == len(SUBJECTS), f"{len(near)} calls {way}, not {len(SUBJECTS)}"
    assert near == far, f"what was {way} differs"


@EVERY
def test_idle_client_and_server_see_each_others_bytes(stand: Stand, case: Case) -> None:
    errors = [one["message"] for one in stand.direct if "error" in one]
    assert not errors, f"the server fails without the proxy: {errors[:1]}"
    through = stand.ask()
    assert [*map(parsed, through)] == [*map(parsed, stand.direct)], "the client made something else of it"
    assert_same_on_both_sides(stand, case)
    if case.grpc:
        direct = [call for one in stand.asked_directly for call in calls(one)]
        assert without_timeouts(said(stand.near.connections, "asked")) == without_timeouts(direct)
    else:
        asked = [bytes(one.asked) for one in stand.near.exchanges]
        assert asked == stand.asked_directly, "the client asks differently"


@pytest.mark.parametrize(
    ("case", "fault"),
    [(case, fault) for case in CASES for fault in case.faults()],
    ids=lambda value: value.name.replace("×", "-") if isinstance(value, Case) else value,
)
def test_armed_exactly_the_selected_rows_differ(stand: Stand, case: Case, fault: str) -> None:
    rows = stand.direct[0]["rows"]
    answer = stand.proxy.ask("PUT", f"/runs/{fault}-{case.calls.replace(' ', '-')}", json=arming(case, fault, rows))
    assert answer.status_code == 200, answer.text
    got = stand.ask()
    state = stand.proxy.state(f"{fault}-{case.calls.replace(' ', '-')}")["faults"]["0"]
    check = {"delay": assert_late, "http_error": assert_failed}.get(fault)
    if check is not None:
        check(stand, got, state)
        return
    wanted = [expected(case, fault, subject, rows) for subject in SUBJECTS]
    count = sum(one is not other for made in wanted for one, other in zip(made, rows, strict=True))
    failed = [one["message"] for one in got if "error" in one]
    assert not failed, f"the client fails: {failed[:1]}"
    assert [one["rows"] for one in got] == wanted, "other rows than the selected ones differ"
    assert [one["rest"] for one in got] == [one["rest"] for one in stand.direct], "more than the rows differs"
    if not case.applies(fault):
        assert_same_on_both_sides(stand, case)
        return
    assert 0 < count < len(SUBJECTS) * len(rows), "the seed selects nothing, or everything"
    assert state["changed_rows"] == sum(one != other for made in wanted for one, other in zip(made, rows, strict=True))
    assert state["undecodable"] == 0


def assert_late(stand: Stand, got: list[dict[str, Any]], state: dict[str, Any]) -> None:
    """The selected subjects waited, the others did not, and all got their answers."""
    assert [*map(parsed, got)] == [*map(parsed, stand.direct)], "the client made something else of it"
    late = [one["seconds"] >= DELAY_S for one in got]
    selected = [hurt(subject) for subject in SUBJECTS]
    assert late == selected, "other subjects than the selected ones waited"
    assert state["delayed_s"] == pytest.approx(DELAY_S * sum(selected), rel=0.2)


def assert_failed(stand: Stand, got: list[dict[str, Any]], state: dict[str, Any]) -> None:
    """The selected subjects' clients raised the status with its message, the others got their answers."""
    for subject, one, direct in zip(SUBJECTS, got, stand.direct, strict=True):
        if hurt(subject):
            assert "error" in one, "a selected subject got an answer"
            assert str(STATUS) in one["status"] or "UNAVAILABLE" in one["status"], f"the status is {one['status']}"
            assert UNAVAILABLE in one["message"], f"the client cannot read the error: {one['message']}"
        else:
            assert parsed(one) == parsed(direct), "a subject that was not selected got something else"
    assert state["injected"] == sum(hurt(subject) for subject in SUBJECTS)
