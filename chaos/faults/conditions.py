"""Conditions on the rows of a load: `application.income > 50 and group == "north"`. Compared, never evaluated as code."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator

_TERM = re.compile(
    r"""\s*([A-Za-z_]\w*(?:\.\w+|\[\d{1,6}\])*)\s*(==|!=|<=|>=|<|>)\s*"""
    r"""("[^"]*"|'[^']*'|-?\d{1,30}(?:\.\d{1,30})?|true|false|null)\s*"""
)
_STEP = re.compile(r"\.?(\w+)|\[(\d+)\]")
_AND = re.compile(r"and\b")
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
MOST_TERMS = 20

Value = str | float | bool | None


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison of a column with a value. `column` is its path: names, and places in lists."""

    column: tuple[str | int, ...]
    compared: str
    value: Value

    def meets(self, row: Mapping[str, Any]) -> bool:
        """Whether the row's column compares so. A column that is missing is null, which only compares with null."""
        found: Any = row
        for step in self.column:
            try:
                found = found[step]
            except (LookupError, TypeError):
                found = None
                break
        if self.compared == "==":
            return self._same(found)
        if self.compared == "!=":
            return not self._same(found) and (found is not None or self.value is None)
        number = _number(found)
        return number is not None and isinstance(self.value, float) and _ORDER[self.compared](number, self.value)

    def _same(self, found: object) -> bool:
        if isinstance(self.value, float):
            return _number(found) == self.value
        if isinstance(self.value, bool) or self.value is None:
            return found is self.value
        return found == self.value


def _number(found: object) -> float | None:
    """The number that a cell holds; the cells of a CSV file are text. None when it holds none, or NaN."""
    if isinstance(found, bool) or not isinstance(found, (int, float, str)):
        return None
    try:
        number = float(found)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


@dataclass(frozen=True, slots=True)
class Condition:
    """All of these comparisons at once."""

    terms: tuple[Term, ...]

    def meets(self, row: Mapping[str, Any]) -> bool:
        """Whether the row meets every one of them."""
        return all(term.meets(row) for term in self.terms)


@lru_cache(64)
def parse_condition(text: str) -> Condition:
    """The condition that this text means. Raises ValueError that says what to write."""
    terms: list[Term] = []
    place = 0
    while True:
        match = _TERM.match(text, place)
        if match is None or len(terms) == MOST_TERMS:
            raise ValueError(
                f'{text!r} is no condition; write something like income > 50, or group == "north" and income <= 50'
            )
        value = _value(match[3])
        if match[2] in _ORDER and not isinstance(value, float):
            raise ValueError(f"{text!r} asks whether {match[3]} is more or less; write a number there, or == or !=")
        column = tuple(name or int(index) for name, index in _STEP.findall(match[1]))
        terms.append(Term(column, match[2], value))
        place = match.end()
        if place == len(text):
            return Condition(tuple(terms))
        joined = _AND.match(text, place)
        place = joined.end() if joined is not None else len(text)


def _value(text: str) -> Value:
    if text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false", "null"):
        value: Value = json.loads(text)
        return value
    return float(text)


def _checked(text: str) -> str:
    parse_condition(text)
    return text


ConditionText = Annotated[str, AfterValidator(_checked)]
"""A condition as people write it; refused with what to write instead."""
