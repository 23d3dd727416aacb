"""The fast parser against the standard library, which decides what a text means: it refuses, or says the same, or there is a doubt."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaos import json_codec
from tests.fuzzing import examples
from tests.json_texts import SCALARS, VALUES, written


def same(one: Any, other: Any) -> bool:
    """Equal in value, type and order of keys, NaN included."""
    return bool(json.dumps(one) == json.dumps(other))


def leaves(value: Any) -> list[Any]:
    """All scalars of a value."""
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return leaves(list(value.values())) if isinstance(value, dict) else [value]


def without_large(value: Any) -> Any:
    """The value with its numbers beyond 64 bits as decimals."""
    if isinstance(value, list):
        return [without_large(one) for one in value]
    if isinstance(value, dict):
        return {key: without_large(one) for key, one in value.items()}
    return float(value) if type(value) is int and not -(2**63) <= value < 2**64 else value


@settings(max_examples=examples(100))
@given(VALUES.flatmap(written))
def test_read_quickly_a_text_is_refused_or_means_the_same_but_for_integers_beyond_64_bits(text: str) -> None:
    exact = json_codec.exactly(text.encode())
    assert same(exact, json.loads(text))
    try:
        quick = json_codec.quickly(text.encode())
    except ValueError:
        return
    assert same(quick, without_large(exact))
    assert same(quick, exact) or json_codec.doubtful(leaves(quick))


@settings(max_examples=examples(100))
@given(st.from_regex(r"\A-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?\Z"))
@example("9223372036854775807")
@example("9223372036854775808")
@example("-9223372036854775809")
@example("18446744073709551616")
@example("-0")
@example("-0.0")
@example("2.2250738585072011e-308")
@example("0.500000000000000166533453693773481063544750213623046875")
def test_a_number_is_the_same_to_the_last_bit_whatever_its_form(text: str) -> None:
    exact = json.loads(text)
    try:
        quick = json_codec.quickly(text.encode())
    except ValueError:
        assert math.isinf(exact) or abs(exact) > 1e308
        return
    assert repr(quick) == repr(exact) or (json_codec.doubtful([quick]) and repr(quick) == repr(float(exact)))


@settings(max_examples=examples(100))
@given(
    st.binary(max_size=12)
    | st.text('{}[]:,"\\0123456789.eE+-truefalsn NaInfity\t\n\u00e9\u0661', max_size=14).map(str.encode)
)
@example(b"\xef\xbb\xbf1")
@example('"\ud800"'.encode("utf-8", "surrogatepass"))
@example("1".encode("utf-16"))
@example(b"[" * 100_000)
@example(b"9" * 5000)
@example(b"[1,]")
def test_what_is_read_quickly_is_json(text: bytes) -> None:
    try:
        exact = json_codec.exactly(text)
    except ValueError:
        with pytest.raises(ValueError):
            json_codec.quickly(text)
        return
    assert same(exact, json.loads(text.decode()))


@given(SCALARS | st.floats() | st.text())
@example(math.nan)
@example(-math.inf)
@example("\ud800\u00e9")
@example(10**40)
def test_what_is_written_is_read_as_what_it_was(value: Any) -> None:
    text = json_codec.dumped(value)
    assert same(json_codec.exactly(text), value)
    assert not set(text) & set(b"\n\r\t")


@given(st.lists(SCALARS | st.floats(), min_size=1, max_size=9))
@example([1, 2.5, True])
@example([0.5, math.nan, math.inf])
@example([None, 1])
@example(["a,b", 1])
@example([10**40, 1])
def test_many_are_written_as_each_is(values: list[Any]) -> None:
    assert json_codec.dumped_all(values) == [json_codec.dumped(value) for value in values]
