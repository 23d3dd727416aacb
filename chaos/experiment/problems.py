"""What is wrong within an experiment alone, beyond each single value."""

from __future__ import annotations

from dataclasses import replace

from chaos.caps import Most
from chaos.document import Document, Path, did_you_mean
from chaos.errors import Problem
from chaos.experiment.severities import at, sweep_problems
from chaos.experiment.whole import Experiment
from chaos.faults.loads import LoadFault
from chaos.units import format_duration


def own_problems(experiment: Experiment, document: Document) -> list[Problem]:
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
    found += _moment_problems(experiment, document)
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
    found += _sweep_problems(experiment, document, {problem.message for problem in found})
    if experiment.load is None and experiment.blast_radius.subjects == "synthetic" and _needs_subjects(experiment):
        message = (
            "without `load:` nobody is there to be hurt (`subjects: synthetic` are the run's own load); write "
            "`load: {rate: 40/s, data: FILE}`, or `subjects: users` to hurt real people's requests"
        )
        found.append(document.problem(("blast_radius",), message))
    return found


def _moment_problems(experiment: Experiment, document: Document) -> list[Problem]:
    """When probes are judged, beside what is expected of them and how long is looked."""
    found: list[Problem] = []
    moments = {entry.title: entry.moments() for entry in experiment.steady_state}
    if not any("before" in judged for judged in moments.values()):
        message = (
            "nothing is judged before the fault, so nobody would know whether the system was healthy; write `before` in "
            "the `judged:` of at least one probe"
        )
        found.append(document.problem(("steady_state",), message))
    for key, names in (("harms", experiment.expect.harms), ("holds", experiment.expect.holds or [])):
        for index, name in enumerate(names):
            judged = moments.get(name, ("during",))
            path: Path = ("expect", key, index)
            if "during" not in judged:
                message = (
                    f"`{name}` is not judged while the fault is on; add `during` to its `judged:`, or leave it out here"
                )
                found.append(document.problem(path, message))
            elif key == "harms" and "continuous" in judged:
                message = (
                    f"`{name}` is meant to leave its bound, so it cannot be within it at every look; leave `continuous` out of its "
                    "`judged:`, or leave it out here"
                )
                found.append(document.problem(path, message))
    for index, entry in enumerate(experiment.steady_state):
        if entry.judged is not None and "during" in entry.judged and entry.title not in _asked_during(experiment):
            message = f"`{entry.title}` is judged during the fault, and `holds` leaves it out; add it there, or leave `during` out"
            found.append(document.problem(("steady_state", index, "judged"), message))
        longest_s = experiment.recovery - entry.tolerance_s()
        if entry.within is not None and entry.within > longest_s:
            shorter = (
                f"write `within: {format_duration(longest_s)}` or less, or a longer `recovery:`"
                if longest_s > 0
                else "write a longer `recovery:`"
            )
            looked, stays = format_duration(experiment.recovery), format_duration(entry.tolerance_s())
            message = f"the run looks for {looked} after the undo, and that it stays shows only {stays} after `within`; {shorter}"
            found.append(document.problem(("steady_state", index, "within"), message))
    return found


def _asked_during(experiment: Experiment) -> set[str]:
    return {*experiment.expect.harms, *experiment.holding()}


def _sweep_problems(experiment: Experiment, document: Document, known: set[str]) -> list[Problem]:
    """What is wrong with the sweep, and what would be with the experiment at one of its severities alone."""
    found: list[Problem] = []
    for problem, severity in sweep_problems(experiment, document):
        if severity is None:
            found.append(problem)
            continue
        there = own_problems(at(experiment, severity), document)
        found += [replace(problem, message=one.message) for one in there if one.message not in known][:1]
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
