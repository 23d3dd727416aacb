"""The sections of an experiment file, each a model of what people write there."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, Discriminator, Field, StrictBool, Tag, create_model, model_validator

from chaos.arms import place_of
from chaos.bounds import BoundText
from chaos.caps import MostText
from chaos.faults import catalogue as faults
from chaos.faults.base import Fault
from chaos.probe import Better, Missing
from chaos.slices import Slice
from chaos.strict import Strict
from chaos.system import System
from chaos.units import Count, Duration, Rate, Share


class Bounded(Strict):
    """At least one of `min` and `max`."""

    min: BoundText | None = None
    max: BoundText | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Bounded:
        if self.min is None and self.max is None:
            raise ValueError("a bound is missing; write `min:` or `max:`")
        return self


class SteadyProbe(Bounded):
    """A catalogue probe within bounds."""

    probe: str = Field(examples=["availability"])

    @property
    def title(self) -> str:
        """What it is called in findings."""
        return self.probe


class SteadyInline(Bounded):
    """A probe written out, for one-offs."""

    name: str = Field(examples=["approvals"])
    promql: str = Field(examples=["sum(up)"])
    unit: str = Field(examples=["1/s"])
    better: Better = "neither"
    when_missing: Missing = "inconclusive"

    @property
    def title(self) -> str:
        """What it is called in findings."""
        return self.name


def _steady_tag(value: Any) -> str:
    if isinstance(value, dict):
        return "inline" if "promql" in value or ("name" in value and "probe" not in value) else "probe"
    return "inline" if isinstance(value, SteadyInline) else "probe"


Steady = Annotated[
    Union[Annotated[SteadyProbe, Tag("probe")], Annotated[SteadyInline, Tag("inline")]], Discriminator(_steady_tag)
]


class LoadFeedback(Strict):
    """Labels come late and incomplete, as in production."""

    after: Duration = 2.0
    share: Share = 1.0


class Load(Strict):
    """The run's own traffic: open loop at this rate, from labelled rows."""

    rate: Rate = Field(examples=["40/s"])
    data: str = Field(examples=["lab:applications"])
    feedback: LoadFeedback | None = None
    returning: Share = 0.0
    warmup: Duration = 10.0
    limit: Count | None = None


class AlertMatch(Strict):
    """Any alert with these labels."""

    alert: dict[str, str]


class GuardProbe(Bounded):
    """A probe that ends the run when it leaves these bounds for so long."""

    probe: str = Field(examples=["availability"])
    for_: Duration = Field(0.0, alias="for")


def _guard_tag(value: Any) -> str:
    return "alert" if (isinstance(value, dict) and "alert" in value) or isinstance(value, AlertMatch) else "probe"


Guard = Annotated[
    Union[Annotated[GuardProbe, Tag("probe")], Annotated[AlertMatch, Tag("alert")]], Discriminator(_guard_tag)
]


def _by(value: str) -> str:
    if place_of(value) is None:
        raise ValueError(
            f"{value!r} names no subject; write header:NAME, cookie:NAME, query:NAME, json:$.PATH, or request"
        )
    return value


def _slice(value: str) -> str:
    Slice.parse(value)
    return value


class BlastRadius(Strict):
    """The most that may be hurt. In `mode: shadow` nobody is: faults happen to copies of answers."""

    mode: Literal["live", "shadow"] = "live"
    subjects: Literal["synthetic", "users"] = "synthetic"
    traffic: Share = 0.01
    by: Annotated[str, AfterValidator(_by)] | None = None
    where: Annotated[str, AfterValidator(_slice)] | None = None
    most: MostText | None = None
    containers: int = Field(1, ge=1, le=1000)
    max_duration: Duration = Field(examples=["3m"])
    lease: Duration = Field(10.0, ge=1.0, le=60.0, description="how long an effect outlives a runner that is gone")
    abort: list[Guard] = Field(default_factory=list)


class ExpectedAlert(Strict):
    """One alert that must tell."""

    alert: str = Field(examples=["ModelAccuracyLow"])
    labels: dict[str, str] = Field(default_factory=dict)
    within: Duration | None = None
    delivered_to: str | None = None
    resolved_within: Duration | None = None


class Expect(Strict):
    """What must break, what must survive, and who must be told.

    `telemetry: shadow` says that `harms` and `alerts` read the telemetry of the shadow's consumer, and not the service's own.
    """

    telemetry: Literal["live", "shadow"] = "live"
    harms: list[str] = Field(default_factory=list)
    holds: list[str] | None = None
    alerts: list[ExpectedAlert] = Field(default_factory=list)
    quiet: StrictBool | list[str] = False
    control: Literal["unharmed"] | None = None
    arms: Literal["held"] | None = None


class Sweep(Strict):
    """One parameter over several severities, a run for each: a grid (`over`), or bisection between two ends (`from`, `to`)."""

    parameter: str = Field(
        "share", description="a fault's parameter, `faults[1].share` where there are several, or `traffic`"
    )
    over: list[float | str] | None = Field(None, min_length=2, examples=["[2%, 5%, 10%, 20%]"])
    from_: float | str | None = Field(None, alias="from", examples=["1%"])
    to: float | str | None = Field(None, examples=["30%"])
    steps: int = Field(6, ge=2, le=20, description="the most runs of a bisection")

    @model_validator(mode="after")
    def _one_way(self) -> Sweep:
        ends = self.from_ is not None and self.to is not None
        if (self.over is None) == (not ends) or (
            self.over is not None and (self.from_ is not None or self.to is not None)
        ):
            raise ValueError("which severities is not said; write `over: [2%, 5%, 10%]`, or `from: 1%` and `to: 30%`")
        return self


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
    expect: Expect = Field(examples=["{alerts: [{alert: ModelAccuracyLow, within: 60s}]}"])
    sweep: Sweep | None = None

    def subject_header(self, system: System) -> str:
        """What a subject is: the experiment's word, else the system's."""
        return self.blast_radius.by or system.request.subject

    def holding(self) -> list[str]:
        """The steady-state entries that must survive: the named ones, else all that are not in `harms`."""
        if self.expect.holds is not None:
            return list(self.expect.holds)
        return [entry.title for entry in self.steady_state if entry.title not in self.expect.harms]


def _fault_tag(value: Any) -> Any:
    return value.get("fault") if isinstance(value, dict) else getattr(value, "fault", None)


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
