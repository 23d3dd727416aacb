"""The experiment file: steady state, load, blast radius, faults, expectations.

text ─▶ parse() ─▶ Experiment        raises InvalidFile: every problem with file:line:column
                      │
                   link(system, probes) ─▶ problems that only show beside the other two files
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, Discriminator, Field, StrictBool, Tag, create_model, model_validator

from chaos.arms import place_of, with_subject
from chaos.bounds import BoundText, kind_of_unit
from chaos.caps import Most, MostText
from chaos.document import Document, Path, did_you_mean, read_document
from chaos.errors import InvalidFile, Problem
from chaos.faults import catalogue as faults
from chaos.faults.base import Fault
from chaos.faults.loads import LoadFault
from chaos.probe import Better, Catalogue, Missing, unknown
from chaos.slices import Slice
from chaos.strict import Strict, validate
from chaos.system import System, Target
from chaos.units import Count, Duration, Rate, Share, format_duration


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


def parse(text: str, path: str, variables: Mapping[str, str]) -> tuple[Experiment, Document]:
    """The experiment and the document that it stood in. Raises InvalidFile with every problem of this file."""
    document = read_document(text, path, variables)
    return experiment_of(document), document


def experiment_of(document: Document) -> Experiment:
    """The experiment of a document that was read. Raises InvalidFile with every problem of this file."""
    made, problems = validate(document, model())
    if made is None:
        raise InvalidFile(problems)
    problems = [*_own_problems(made, document)]
    if problems:
        raise InvalidFile(problems)
    return made


def _own_problems(experiment: Experiment, document: Document) -> list[Problem]:
    """What is wrong within the experiment alone, beyond each single value."""
    found: list[Problem] = []
    most = experiment.blast_radius.max_duration
    for index, fault in enumerate(experiment.faults):
        if fault.duration is None:
            message = (
                f"`duration` is missing; write `duration: {format_duration(most)}` or less, so that the fault ends"
            )
            found.append(document.problem(("faults", index), message))
        elif fault.start + fault.duration > experiment.blast_radius.max_duration:
            end = format_duration(fault.start + fault.duration)
            message = (
                f"this fault would end after {end} and the blast radius allows {format_duration(most)}; write a "
                "shorter `duration:` or a longer `max_duration:`"
            )
            found.append(document.problem(("faults", index, "duration"), message))
    titles = [entry.title for entry in experiment.steady_state]
    for index, title in enumerate(titles):
        if title in titles[:index]:
            found.append(document.problem(("steady_state", index), f"`{title}` stands twice; write it once"))
    for key, names in (("harms", experiment.expect.harms), ("holds", experiment.expect.holds or [])):
        for index, name in enumerate(names):
            if name not in titles:
                message = f"`{name}` is not in steady_state; {did_you_mean(name, titles)}"
                found.append(document.problem(("expect", key, index), message))
    found += _shadow_problems(experiment, document) + _cap_problems(experiment, document)
    found += _load_fault_problems(experiment, document)
    found += [
        document.problem(
            ("faults", index, "share"),
            f"`{fault.fault}` hurts everything that monitoring asks {fault.target} for; leave `share` out",
        )
        for index, fault in enumerate(experiment.faults)
        if fault.whole_target and fault.share < 1
    ]
    found += [
        document.problem(
            ("faults", index, key),
            f"another tool decides how much `{fault.fault}` hurts; leave `{key}` out",
        )
        for index, fault in enumerate(experiment.faults)
        if fault.acts_on == "outside"
        for key, said in (("share", fault.share < 1), ("shape", fault.shape.kind != "step"))
        if said
    ]
    for index, fault in enumerate(experiment.faults):
        aim = fault.aim()
        if aim is not None and aim.outcome not in titles:
            message = (
                f"`to_{aim.outcome}` needs to know what {aim.outcome} is now; write a probe of that name under steady_state, "
                "or `share` instead"
            )
            found.append(document.problem(("faults", index, f"to_{aim.outcome}"), message))
    if experiment.load is None and experiment.blast_radius.subjects == "synthetic" and _needs_subjects(experiment):
        message = (
            "without `load:` nobody is there to be hurt (`subjects: synthetic` are the run's own load); write "
            "`load: {rate: 40/s, data: FILE}`, or `subjects: users` to hurt real people's requests"
        )
        found.append(document.problem(("blast_radius",), message))
    return found


def _load_fault_problems(experiment: Experiment, document: Document) -> list[Problem]:
    """Faults in the run's own load that need more of it than there is."""
    found: list[Problem] = []
    for index, fault in enumerate(experiment.faults):
        if not isinstance(fault, LoadFault):
            continue
        path: Path = ("faults", index, "fault")
        if experiment.load is None:
            message = f"`{fault.fault}` happens in the run's own load, and there is none; write `load: {{rate: 40/s, data: FILE}}`"
            found.append(document.problem(path, message))
        elif fault.needs_feedback and experiment.load.feedback is None:
            message = (
                f"`{fault.fault}` changes what is told of outcomes, and the load tells nothing; write "
                "`feedback: {after: 2s, share: 100%}` under load"
            )
            found.append(document.problem(path, message))
    return found


def _cap_problems(experiment: Experiment, document: Document) -> list[Problem]:
    """The faults of which nothing counts what `most:` caps."""
    most = experiment.blast_radius.most
    if most is None:
        return []
    found: list[Problem] = []
    for index, fault in enumerate(experiment.faults):
        path: Path = ("faults", index, "fault")
        if fault.acts_on == "outside":
            message = f"`{fault.fault}` is what another tool does, and `most:` caps what proxies do; leave `most` out"
            found.append(document.problem(path, message))
        elif fault.uncounted() and Most.parse(most).what == "predictions":
            hurts = f"`{fault.fault}` hurts {fault.uncounted()}, whose predictions nobody has counted"
            message = f"{hurts}; write `most: N requests` under blast_radius"
            found.append(document.problem(path, message))
        elif fault.acts_on == "load":
            message = f"`{fault.fault}` is what the run's own load does, and `most:` caps what proxies do; write `limit:` under load"
            found.append(document.problem(path, message))
    return found


def _shadow_problems(experiment: Experiment, document: Document) -> list[Problem]:
    """What cannot happen to copies of answers, and what cannot be seen of it."""
    found: list[Problem] = []
    expect = experiment.expect
    if experiment.blast_radius.mode == "live":
        if expect.telemetry == "shadow":
            message = "nothing is shadowed, so there is no such telemetry; write `mode: shadow` under blast_radius, or leave this out"
            found.append(document.problem(("expect", "telemetry"), message))
        return found
    for index, fault in enumerate(experiment.faults):
        if beyond := fault.beyond_copies():
            message = (
                f"`{fault.fault}` cannot be shadowed: it {beyond}, and a shadow is a copy of an answer; "
                "write `mode: live` under blast_radius, or leave this fault out"
            )
            found.append(document.problem(("faults", index, "fault"), message))
    if expect.telemetry == "live":
        found += [
            document.problem(
                ("expect", key),
                "in `mode: shadow` clients get untouched answers, so the service's own telemetry sees nothing; leave this out, "
                "or write `telemetry: shadow` under expect when all of it reads the shadow's consumer",
            )
            for key, asked in (("harms", expect.harms), ("alerts", expect.alerts))
            if asked
        ]
    return found


def _needs_subjects(experiment: Experiment) -> bool:
    return any(fault.acts_on in ("request", "answer") and not fault.whole_target for fault in experiment.faults)


def link(experiment: Experiment, document: Document, system: System, probes: Catalogue) -> list[Problem]:
    """What is wrong between the three files: unknown probes, targets and receivers, and bounds in the wrong unit."""
    found = [*_probe_problems(experiment, document, system, probes)]
    for index, fault in enumerate(experiment.faults):
        target = system.targets.get(fault.target)
        path: Path = ("faults", index, "target")
        if target is None:
            found.append(document.problem(path, _no_target(fault.target, system)))
        elif fault.acts_on == "container" and target.runs_in() is None:
            message = f"`{fault.target}` says neither `docker:` nor `process:`, so no container can be hurt; add one"
            found.append(document.problem(path, message))
        elif fault.acts_on in ("request", "answer") and not target.proxies:
            message = f"`{fault.target}` has no fault proxy; add `proxies:` to it in the system file"
            found.append(document.problem(path, message))
        elif isinstance(fault, LoadFault) and fault.needs_labels and system.request.label is None:
            message = (
                f"`{fault.fault}` must know true outcomes, and the system `{system.name}` does not say where they stand; "
                "write `label: COLUMN` under its `request:`"
            )
            found.append(document.problem(("faults", index, "fault"), message))
        elif (misplaced := _misplaced(fault, target)) is not None:
            found.append(document.problem(path, misplaced))
    for index, alert in enumerate(experiment.expect.alerts):
        if alert.delivered_to is not None and alert.delivered_to not in system.receivers:
            path = ("expect", "alerts", index, "delivered_to")
            found.append(document.problem(path, _no_receiver(alert.delivered_to, system)))
    return found + _load_problems(experiment, document, system)


def _misplaced(fault: Fault, target: Target) -> str | None:
    """Why this fault cannot be where the target's proxies stand: before monitoring, or before users; None when it can."""
    watched = target.placement == "in monitoring"
    if fault.acts_on not in ("request", "answer") or fault.whole_target == watched:
        return None
    if watched:
        return f"nobody but monitoring asks `{fault.target}`, and `{fault.fault}` needs subjects; write another target"
    return (
        f"`{fault.fault}` hurts everything that goes to its target, so only monitoring may ask there; write a target with "
        "`placement: in monitoring`"
    )


def _no_target(name: str, system: System) -> str:
    return f"the system `{system.name}` has no target `{name}`; {did_you_mean(name, system.targets)}"


def _no_receiver(name: str, system: System) -> str:
    return f"no receiver `{name}`; {did_you_mean(name, system.receivers)}"


def link_names(document: Document, system: System, probes: Catalogue) -> list[Problem]:
    """The names of probes, targets and receivers that nobody knows, in a document that has other mistakes, too.

    So that a file with a missing unit and a misspelt target says both at the first try.
    """
    found: list[Problem] = []
    for path, name in _texts(document.data, ()):
        match path:
            case ("steady_state", int(), "probe") | ("blast_radius", "abort", int(), "probe") if name not in probes:
                found.append(document.problem(path, unknown(name, probes)))
            case ("faults", int(), "target") if name not in system.targets:
                found.append(document.problem(path, _no_target(name, system)))
            case ("expect", "alerts", int(), "delivered_to") if name not in system.receivers:
                found.append(document.problem(path, _no_receiver(name, system)))
            case _:
                pass
    return found


def _texts(data: object, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in the data, with its path."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _texts(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _texts(value, (*path, index))


def _unplaced(by: str, system: System) -> str | None:
    """Why the load cannot say its subjects in its bodies, where it has to; None when it can."""
    kind, path = place_of(by) or ("", "")
    if kind != "json":
        return None
    # Whatever a row brings into the template is only known when it is there.
    template = {} if system.request.json_ is None else _opened(system.request.json_)
    try:
        with_subject(template, path, "subject")
    except LookupError:
        return f"subjects are to stand at `{path}`, and the `request.json` of `{system.name}` has something else there; mend one of them"
    return (
        None
        if system.request.json_ is not None
        else (
            f"subjects are to stand at `{path}`, and the system `{system.name}` sends no JSON; write `json:` under its `request:`"
        )
    )


def _opened(template: object) -> object:
    """The template with a mapping wherever a column of the data comes whole: it may be one."""
    if isinstance(template, dict):
        return {key: _opened(value) for key, value in template.items()}
    if isinstance(template, list):
        return [_opened(value) for value in template]
    return {} if isinstance(template, str) and template.startswith("$") else template


def _load_problems(experiment: Experiment, document: Document, system: System) -> list[Problem]:
    if experiment.load is None:
        return []
    found: list[Problem] = []
    if system.entry is None:
        message = f"the system `{system.name}` has no `entry:` to send the load to; add it"
        found.append(document.problem(("load",), message))
    if (unplaced := _unplaced(experiment.subject_header(system), system)) is not None:
        found.append(document.problem(("load",), unplaced))
    kind, _, name = experiment.load.data.partition(":")
    if name and kind == system.name.split("-")[0] and name not in system.data:
        message = f"the system `{system.name}` has no data `{name}`; {did_you_mean(name, system.data)}"
        found.append(document.problem(("load", "data"), message))
    if experiment.load.feedback is not None and system.feedback is None:
        message = f"the system `{system.name}` has no `feedback:` to send labels to; add it or drop `feedback:` here"
        found.append(document.problem(("load", "feedback"), message))
    elif experiment.load.feedback is not None and system.feedback is not None:
        named = any(text == "$answer.id" for _, text in _texts(system.feedback.json_, ()))
        if named and (system.request.answer is None or system.request.answer.id is None):
            message = f"the feedback of `{system.name}` places `$answer.id`, and its `request.answer` has no `id:`; add it there"
            found.append(document.problem(("load", "feedback"), message))
    return found


def _probe_problems(experiment: Experiment, document: Document, system: System, probes: Catalogue) -> list[Problem]:
    found: list[Problem] = []
    named: list[tuple[Path, Bounded, str]] = [
        (("steady_state", index), entry, entry.probe)
        for index, entry in enumerate(experiment.steady_state)
        if isinstance(entry, SteadyProbe)
    ]
    named += [
        (("blast_radius", "abort", index), guard, guard.probe)
        for index, guard in enumerate(experiment.blast_radius.abort)
        if isinstance(guard, GuardProbe)
    ]
    for path, entry, name in named:
        probe = probes.get(name)
        if probe is None:
            found.append(document.problem((*path, "probe"), unknown(name, probes)))
            continue
        found += _unit_problems(document, path, entry, probe.unit)
        missing = probe.names() - set(system.probe_variables())
        if missing:
            names = ", ".join(f"`{name}`" for name in sorted(missing))
            message = f"the probe `{name}` needs {names}; add it under `variables:` in the system file"
            found.append(document.problem((*path, "probe"), message))
    for index, inline in enumerate(experiment.steady_state):
        if isinstance(inline, SteadyInline):
            found += _unit_problems(document, ("steady_state", index), inline, inline.unit)
    return found


_EXAMPLE = {"share": "99.5%", "duration": "250ms", "number": "1"}


def _unit_problems(document: Document, path: Path, entry: Bounded, unit: str) -> list[Problem]:
    wanted = kind_of_unit(unit)
    found: list[Problem] = []
    for key, bound in (("min", entry.min), ("max", entry.max)):
        if bound is None or bound.kind in (wanted, "baseline"):
            continue
        guess = f"something like {_EXAMPLE[wanted]}"
        if bound.kind == "number":
            value = bound.value
            if wanted == "share":
                guess = f"{value * 100:g}%" if value <= 1 else f"{value:g}%"
            elif wanted == "duration":
                guess = f"{value:g}s" if value < 10 else f"{value:g}ms"
        found.append(document.problem((*path, key), f"{bound} has the wrong unit for a probe in {unit}; write {guess}"))
    return found


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an experiment file, for editors."""
    return model().model_json_schema(mode="validation")
