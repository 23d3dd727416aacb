"""What is wrong between an experiment, its system and the probes: names that nobody knows, bounds in the wrong unit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from chaos.arms import place_of, with_subject
from chaos.bounds import kind_of_unit
from chaos.document import Document, Path, did_you_mean
from chaos.errors import Problem
from chaos.experiment.blast_radius import GuardProbe
from chaos.experiment.steady_state import Bounded, SteadyEntry, SteadyInline, SteadyProbe
from chaos.experiment.whole import Experiment
from chaos.faults.base import Fault
from chaos.faults.loads import LoadFault
from chaos.probe import Catalogue, unknown
from chaos.system import Feedback, System, Target
from chaos.units import format_duration, parse_duration


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
        found += [document.problem(("load", "feedback"), message) for message in _untellable(system, system.feedback)]
    return found


_PLACED = re.compile(r"\$(answer\.\w+|label)\b")


def _untellable(system: System, feedback: Feedback) -> Iterator[str]:
    """Why the load could tell no outcome, or would tell one without what the system's feedback places in it."""
    placed = {one for _, text in _texts(feedback.json_, ()) for one in _PLACED.findall(text)}
    answer = system.request.answer
    if answer is None:
        paths = "{decision: $.decision, id: $.id}" if "answer.id" in placed else "{decision: $.decision}"
        yield (
            f"outcomes are told of answers whose decision can be read, and `request:` of the system `{system.name}` does not say "
            f"where it stands; write something like `answer: {paths}` there, with the paths of your answers"
        )
    elif answer.id is None and "answer.id" in placed:
        yield (
            f"the feedback of `{system.name}` places `$answer.id`, and its `request.answer` has no `id:`; write something like "
            f"`answer: {{decision: {answer.decision}, id: $.id}}`, with the path of the id in your answers, or place `$row.NAME`"
        )
    for other in sorted(one for one in placed if one.startswith("answer.") and one != "answer.id"):
        yield (
            f"the feedback of `{system.name}` places `${other}`, which nobody knows; write `$answer.id`, and its path as "
            "`id:` of `request.answer`"
        )
    if "label" in placed and system.request.label is None:
        yield (
            f"the feedback of `{system.name}` places `$label`, and its `request:` does not say which column has the truth; "
            "write `label: COLUMN` there"
        )


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
        if isinstance(entry, SteadyEntry) and probe.windowed():
            found += _window_problems(document, path, entry, system)
        missing = probe.names() - set(system.probe_variables())
        if missing:
            names = ", ".join(f"`{name}`" for name in sorted(missing))
            message = f"the probe `{name}` needs {names}; add it under `variables:` in the system file"
            found.append(document.problem((*path, "probe"), message))
    for index, inline in enumerate(experiment.steady_state):
        if isinstance(inline, SteadyInline):
            found += _unit_problems(document, ("steady_state", index), inline, inline.unit)
    return found


def _window_problems(document: Document, path: Path, entry: SteadyEntry, system: System) -> list[Problem]:
    """A reading is of the system alone only once its window has left the fault behind."""
    window = system.probe_variables().get("window")
    if entry.within is None or window is None or entry.within >= parse_duration(window):
        return []
    message = (
        f"this probe looks back over {window}, so {format_duration(entry.within)} after the undo it still sees the fault; "
        f"write `within: {window}` or more"
    )
    return [document.problem((*path, "within"), message)]


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
