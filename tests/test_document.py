"""YAML as data that remembers where it stood: YAML 1.2's words, no surprises, and refused only in one way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.document import LARGEST_FILE, MOST_NODES, did_you_mean, nearest, read_document, where
from chaos.errors import InvalidFile
from chaos.units import WrittenFloat, WrittenInt


def read(text: str, **variables: str):
    """The data of a text without problems."""
    document = read_document(text, "file.yaml", variables)
    assert document.problems == []
    return document.data


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "1:30", "2026-12-20", "0x1F", "1_000", "=", ".inf", ".nan", "+.5e"]
)
def test_what_yaml_1_2_reads_as_text_stays_text(word):
    assert read(f"key: {word}") == {"key": word}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("7", 7),
        ("-7", -7),
        ("1.5e3", 1500.0),
    ],
)
def test_plain_words_numbers_and_nothing_are_read(word, value):
    assert read(f"key: {word}") == {"key": value}


@pytest.mark.parametrize("quoted", ['"true"', "'7'", '"null"', '""'])
def test_quotes_make_text(quoted):
    assert read(f"key: {quoted}") == {"key": quoted[1:-1]}


def test_numbers_remember_that_they_stood_in_a_file_without_a_unit():
    data = read("{a: 30, b: 0.5}")
    assert (type(data["a"]), type(data["b"])) == (WrittenInt, WrittenFloat)


def test_every_value_and_key_knows_its_line_and_column():
    document = read_document("a:\n  - b: 7\n  - {c: x}\n", "file.yaml", {})
    assert document.places[("a", 0, "b")] == (2, 8)
    assert document.keys[("a", 0, "b")] == (2, 5)
    assert document.places[("a", 1, "c")] == (3, 9)
    assert str(document.problem(("a", 1, "c"), "no")) == "file.yaml:3:9: a[1].c: no"


def test_a_problem_with_something_that_is_not_there_stands_at_the_nearest_thing_above():
    document = read_document("a:\n  b: {c: 1}\n", "file.yaml", {})
    problem = document.problem(("a", "b", "missing", 3), "no")
    assert (problem.line, problem.column, problem.where) == (2, 6, "a.b.missing[3]")


def test_a_place_is_written_as_people_would_point_at_it():
    assert where(("faults", 0, "share")) == "faults[0].share"
    assert where(()) == ""


# --- variables --------------------------------------------------------------------------------------------------------


def test_variables_are_put_into_values_and_become_numbers_only_unquoted():
    data = read('{a: "${RATE}", b: "at ${RATE} of ${WHAT}"}', RATE="40", WHAT="all")
    assert data == {"a": "40", "b": "at 40 of all"}
    assert type(read("a: ${RATE}", RATE="40")["a"]) is WrittenInt


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_variable_can_change_the_structure_of_a_file(value):
    data = read("before: x\nkey: ${VALUE}s\nlist: ['${VALUE}', end]\n", VALUE=value)
    assert data == {"before": "x", "key": data["key"], "list": [value, "end"]}
    assert data["key"] == f"{value}s"


def test_a_variable_in_a_variable_is_not_replaced_again():
    assert read("a: '${ONE}'", ONE="${TWO}", TWO="secret") == {"a": "${TWO}"}


def test_keys_are_not_replaced():
    assert read("${ONE}: 1", ONE="x") == {"${ONE}": 1}


def test_every_unset_variable_is_told_at_once():
    document = read_document("a: ${ONE}\nb: ${TWO}\n", "file.yaml", {})
    assert [problem.where for problem in document.problems] == ["a", "b"]


def test_what_was_put_in_is_known_so_that_secrets_can_be_kept_out_of_reports():
    document = read_document("a: ${ONE}\nb: plain\n", "file.yaml", {"ONE": "x"})
    assert document.substituted == {("a",)}


# --- bounds and hostile text ------------------------------------------------------------------------------------------


def test_a_file_that_is_too_large_is_not_even_read():
    with pytest.raises(InvalidFile, match="larger than 1,000,000 characters"):
        read_document(" " * (LARGEST_FILE + 1), "file.yaml", {})


def test_as_many_values_as_allowed_are_read_and_one_more_is_refused():
    most = MOST_NODES - 2  # the mapping and the list count too
    assert len(read(f"a: [{', '.join('x' * most)}]")["a"]) == most
    with pytest.raises(InvalidFile, match="more than 20,000 values"):
        read_document(f"a: [{', '.join('x' * (most + 1))}]", "file.yaml", {})


@pytest.mark.parametrize("depth", [30, 200, 5000])
def test_depth_is_either_read_or_refused(depth):
    text = "[" * depth + "]" * depth
    if depth <= 40:
        assert read(text) is not None
    else:
        with pytest.raises(InvalidFile, match="nested"):
            read_document(text, "file.yaml", {})


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab:-[]{}#&*!|>'\"%@`,?<\t\n $\\01.\x00\ufeff\ud800"), max_size=60))
def test_whatever_stands_in_a_file_it_is_read_or_refused_in_one_way(text):
    places, problems = {}, []
    try:
        places = read_document(text, "file.yaml", {}).places
    except InvalidFile as refused:
        problems = refused.problems
    assert () in places or problems
    assert all(problem.path == "file.yaml" and problem.message for problem in problems)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(alphabet=st.characters(codec="ascii", min_codepoint=32), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4))
def test_json_is_read_as_the_data_that_it_is(value):
    assert read(json.dumps(value).replace("${", "{")) == json.loads(json.dumps(value).replace("${", "{"))


# --- did you mean -----------------------------------------------------------------------------------------------------


def test_a_near_word_is_offered_and_otherwise_what_there_is():
    assert did_you_mean("tarfic", {"traffic", "where"}) == "did you mean `traffic`?"
    assert did_you_mean("zzz", {"traffic", "by"}) == "known: by, traffic"
    assert did_you_mean("zzz", ()) == "there are none"
    assert nearest("zzz", {"traffic"}) is None
