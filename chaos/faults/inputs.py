"""What the faults share that change what a model is asked: which feature, which inputs, and what a number stays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from chaos.faults.base import Call, Fault, NotThere
from chaos.rows import Input, Value

Feature = Annotated[int, Field(strict=True, ge=0)] | Annotated[str, Field(min_length=1)]
"""A feature by its name, or by its place from 0."""


class InputFault(Fault):
    """A fault that changes the inputs of requests. Subclasses say what becomes of one."""

    acts_on = "request"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    edits_inputs = True
    family = "input"
    must = "data quality, feature drift"
    quiet = "latency"

    def edit_inputs(self, inputs: Sequence[Input], call: Call) -> Sequence[Input]:
        """Selected inputs are changed. Raises NotThere when there are some, and none has the features."""
        if self.selects_requests():
            selected = [*inputs] if call.selected() else []
        else:
            selected = [one for one in inputs if call.selected(one.index)]
        changed = {one.index: self.changed(one, call) for one in selected}
        if changed and not any(changed.values()):
            raise NotThere(f"no input has what {self.fault} acts on")
        return [changed.get(one.index) or one for one in inputs]

    def acted_on(self) -> Sequence[int | str]:
        """The features that the fault acts on, each by its name or its place."""
        raise NotImplementedError

    def changed(self, one: Input, call: Call) -> Input | None:
        """What becomes of a selected input: the very same object where it stays; None when it does not have the features."""
        raise NotImplementedError


class NumberFault(InputFault):
    """A fault that makes another number of one feature. Whole numbers stay whole; what is no number stays."""

    feature: Feature = Field(description="the feature: its name, or its place from 0", examples=["income"])

    def acted_on(self) -> Sequence[int | str]:
        """One feature."""
        return [self.feature]

    def changed(self, one: Input, call: Call) -> Input | None:
        """The input with another number, if the feature is one."""
        place = place_of(self.feature, one)
        if place is None:
            return None
        number = number_of(one.values[place])
        return (
            one
            if number is None
            else with_value(one, place, moved(one.values[place], self.reckoned(number, one, call)))
        )

    def reckoned(self, number: float, one: Input, call: Call) -> float:
        """What becomes of the number."""
        raise NotImplementedError


def place_of(feature: int | str, one: Input) -> int | None:
    """Where the input has the feature; None when it does not."""
    if isinstance(feature, int):
        return feature if feature < len(one.names) else None
    return one.names.index(feature) if feature in one.names else None


def with_value(one: Input, place: int, value: Value) -> Input:
    """The input with another value at this place; the very same object when it is the value that stands there."""
    was = one.values[place]
    if value is was or (type(value) is type(was) and value == was):
        return one
    return Input(one.index, (*one.values[:place], value, *one.values[place + 1 :]), one.names)


def number_of(value: Value) -> float | None:
    """The number that can be reckoned with; None for truth, text, null, NaN and what is infinite, or nearly."""
    if type(value) is not int and type(value) is not float:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def moved(was: Value, number: float) -> Value:
    """The number in the type of the one that it replaces: a whole one stays whole. What no JSON can say leaves the old one."""
    if not math.isfinite(number):
        return was
    return round(number) if type(was) is int else number


def called(feature: int | str) -> str:
    """The feature as a sentence names it."""
    return f"feature {feature}" if isinstance(feature, int) else feature
