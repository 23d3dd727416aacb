"""What a sweep means: which parameter of which fault, at which severities, and the experiment at one of them. Pure.

experiment.sweep ─▶ sweep_of() ─▶ Sweep      experiment + severity ─▶ at() ─▶ Experiment without a sweep
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError

from chaos.document import Document, Path, did_you_mean
from chaos.errors import Problem
from chaos.experiment.sweep import SweepEntry
from chaos.experiment.whole import Experiment
from chaos.faults.base import Fault
from chaos.strict import keys_of, sentence
from chaos.units import format_share, parse_share


@dataclass(frozen=True, slots=True)
class Bisection:
    """At most so many steps between the mildest and the severest; numbers as the parameter has them within the program."""

    low: float
    high: float
    steps: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """One parameter of one fault, or the traffic that is hurt (`fault_index` None), at several severities, each `repeats` times.

    Severities are numbers as the parameter has them within the program: a share in [0, 1], seconds, bytes. They stand in the order in
    which they were written, the mildest first where people write so.
    """

    fault_index: int | None
    parameter: str
    severities: tuple[float, ...] | Bisection
    repeats: int = 1


def sweep_of(experiment: Experiment) -> Sweep | None:
    """The experiment's sweep, or None when it has none. Raises ValueError when it fits the experiment's faults not at all."""
    written = experiment.sweep
    if written is None:
        return None
    index, key = _place(experiment, written)
    if written.over is not None:
        return Sweep(index, key, tuple(_number(experiment, index, key, one) for one in written.over), written.repeats)
    low, high = (_number(experiment, index, key, one) for one in (written.from_, written.to))
    return Sweep(index, key, Bisection(low, high, written.steps or 1), written.repeats)


def at(experiment: Experiment, severity: float) -> Experiment:
    """The experiment with its sweep's parameter at this severity, and without the sweep.

    The severity is a number as `Sweep` has it; in the experiment it stands with its unit (`share: 4.1%`). A parameter of whole numbers
    gets the nearest one. Raises ValueError when there is no sweep, and in the fault's own words when the fault refuses this severity.
    """
    if experiment.sweep is None:
        raise ValueError("this experiment has no `sweep:`")
    index, key = _place(experiment, experiment.sweep)
    if index is None:
        radius = experiment.blast_radius.model_copy(update={"traffic": _traffic(text_of(experiment, severity))})
        return experiment.model_copy(update={"blast_radius": radius, "sweep": None})
    fault = experiment.faults[index]
    whole = _kinds(type(fault), key) == {int}
    field = _field(type(fault), key)
    changed = fault.model_copy(update={field: round(severity) if whole else float(severity)})
    faults = list(experiment.faults)
    faults[index] = _with(fault, key, _written(changed, key))
    return experiment.model_copy(update={"faults": faults, "sweep": None})


def text_of(experiment: Experiment, severity: float) -> str:
    """The severity as people write it: `4.1%`, `300ms`. The experiment has a sweep."""
    assert experiment.sweep is not None
    index, key = _place(experiment, experiment.sweep)
    if index is None:
        return format_share(severity)
    fault = experiment.faults[index]
    whole = _kinds(type(fault), key) == {int}
    changed = fault.model_copy(update={_field(type(fault), key): round(severity) if whole else float(severity)})
    return str(_written(changed, key))


def _written(fault: Fault, key: str) -> Any:
    return fault.model_dump(mode="json", by_alias=True, exclude_unset=True)[key]


def _traffic(value: object) -> float:
    found = parse_share(value)
    if not 0 < found <= 1:
        raise ValueError(
            f"{value} of traffic would hurt nobody, or more than everybody; write more than 0% and at most 100%"
        )
    return found


TRAFFIC = "traffic"
"""Beside a fault's parameters, the share of traffic that is hurt can be swept."""


def _place(experiment: Experiment, written: SweepEntry) -> tuple[int | None, str]:
    """Index of the fault and key of its parameter; None and `traffic`. Raises ValueError with the sentence that people are told."""
    if written.parameter == TRAFFIC:
        return None, TRAFFIC
    found = re.fullmatch(r"(?:faults\[(\d+)\]\.)?([A-Za-z_]+)", written.parameter)
    if found is None:
        raise ValueError(f"{written.parameter!r} names no parameter; write one like `share`, or `faults[0].share`")
    count, key = len(experiment.faults), found[2]
    if found[1] is None and count > 1:
        raise ValueError(f"there are {count} faults, and `{key}` may be a parameter of each; write `faults[0].{key}`")
    index = int(found[1] or 0)
    if index >= count:
        raise ValueError(f"there is no faults[{index}]; write `faults[{count - 1}].{key}`")
    fault = experiment.faults[index]
    known = [one for one in keys_of(type(fault)) if _kinds(type(fault), one)]
    if key not in keys_of(type(fault)):
        raise ValueError(f"`{fault.fault}` has no parameter `{key}`; {did_you_mean(key, known)}")
    if key not in known:
        raise ValueError(f"`{key}` of `{fault.fault}` is no quantity; write one of {', '.join(sorted(known))}")
    return index, key


def _field(fault: type[Fault], key: str) -> str:
    return next(name for name, field in fault.model_fields.items() if (field.alias or name) == key)


def _kinds(fault: type[Fault], key: str) -> set[type]:
    """int, float or both, as far as the parameter is a number within the program; empty where it is something else."""
    found = set(_types(keys_of(fault)[key].annotation)) - {types.NoneType}
    return found if found and found <= {int, float} else set()


def _types(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _types(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _types(option)
    else:
        yield annotation


def _with(fault: Fault, key: str, value: object) -> Fault:
    """The fault with this value, as people would write it. Raises ValueError in the fault's own words."""
    said: Mapping[str, Any] = fault.model_dump(mode="json", by_alias=True, exclude_unset=True)
    try:
        return type(fault).model_validate({**said, "fault": fault.fault, key: value})
    except ValidationError as refused:
        raise ValueError(sentence(refused.errors()[0])) from None


def _number(experiment: Experiment, index: int | None, key: str, value: object) -> float:
    if index is None:
        return _traffic(value)
    fault = experiment.faults[index]
    number: float = getattr(_with(fault, key, value), _field(type(fault), key))
    return number


def sweep_problems(experiment: Experiment, document: Document) -> Iterator[tuple[Problem, float | None]]:
    """What is wrong with the sweep by itself; and of every severity that is right, a problem's place for the experiment at it."""
    written = experiment.sweep
    if written is None:
        return
    try:
        index, key = _place(experiment, written)
    except ValueError as refused:
        yield document.problem(("sweep", "parameter"), str(refused)), None
        return
    values: list[tuple[Path, object]] = [
        (("sweep", "over", place), one) for place, one in enumerate(written.over or ())
    ] or [(("sweep", "from"), written.from_), (("sweep", "to"), written.to)]
    seen: dict[float, object] = {}
    for path, value in values:
        try:
            number = _number(experiment, index, key, value)
        except ValueError as refused:
            yield document.problem(path, str(refused)), None
            continue
        if number in seen:
            yield document.problem(path, f"{value} is the same as {seen[number]}; write each severity once"), None
        else:
            seen[number] = value
            yield document.problem(path, ""), number
