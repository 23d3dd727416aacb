"""Any JSON over HTTP: the system file says where the decision is, as paths.

    output: {label: "$.results[*].decision", scores: "$.results[*].probabilities", classes: [legit, fraud]}
    output: {score: "$.predictions[*]", positive: fraud, threshold: 93%}
    input: {rows: "$.applications[*]"}

A path is `$`, then `.name` or `['any name']`, `[0]` and `[*]` (every item of a list). Row i is the i-th match; label, scores and
score must match equally often. Every step must find something: an answer that lacks a value would shift all rows after it, and is
undecodable. The same paths override where `kserve-v1` and `mlflow` would look.

Source of the notation: RFC 9535, of which this is the part without filters, slices and descent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from chaos.json_places import Address
from chaos.protocols.base import InputNames, Output, Undecodable
from chaos.protocols.json_answers import JsonAnswers
from chaos.protocols.json_found import Found
from chaos.protocols.json_inputs import Asked, JsonInputs, of_rows

_STEP = re.compile(r"\.([^\W\d][\w-]*)|\[(\d{1,9})\]|(\[\*\])|\['([^'\\]+)'\]|\[\"([^\"\\]+)\"\]")
EVERY = None
"""The step `[*]`."""
Step = str | int | None


@lru_cache(maxsize=256)
def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path. Raises ValueError that says what to write."""
    steps: list[Step] = []
    place = 1
    while text.startswith("$") and place < len(text):
        match = _STEP.match(text, place)
        if match is None:
            break
        name, index, every, quoted, double = match.groups()
        steps.append(EVERY if every else int(index) if index else name or quoted or double)
        place = match.end()
    if not text.startswith("$") or place < len(text):
        raise ValueError(f"{text!r} is no path; write something like $.predictions[*].label")
    return tuple(steps)


def matches(whole: Any, path: str) -> list[tuple[Any, Address]]:
    """Every value that the path leads to, with its address, in order. Raises Undecodable when a step finds nothing."""
    try:
        steps = parse_path(path)
    except ValueError as error:
        raise Undecodable(str(error)) from error
    reached: list[tuple[Any, Address]] = [(whole, ())]
    for step in steps:
        if step is EVERY:
            if not all(isinstance(value, list) for value, _ in reached):
                raise Undecodable(f"{path}: no list at [*]")
            reached = [(item, (*at, index)) for value, at in reached for index, item in enumerate(value)]
        else:
            reached = [(_step(value, step, path), (*at, step)) for value, at in reached]
    return reached


def _step(value: Any, step: str | int, path: str) -> Any:
    if isinstance(value, dict) and step in value:
        return value[step]
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    raise Undecodable(f"{path}: nothing at {step!r}")


def by_paths(whole: Any, output: Output) -> Sequence[Found]:
    """What the answer says at the system file's paths, row by row. Raises Undecodable."""
    labels = _unwrapped(matches(whole, output.label)) if output.label is not None else None
    scores = matches(whole, output.scores) if output.scores is not None else None
    single = _unwrapped(matches(whole, output.score)) if output.score is not None else None
    counts = {len(one) for one in (labels, scores, single) if one is not None}
    if len(counts) != 1:
        raise Undecodable("the paths of `output` match differently often" if counts else "no paths to look at")
    nothing = (None, None)
    return [
        Found(
            *(labels[index] if labels is not None else nothing),
            *(scores[index] if scores is not None else nothing),
            *(single[index] if single is not None else nothing),
        )
        for index in range(counts.pop())
    ]


def _unwrapped(found: list[tuple[Any, Address]]) -> list[tuple[Any, Address]]:
    """Lists of one value are that value."""
    return [(value[0], (*at, 0)) if isinstance(value, list) and len(value) == 1 else (value, at) for value, at in found]


class PlainJson(JsonAnswers, JsonInputs):
    """The protocol. No request is told to be its own: only the system file knows."""

    name = "json"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Never: any service may answer JSON. `auto` takes it where the system file has paths and no other protocol fits."""
        del path, request_headers
        return False

    def found(self, whole: Any, output: Output) -> Sequence[Found]:
        """What stands at the paths. Raises Undecodable."""
        return by_paths(whole, output)

    def asked(self, whole: Any, names: InputNames) -> Asked:
        """What the rows at the path ask for. Raises Undecodable."""
        if names.rows is None:
            raise Undecodable("no path to look at; write `input: {rows: '$.path[*]'}` in the system file")
        return of_rows(matches(whole, names.rows), names)


PROTOCOL = PlainJson()
