"""Who is in which arm: a pure function of the seed and the subject, the same everywhere and for ever."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.arms import (
    REQUEST_HEADER,
    Arms,
    header_of,
    is_synthetic,
    place_of,
    row_selected,
    said_at,
    sign_synthetic,
    subject_in,
    unit_interval,
    with_subject,
)

SUBJECTS = [f"subject-{number}" for number in range(20_000)]
SHARES = st.integers(0, 100).map(lambda percent: percent / 100)
WORDS = st.text(max_size=20)


@settings(deadline=None)
@given(WORDS, WORDS, SHARES)
def test_a_subject_is_always_in_the_same_arm(seed, subject, traffic):
    assert Arms(seed, traffic).arm_of(subject) == Arms(seed, traffic).arm_of(subject)


@settings(deadline=None)
@given(WORDS, WORDS, SHARES, SHARES)
def test_more_traffic_only_adds_subjects(seed, subject, one, other):
    less, more = sorted((one, other))
    if Arms(seed, less).arm_of(subject) == "treatment":
        assert Arms(seed, more).arm_of(subject) == "treatment"


@settings(deadline=None)
@given(WORDS, WORDS)
def test_no_traffic_hurts_nobody_and_all_traffic_everybody(seed, subject):
    assert Arms(seed, 0.0).arm_of(subject) == "control"
    assert Arms(seed, 1.0).arm_of(subject) == "treatment"


def treated(seed: str, traffic: float) -> set[str]:
    """The subjects in the treatment arm."""
    arms = Arms(seed, traffic)
    return {subject for subject in SUBJECTS if arms.arm_of(subject) == "treatment"}


def five_sigma(share: float) -> float:
    """How far a count over SUBJECTS may lie from its mean: once in two million draws further, and seeds are fixed."""
    return 5 * math.sqrt(len(SUBJECTS) * share * (1 - share))


@pytest.mark.parametrize("traffic", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", ["a", "b", "97f9e6ac72927483"])
def test_the_treatment_arm_has_the_share_that_was_asked_for(seed, traffic):
    assert len(treated(seed, traffic)) == pytest.approx(len(SUBJECTS) * traffic, abs=five_sigma(traffic))


def test_another_seed_draws_other_subjects_independently():
    both = len(treated("a", 0.3) & treated("b", 0.3))
    assert both == pytest.approx(len(SUBJECTS) * 0.09, abs=five_sigma(0.09))


def test_which_rows_a_fault_selects_does_not_depend_on_the_arm_draw():
    """Otherwise a fault with `share: 10%` in a 10 % arm would hit everybody in it, or nobody."""
    arm = treated("a", 0.5)
    hit = sum(row_selected("a", 0, subject, 0, 0.5) for subject in arm)
    assert hit == pytest.approx(len(arm) / 2, abs=five_sigma(0.5))


@settings(deadline=None)
@given(WORDS, st.integers(0, 9), WORDS, st.integers(0, 99), st.tuples(SHARES, SHARES))
def test_a_higher_share_only_adds_rows(seed, fault, subject, row, shares):
    less, more = sorted(shares)
    assert row_selected(seed, fault, subject, row, less) <= row_selected(seed, fault, subject, row, more)


def test_rows_and_faults_are_selected_independently_of_each_other():
    draws = [
        (row_selected("a", 0, one, 0, 0.5), row_selected("a", 0, one, 1, 0.5), row_selected("a", 1, one, 0, 0.5))
        for one in SUBJECTS
    ]
    rows = sum(first and second for first, second, _ in draws)
    faults = sum(first and other for first, _, other in draws)
    assert rows == pytest.approx(len(SUBJECTS) / 4, abs=five_sigma(0.25))
    assert faults == pytest.approx(len(SUBJECTS) / 4, abs=five_sigma(0.25))


@settings(deadline=None)
@given(WORDS, st.lists(st.one_of(WORDS, st.integers()), max_size=4))
def test_a_draw_lies_between_zero_and_one(seed, parts):
    assert 0.0 <= unit_interval(seed, *parts) < 1.0


def test_parts_are_not_run_together():
    assert unit_interval("s", "a", "bc") != unit_interval("s", "ab", "c")
    assert unit_interval("s", "a", 1, 23) != unit_interval("s", "a", 12, 3)


def test_the_draws_are_the_same_in_every_version():
    """Old journals are judged anew: a change of these numbers would make every old run's arms wrong."""
    assert unit_interval("seed", "arm", "subject") == pytest.approx(0.13389228102352244, rel=1e-15)
    assert unit_interval("seed", "fault", 0, "subject", 3) == pytest.approx(0.7937683755152897, rel=1e-15)


def test_another_process_with_another_hash_seed_puts_everybody_in_the_same_arm():
    program = (
        "from chaos.arms import Arms\n"
        "arms = Arms('seed', 0.1)\n"
        "print(','.join(str(n) for n in range(500) if arms.arm_of(f'subject-{n}') == 'treatment'))"
    )
    here = ",".join(str(n) for n in range(500) if Arms("seed", 0.1).arm_of(f"subject-{n}") == "treatment")
    for hash_seed in ("1", "4242"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        assert there.stdout.strip() == here
    assert here


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=32), WORDS, WORDS)
def test_a_signed_subject_is_the_runs_own(key, run, subject):
    assert is_synthetic(key, run, subject, sign_synthetic(key, run, subject))


@settings(deadline=None)
@given(st.sampled_from(["key", "run", "subject"]), st.text(min_size=1, max_size=8))
def test_a_signature_holds_for_one_key_run_and_subject_only(what, other):
    mine = {"key": b"key", "run": "run", "subject": "subject"}
    theirs = {**mine, what: other.encode() if what == "key" else other}
    signed = sign_synthetic(mine["key"], mine["run"], mine["subject"])
    assert is_synthetic(theirs["key"], theirs["run"], theirs["subject"], signed) is (theirs == mine)


@pytest.mark.parametrize("value", [None, "", "run:", "run:" + "0" * 32, "ü:ü", "\udcff\udc80", "run"])
def test_what_anybody_could_send_is_no_signature_and_does_no_harm(value):
    assert is_synthetic(b"key", "run", "subject", value) is False


def test_the_signature_names_the_run_and_does_not_show_the_key():
    signed = sign_synthetic(b"very secret", "run-7", "subject")
    assert signed.startswith("run-7:")
    assert "secret" not in signed


@pytest.mark.parametrize(
    ("by", "header"),
    [
        ("request", REQUEST_HEADER),
        ("header:X-Applicant-Id", "x-applicant-id"),
        ("header: x-a ", "x-a"),
        ("header:", None),
        ("header:x–applicant–id", None),  # dashes that a word processor has made
        ("header:x-a:b", None),
        ("header:x a", None),
        ("cookie:session", None),
        ("x-applicant-id", None),
    ],
)
def test_the_subjects_header_is_read_from_by(by, header):
    assert header_of(by) == header


@pytest.mark.parametrize(
    ("by", "place"),
    [
        ("cookie:session", ("cookie", "session")),
        ("cookie:Session", ("cookie", "Session")),  # names of cookies keep their case
        ("query: user ", ("query", "user")),
        ("query:", None),
        ("json:$.user", ("json", "$.user")),
        ("json: $.customer.cards[0]", ("json", "$.customer.cards[0]")),
        ("json:$", None),
        ("json:$.users[*]", None),
        ("json:user", None),
        ("cookie:a;b", None),
        ("cookie:a\r\nx", None),
    ],
)
def test_a_cookie_the_query_or_the_body_may_say_the_subject(by, place):
    assert place_of(by) == place


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        (b'{"user": {"ids": ["ada"]}}', "ada"),
        (b'{"user": {"ids": [17, "ada"]}}', "17"),
        (b'{"user": {"ids": ["\xc3\xa9"]}}', "é"),
        (b'{"user": {"ids": ["a"]}, "user": {"ids": ["b"]}}', None),
        (b'{"user": {"ids": []}}', None),
        (b'{"user": {"ids": "ada"}}', None),
        (b'{"user": [["ada"]]}', None),
        (b'{"user": {"ids": [true]}}', None),
        (b'{"user": {"ids": [1.5]}}', None),
        (b'{"user": {"ids": [null]}}', None),
        (b'{"user": {"ids": ["\\ud800"]}}', None),
        (b'{"user": {"ids": [' + b"9" * 5000 + b"]}}", None),
        (b'{"user": {"ids": ["ada"]', None),
        (b"[" * 100_000, None),
        (b"", None),
    ],
)
def test_a_body_says_a_text_or_a_whole_number_as_its_subject_or_nothing(body, subject):
    assert subject_in(body, "$.user.ids[0]") == subject


@given(st.text(max_size=10))
def test_a_subject_that_was_put_into_a_body_is_found_there_and_everything_else_stays(subject):
    template = {"rows": [{"age": 3}, {"age": 4, "who": {"old": 1}}], "kind": "a"}
    placed = with_subject(template, "$.rows[1].who.id", subject)
    assert subject_in(json.dumps(placed).encode(), "$.rows[1].who.id") == subject
    assert placed == {"rows": [{"age": 3}, {"age": 4, "who": {"old": 1, "id": subject}}], "kind": "a"}
    assert template["rows"][1] == {"age": 4, "who": {"old": 1}}
    assert with_subject({}, "$.a.b", subject) == {"a": {"b": subject}}


@pytest.mark.parametrize("path", ["$.rows[2].id", "$.rows.id", "$.kind.id", "$[0]", "$.new[0]"])
def test_a_subject_that_has_no_room_in_a_body_is_refused(path):
    with pytest.raises(LookupError):
        with_subject({"rows": [{}, {}], "kind": "a"}, path, "s")


@settings(deadline=None)
@given(st.sampled_from(["header", "cookie", "query"]), st.text(max_size=40), st.text(max_size=40))
def test_whatever_a_request_says_it_has_one_subject_or_none(kind, line, target):
    found = said_at(kind, "a", {"a": line, "cookie": line}, target)
    assert found is None or isinstance(found, str)


def test_a_key_that_stands_twice_in_a_body_says_no_subject():
    """One reader takes the first and another one the last: nobody knows whom the model will take it for."""
    assert subject_in(b'{"id": "a", "id": "b"}', "$.id") is None
    assert subject_in(b'{"user": {"id": "a"}, "rows": [{"x": 1, "x": 2}]}', "$.user.id") is None
