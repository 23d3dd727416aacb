"""Who comes, with what, and in which arm: decided by the seed alone, and the same as everybody else decides."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.arms import REQUEST_HEADER, SYNTHETIC_HEADER, Arms, is_synthetic, place_of, said_at, subject_in
from chaos.drivers.load.arrivals import Arrival, Arrivals, Shift, read_rows
from chaos.drivers.load.faults import Deeds
from chaos.drivers.load.plan import FeedbackPlan, LoadPlan
from chaos.faults.loads import Drawn

KEY = "00ff" * 8
ROWS = [{"amount": place, "group": ("north", "south")[place % 2], "label": "approve"} for place in range(50)]
PLAN = LoadPlan(
    url="http://127.0.0.1:1/score",
    rate_per_s=40.0,
    data="rows.jsonl",
    run="run-1",
    seed="seed",
    traffic=0.3,
    by="header:x-applicant-id",
    where=None,
    request_json={"application": "$row.amount", "region": "$row.group"},
    request_headers={"X-Group": "$row.group"},
    synthetic_key=KEY,
)


def drawn(plan: LoadPlan, count: int) -> list[Arrival]:
    arrivals = Arrivals(plan, ROWS)
    return [arrivals.draw(number) for number in range(count)]


def test_the_same_plan_gives_the_same_sequence_and_another_seed_gives_another() -> None:
    plan = replace(PLAN, returning=0.4)
    assert drawn(plan, 200) == drawn(plan, 200)
    assert [one.row for one in drawn(plan, 200)] != [one.row for one in drawn(replace(plan, seed="other"), 200)]


@given(
    seed=st.text(max_size=8),
    traffic=st.floats(0, 1),
    by=st.sampled_from(
        [
            "header:x-applicant-id",
            "header:X-User",
            "request",
            "cookie:sid",
            "query:who",
            "json:$.region",
            "json:$.who.id",
        ]
    ),
    url=st.sampled_from(["http://127.0.0.1:1/score", "http://127.0.0.1:1", "http://127.0.0.1:1/score?a=b&who=else"]),
)
def test_every_arm_is_what_the_proxy_computes_from_the_request(seed: str, traffic: float, by: str, url: str) -> None:
    headers = {**PLAN.request_headers, "cookie": "sid=else; other=1"}
    plan = replace(PLAN, seed=seed, traffic=traffic, by=by, url=url, request_headers=headers, returning=0.3)
    proxy = Arms(seed, traffic, by)
    kind, name = place_of(by) or ("", "")
    for arrival in drawn(plan, 30):
        if kind == "json":
            subject = subject_in(arrival.body, name)
            assert arrival.headers["x-group"] == arrival.row["group"]
        else:
            subject = said_at(kind, name, arrival.headers, arrival.target)
        assert subject == arrival.subject
        assert subject is not None
        assert arrival.arm == proxy.arm_of(subject)


def test_a_row_that_leaves_no_room_for_the_subject_is_said() -> None:
    with pytest.raises(ValueError, match=r"a row leaves no room for the subject at \$\.application\.id"):
        drawn(replace(PLAN, by="json:$.application.id"), 1)


def test_the_share_of_treatment_is_the_one_that_was_asked_for() -> None:
    arms = Counter(one.arm for one in drawn(PLAN, 4000))
    assert set(arms) == {"treatment", "control"}
    assert abs(arms["treatment"] / 4000 - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5


def test_raising_the_share_only_adds_subjects() -> None:
    few = {one.subject for one in drawn(PLAN, 500) if one.arm == "treatment"}
    more = {one.subject for one in drawn(replace(PLAN, traffic=0.6), 500) if one.arm == "treatment"}
    assert few < more


def test_without_returning_every_subject_comes_once() -> None:
    arrivals = drawn(PLAN, 300)
    assert len({one.subject for one in arrivals}) == 300
    assert all(one.first for one in arrivals)


def test_returning_subjects_keep_their_arm_and_are_first_once() -> None:
    arrivals = drawn(replace(PLAN, returning=0.5), 2000)
    arms: dict[str, set[str]] = {}
    for one in arrivals:
        arms.setdefault(one.subject, set()).add(one.arm)
    assert all(len(found) == 1 for found in arms.values())
    assert sum(one.first for one in arrivals) == len(arms)
    assert abs(sum(not one.first for one in arrivals) / 2000 - 0.5) < 4 * (0.25 / 2000) ** 0.5
    seen: set[str] = set()
    for one in arrivals:
        assert one.first == (one.subject not in seen)
        seen.add(one.subject)


def test_every_request_has_an_id_of_its_own_and_is_signed_as_the_runs() -> None:
    arrivals = drawn(replace(PLAN, returning=0.5), 100)
    assert len({one.headers[REQUEST_HEADER] for one in arrivals}) == 100
    for one in arrivals:
        assert is_synthetic(bytes.fromhex(KEY), "run-1", one.subject, one.headers[SYNTHETIC_HEADER])
        assert not is_synthetic(bytes.fromhex(KEY), "run-2", one.subject, one.headers[SYNTHETIC_HEADER])
        assert not is_synthetic(b"another key", "run-1", one.subject, one.headers[SYNTHETIC_HEADER])


def test_a_template_cannot_take_the_place_of_the_runs_own_headers() -> None:
    plan = replace(
        PLAN,
        request_headers={"X-Applicant-Id": "somebody", "X-Chaos-Synthetic": "forged", "Content-Type": "text/plain"},
    )
    for one in drawn(plan, 20):
        assert one.headers["x-applicant-id"] == one.subject
        assert one.headers[SYNTHETIC_HEADER].startswith("run-1:")
        assert one.headers["content-type"] == "application/json"


def test_bodies_and_headers_are_filled_from_the_row() -> None:
    for one in drawn(PLAN, 20):
        assert json.loads(one.body) == {"application": one.row["amount"], "region": one.row["group"]}
        assert one.headers["x-group"] == one.row["group"]
    assert drawn(replace(PLAN, request_json=None), 1)[0].body == b""


def test_rows_are_drawn_evenly() -> None:
    counts = Counter(one.row["amount"] for one in drawn(PLAN, 5000))
    assert len(counts) == len(ROWS)
    assert max(abs(count - 100) for count in counts.values()) < 5 * 100**0.5


def test_who_is_outside_the_slice_is_in_no_arm_and_the_others_keep_theirs() -> None:
    everybody = {one.number: one for one in drawn(PLAN, 300)}
    for one in drawn(replace(PLAN, where='json:$.region == "north"'), 300):
        assert one.arm == (everybody[one.number].arm if one.row["group"] == "north" else "outside")


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_feedback_is_wanted_for_the_share_and_decided_by_the_seed(share: float) -> None:
    arrivals = drawn(PLAN, 2000)
    wanted = [one.wants_feedback("seed", share) for one in arrivals]
    assert wanted == [one.wants_feedback("seed", share) for one in arrivals]
    assert abs(sum(wanted) / 2000 - share) <= 4 * (share * (1 - share) / 2000) ** 0.5


def test_feedback_does_not_depend_on_the_arm() -> None:
    arrivals = drawn(PLAN, 6000)
    shares = {
        arm: [one.wants_feedback("seed", 0.5) for one in arrivals if one.arm == arm] for arm in ("treatment", "control")
    }
    gap = sum(shares["treatment"]) / len(shares["treatment"]) - sum(shares["control"]) / len(shares["control"])
    assert abs(gap) < 4 * (0.25 / len(shares["treatment"]) + 0.25 / len(shares["control"])) ** 0.5


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        replace(
            PLAN, feedback=FeedbackPlan("http://127.0.0.1:1/f", {"id": "$answer.id"}, 2.0, 0.5), positive=1, limit=7
        ),
    ],
)
def test_a_plan_is_the_same_after_its_way_through_json(plan: LoadPlan) -> None:
    assert LoadPlan.from_json(plan.to_json()) == plan


def test_rows_are_read_from_json_lines_and_from_csv(tmp_path: Path) -> None:
    lines, table = tmp_path / "rows.jsonl", tmp_path / "rows.csv"
    lines.write_text('{"a": 1, "b": "é"}\n\n{"a": null, "b": "x,\\"y\\""}\n')
    table.write_text('a,b\r\n1,é\r\n,"x,""y\nz"""\r\n')
    assert read_rows(str(lines)) == [{"a": 1, "b": "é"}, {"a": None, "b": 'x,"y"'}]
    assert read_rows(str(table)) == [{"a": "1", "b": "é"}, {"a": "", "b": 'x,"y\nz"'}]


@pytest.mark.parametrize(("name", "text"), [("rows.jsonl", "\n\n"), ("rows.csv", "a,b\n"), ("rows.jsonl", "")])
def test_a_file_without_rows_is_refused_by_name(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name} has no rows"):
        read_rows(str(tmp_path / name))


# --- shifted draws ----------------------------------------------------------------------------------------------------


def to_row(place: int) -> Shift:
    """Every treated subject's request is made of this row."""
    return lambda one, _subject, _headers: (Drawn(one.number, ROWS[place], "deny"), ((0, "shifted"),))


def shifted(plan: LoadPlan, count: int, shift: Shift) -> list[Arrival]:
    arrivals = Arrivals(plan, ROWS)
    return [arrivals.draw(number, shift) for number in range(count)]


def test_a_shift_changes_the_treatment_arms_requests_alone() -> None:
    plan = replace(PLAN, label_column="label")
    for before, after in zip(drawn(plan, 300), shifted(plan, 300, to_row(7)), strict=True):
        assert (after.number, after.subject, after.arm, after.first) == (
            before.number,
            before.subject,
            before.arm,
            before.first,
        )
        if before.arm == "control":
            assert after == before
        else:
            assert (after.row, after.label, after.shifted) == (ROWS[7], "deny", ((0, "shifted"),))
            assert json.loads(after.body) == {"application": 7, "region": ROWS[7]["group"]}
            assert after.headers["x-group"] == ROWS[7]["group"]


def test_a_shift_that_does_nothing_leaves_every_byte() -> None:
    assert shifted(PLAN, 200, lambda one, _subject, _headers: (one, ())) == drawn(PLAN, 200)


def test_a_shift_is_asked_for_treated_subjects_of_the_slice_alone_and_leads_nobody_out_of_it() -> None:
    asked: list[str] = []
    plan = replace(PLAN, where='json:$.region == "north"')

    def to_south(one: Drawn, subject: str, headers: Mapping[str, str]) -> tuple[Drawn, Deeds]:
        asked.append(subject)
        assert headers["x-group"] == "north"
        return to_row(7)(one, subject, headers)

    before = drawn(plan, 300)
    assert shifted(plan, 300, to_south) == before, "row 7 is in the south, and the slice is the north"
    assert asked == [one.subject for one in before if one.arm == "treatment"]
    inside = shifted(plan, 300, to_row(8))
    assert {one.row["amount"] for one in inside if one.arm == "treatment"} == {8}
