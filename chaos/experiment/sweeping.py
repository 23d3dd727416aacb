"""An experiment with `sweep:` → the same experiment at one severity. Pure.

document ─▶ severities() ─▶ [0.02, 0.05, …]     at(document, severity) ─▶ Document without `sweep:`, with the severity in its place
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from chaos.bounds import Bound, parse_bound
from chaos.document import Document, did_you_mean
from chaos.errors import Problem
from chaos.experiment.sections import Experiment, Sweep, model
from chaos.strict import validate

Kind = Literal["share", "duration", "number"]
_FAULT = re.compile(r"faults\[(\d+)\]\.(\w+)")
TRAFFIC = "traffic"


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep that was understood: where its parameter stands, what kind it is, and the severities, as numbers (shares, seconds).

    `bisect`: the severities are two ends, and at most `steps` runs look for the smallest that is caught between them.
    """

    path: tuple[str | int, ...]
    kind: Kind
    severities: tuple[float, ...]
    bisect: bool
    steps: int

    def text(self, severity: float) -> str:
        """The severity as people write it."""
        match self.kind:
            case "share":
                return f"{severity * 100:.4g}%"
            case "duration":
                return f"{severity * 1000:.4g}ms" if severity < 10 else f"{severity:.4g}s"
            case _:
                return f"{severity:.4g}"


def swept(experiment: Experiment) -> Swept | str:
    """The experiment's sweep, or why it is none, in one sentence. The experiment must have one."""
    sweep = experiment.sweep
    assert sweep is not None
    path = _path(experiment, sweep)
    if isinstance(path, str):
        return path
    written = sweep.over if sweep.over is not None else [sweep.from_, sweep.to]
    bounds = [_number(value) for value in written]
    wrong = next((value for value, bound in zip(written, bounds, strict=True) if bound is None), None)
    if wrong is not None:
        return f"{wrong!r} is no severity; write something like 5%, 300ms or 2"
    known = [bound for bound in bounds if bound is not None]
    kinds = {bound.kind for bound in known}
    if len(kinds) > 1 or "baseline" in kinds:
        return f"the severities are of different kinds ({', '.join(map(str, written))}); write all in one unit"
    values = tuple(sorted({bound.value for bound in known}))
    if len(values) < 2:
        return "one severity is no sweep; write at least two that differ"
    return Swept(path, known[0].kind, values, sweep.over is None, sweep.steps)  # type: ignore[arg-type]


def _path(experiment: Experiment, sweep: Sweep) -> tuple[str | int, ...] | str:
    if sweep.parameter == TRAFFIC:
        return ("blast_radius", TRAFFIC)
    named = _FAULT.fullmatch(sweep.parameter)
    if named is None and len(experiment.faults) > 1:
        count, example = len(experiment.faults), f"faults[0].{sweep.parameter}"
        return f"there are {count} faults, so whose {sweep.parameter!r} is meant is not said; write `{example}`"
    index, name = (int(named[1]), named[2]) if named is not None else (0, sweep.parameter)
    if index >= len(experiment.faults):
        return f"there is no fault {index}; they are counted from 0, and there are {len(experiment.faults)}"
    fault = experiment.faults[index]
    if name not in type(fault).model_fields:
        numbers = [one for one in type(fault).model_fields if one not in ("fault", "target")]
        return f"{fault.fault} has no parameter {name!r}; {did_you_mean(name, numbers)}"
    return ("faults", index, name)


def _number(value: object) -> Bound | None:
    try:
        found = parse_bound(value)
    except ValueError:
        return None
    return found if isinstance(found, Bound) else None


def at(document: Document, found: Swept, severity: float) -> Document:
    """The document with this severity in its place, and without its `sweep:`."""
    data: Any = copy.deepcopy(document.data)
    place = data
    for step in found.path[:-1]:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    place[found.path[-1]] = found.text(severity) if found.kind != "number" else float(f"{severity:.6g}")
    data.pop("sweep", None)
    return replace(document, data=data)


def problems_of(experiment: Experiment, document: Document) -> list[Problem]:
    """What is wrong with the sweep, and with the experiment at its ends."""
    if experiment.sweep is None:
        return []
    found = swept(experiment)
    if isinstance(found, str):
        return [document.problem(("sweep",), found)]
    for severity in (found.severities[0], found.severities[-1]):
        _, wrong = validate(at(document, found, severity), model())
        if wrong:
            return [document.problem(("sweep",), f"at {found.text(severity)}: {wrong[0].message}")]
    return []
