"""One experiment as it is written, whole."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, Union

from pydantic import AfterValidator, Discriminator, Field, Tag, create_model

from chaos.experiment.blast_radius import BlastRadius
from chaos.experiment.expect import Expect
from chaos.experiment.load import Load
from chaos.experiment.steady_state import Steady
from chaos.experiment.sweep import SweepEntry
from chaos.faults import catalogue as faults
from chaos.faults.base import Fault
from chaos.strict import Strict
from chaos.system import System
from chaos.units import Duration


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", value):
        raise ValueError(f"{value!r} is no name; write letters, digits, dots and dashes only")
    return value


class Experiment(Strict):
    """One experiment, as it is written."""

    name: Annotated[str, AfterValidator(_name)] = Field(examples=["wrong-predictions-page-the-on-call"])
    description: str = ""
    owner: str = ""
    tags: list[str] = Field(default_factory=list)
    system: str = Field(examples=["lab"])
    steady_state: list[Steady] = Field(min_length=1, examples=["[{probe: availability, min: 99.5%}]"])
    load: Load | None = None
    blast_radius: BlastRadius = Field(examples=["{traffic: 1%, max_duration: 3m}"])
    baseline: Duration = 30.0
    faults: list[Fault] = Field(min_length=1, examples=["[{fault: wrong_predictions, target: model, duration: 60s}]"])
    recovery: Duration = 120.0
    sweep: SweepEntry | None = None
    expect: Expect = Field(examples=["{alerts: [{alert: ModelAccuracyLow, within: 60s}]}"])

    def subject_header(self, system: System) -> str:
        """What a subject is: the experiment's word, else the system's."""
        return self.blast_radius.by or system.request.subject

    def holding(self) -> list[str]:
        """The steady-state entries that must survive: the named ones, else all judged during the fault that are not in `harms`."""
        if self.expect.holds is not None:
            return list(self.expect.holds)
        return [
            entry.title
            for entry in self.steady_state
            if entry.title not in self.expect.harms and "during" in entry.moments()
        ]


@cache
def model() -> type[Experiment]:
    """Experiment with every fault of the catalogue in its `faults`, told apart by `fault:`."""
    options = [Annotated[fault, Tag(name)] for name, fault in faults().items()]
    union = Annotated[Union[tuple(options)], Discriminator("fault")] if len(options) > 1 else options[0]
    listed = list[union]  # type: ignore[valid-type]
    made: type[Experiment] = create_model(
        "Experiment",
        __base__=Experiment,
        faults=(listed, Field(min_length=1, examples=["[{fault: wrong_predictions, target: model, duration: 60s}]"])),
    )
    return made


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an experiment file, for editors."""
    return model().model_json_schema(mode="validation")
