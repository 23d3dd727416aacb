"""Brings one run about: survey, plan, folder, drivers, loop, verdict, reports. Wiring."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaos.app.files import Loaded, Variables
from chaos.app.surveyor import Drivers, drivers_of, survey
from chaos.calendar import refuse_frozen
from chaos.drivers.folder import FileName, JournalWriter, RunFolder
from chaos.drivers.http import without_secrets
from chaos.engine import Run
from chaos.errors import ChaosError, InvalidFile, Problem, Refused
from chaos.events import RunStarted
from chaos.journal import BrokenJournal, Line
from chaos.planning import plan
from chaos.plans import Plan
from chaos.system import System
from chaos.undo_list import EXTERNAL_BY_HAND, UndoEntry, UndoList
from chaos.verdict import Verdict
from chaos.version import VERSION

if TYPE_CHECKING:
    from chaos.app.announcing import Announcement
    from chaos.app.following import Following
    from chaos.app.look import Look
    from chaos.app.warden import Proxies

log = logging.getLogger("chaos.run")

Watch = Callable[[Run, float], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, with the drivers that it was made with."""

    loaded: Loaded
    plan: Plan
    drivers: Drivers
    survey_json: str


def prepare(loaded: Loaded, seed: str | None = None) -> Prepared:
    """The system has been asked and the plan is made; nothing has been touched. `plan.refusals` may forbid the run."""
    drivers = drivers_of(loaded.system, loaded.system_path.parent)
    found = survey(loaded.experiment, loaded.system, loaded.probes, drivers)
    made = plan(loaded.experiment, loaded.system, loaded.probes, found, seed or secrets.token_hex(8))
    made = replace(with_data(_with_hands(made, drivers), loaded), swept=loaded.swept, swept_rank=loaded.swept_rank)
    return Prepared(loaded, made, drivers, json.dumps(asdict(found), default=str))


def with_data(made: Plan, loaded: Loaded) -> Plan:
    """The plan, which refuses faults of the load that cannot happen with the load's rows. Raises InvalidFile when there are none."""
    from chaos.drivers.load.arrivals import read_rows
    from chaos.drivers.load.faults import unfit
    from chaos.faults.loads import Population

    faults = load_faults(made)
    if not faults:
        return made
    try:
        rows = read_rows(str(data_path(loaded)))
    except (OSError, ValueError) as error:
        return replace(made, refusals=(*made.refusals, f"the load's data cannot be read: {error}"))
    request = loaded.system.request
    refused = unfit(faults.values(), Population(rows, request.label, request.positive))
    return replace(made, refusals=(*made.refusals, *refused))


def load_faults(made: Plan) -> dict[str, str]:
    """The faults that the run's own load performs: index, as text → the fault's JSON."""
    return {str(effect.fault_index): effect.fault_json or "" for effect in made.effects if effect.kind == "load"}


def _with_hands(made: Plan, drivers: Drivers) -> Plan:
    """The plan, with the command by which a person undoes each effect."""
    from chaos.drivers.base import Container
    from chaos.faults.containers import act_of

    by_hand: dict[str, str] = {}
    for effect in made.effects:
        if effect.container is not None:
            found = effect.container
            container = Container(found.name, found.id, found.labels, "running", found.started_at)
            by_hand[effect.id] = drivers.containers[effect.target].by_hand(
                act_of(effect.fault_json or "{}"), container, found.before
            )
        elif effect.kind == "external":
            by_hand[effect.id] = EXTERNAL_BY_HAND
        elif effect.kind == "load":
            by_hand[effect.id] = "end the runner: its load ends with it, and this fault with the load"
        else:
            addresses = " ".join(
                f"{without_secrets(address)}/runs" for address in drivers.fleets[effect.target].addresses
            )
            by_hand[effect.id] = f"curl -X DELETE -H 'Authorization: Bearer TOKEN' {addresses}"
    return replace(made, by_hand=by_hand)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over: its folder and its verdict."""

    folder: Path
    verdict: Verdict
    plan: Plan


def run(
    prepared: Prepared,
    runs: Path,
    watch: Watch | None = None,
    *,
    signals: bool = False,
    production: bool = False,
    command: Sequence[str] = (),
    metrics_file: Path | None = None,
    ignore_freeze: str | None = None,
    alone: bool = False,
) -> Ended:
    """The experiment has been run, judged and reported; its folder has everything.

    Raises Refused when the plan forbids it, or when the system is production and nobody said `production=True`; Frozen when the
    system's calendar forbids it now and nobody gave a reason to `ignore_freeze`. `command` is what begins the experiment's only
    external fault; without one, somebody begins it by hand. With `signals`, Ctrl-C and its kin end the run and are part of the
    verdict; without, KeyboardInterrupt is raised once everything is undone. `alone`: no other run of this user may hurt one of its
    targets at the same time, as in a game day; else others may, as far as the proxies allow. `metrics_file` says at every moment
    which faults are on.
    """
    from chaos.app.performer import World
    from chaos.app.runner import Runner
    from chaos.app.safeguard import Safeguard
    from chaos.drivers.external import ExternalCommand
    from chaos.drivers.load import LoadDriver
    from chaos.drivers.state import State

    frozen = frozen_now(prepared.loaded, ignore_freeze)
    prepared = replace(prepared, plan=replace(prepared.plan, frozen=frozen))
    made, loaded = prepared.plan, prepared.loaded
    if made.refusals:
        raise Refused(list(made.refusals))
    if made.environment == "production" and not production:
        raise Refused([f"the system {made.system} is production; write --yes when that is what you want"])
    if command:
        _refuse_command(made)
    name = secrets.token_hex(4)
    run_id = f"{made.experiment}-{name}"
    key = secrets.token_hex(16)
    load = _load(loaded, made, run_id, key)  # data that is missing is found out before anybody is told
    told = _announcement(loaded.system, made, run_id)
    told.before()
    verdict: Verdict | None = None
    try:
        folder = _folder(prepared, runs, name)
        guard = Safeguard(
            State.of_user(), _undo_list(prepared, run_id, folder), _proxies(prepared), _targets(prepared), alone
        )
        world = World(
            made,
            proxies=_held(prepared, run_id, key),
            containers=prepared.drivers.containers,
            load=LoadDriver(load, (folder.path / "locust").resolve(), made.lease_s) if load is not None else None,
            look=_look(prepared),
            safeguard=guard,
            command=ExternalCommand(command, folder.path / "external.log", guard.on_leash) if command else None,
        )
        journal = JournalWriter(folder.path / "journal.jsonl")
        following = _following(loaded.system, run_id, metrics_file, watch)
        runner = Runner(Run(made), world, journal, following, guard)
        try:
            with runner.signals() if signals else contextlib.nullcontext():
                try:
                    guard.begin()
                    runner.play(RunStarted(run_id, VERSION, loaded.text, made.to_json()))
                finally:
                    guard.end(clean=not any(effect.active() for effect in runner.run.effects.values()))
        finally:
            following.close()
            verdict = report(folder, lines, quick=runner.interrupts > 1) if (lines := journal.lines()) else None
    finally:
        told.after(verdict)
    assert verdict is not None
    if not runner.interrupts and verdict.verdict != "unsafe":
        verdict = _afterwards(prepared, folder, lines, verdict)
    return Ended(folder.path, verdict, made)


def frozen_now(loaded: Loaded, ignore_freeze: str | None) -> str | None:
    """The freeze that the system is in and that is ignored, with the reason; None outside of one. Raises Frozen without a reason."""
    system = loaded.system
    freeze = refuse_frozen(system.name, system.calendar, datetime.now(UTC), ignore_freeze)
    if freeze is None:
        return None
    return f"{freeze.sentence(system.name)}; ignored: {' '.join((ignore_freeze or '').split())}"


def _afterwards(prepared: Prepared, folder: RunFolder, lines: Sequence[Line], verdict: Verdict) -> Verdict:
    """The telemetry is kept, and what is asked for projected. The verdict stands already: whatever goes wrong here, it is not lost."""
    from chaos.app.projecting import projected
    from chaos.app.telemetry_kept import keep

    try:
        keep(folder, lines, prepared.drivers.prometheus, prepared.drivers.rules)
        if prepared.plan.judge == "projected":
            said = folder.add(projected(prepared.loaded, folder.path), lines[-1])
            return report(folder, [*lines, said])
    except KeyboardInterrupt:
        log.error("what comes after the run was ended; its verdict stands")
    except Exception as error:
        log.error("the run's telemetry could not be kept or projected: %s; its verdict stands", error)
        log.debug("", exc_info=True)
    return verdict


def _folder(prepared: Prepared, runs: Path, name: str) -> RunFolder:
    """The run's folder, with everything that is known before it begins."""
    folder = RunFolder.make(runs, time.strftime("%Y%m%d-%H%M%S"), prepared.plan.experiment, name)
    folder.write("experiment.yaml", prepared.loaded.text)
    folder.write("system.yaml", _redacted(prepared.loaded.system))
    folder.write("plan.json", prepared.plan.to_json())
    folder.write("survey.json", prepared.survey_json)
    return folder


def _look(prepared: Prepared) -> Look:
    from chaos.app.look import Look

    drivers = prepared.drivers
    return Look(prepared.plan, drivers.prometheus, drivers.rules, drivers.alertmanager, drivers.sinks)


def _announcement(system: System, made: Plan, run_id: str) -> Announcement:
    from chaos.app.announcing import Announcement

    webhook = system.announce.webhook if system.announce is not None else None
    secret = webhook.get_secret_value() if webhook is not None else None
    return Announcement(secret, made, run_id, whole_s(made) + made.recovery_s)


def _following(system: System, run_id: str, metrics_file: Path | None, watch: Watch | None) -> Following:
    """The live view, and beside it all who look on: a file of metrics, and the Grafana that the system file names."""
    from chaos.app.annotating import Annotations
    from chaos.app.following import Follower, Following
    from chaos.app.metrics_file import MetricsFile
    from chaos.drivers.grafana import GrafanaClient

    followers: list[Follower] = [MetricsFile(metrics_file)] if metrics_file is not None else []
    said = system.announce.grafana if system.announce is not None else None
    if said is not None:
        client = GrafanaClient(said.url, said.token.get_secret_value())
        followers.append(Annotations(client, said.dashboard, said.panel))
    return Following(run_id, followers, watch)


def _refuse_command(made: Plan) -> None:
    """Raises Refused when there is not exactly one fault that a command of another tool could be meant for."""
    count = len(made.externals())
    if count == 0:
        raise Refused(
            [
                f"{made.experiment} has no `fault: external` for the command after `--`; leave the command out, or write one"
            ]
        )
    if count > 1:
        raise Refused(
            [
                f"{made.experiment} has {count} external faults and one command; leave one of them, or begin them all by hand"
            ]
        )


def report(folder: RunFolder, lines: Sequence[Line] | None = None, *, quick: bool = False) -> Verdict:
    """The journal (the folder's, unless its lines are given) is judged; the reports stand beside it, as far as they can be
    written: a full disk or a picture that cannot be drawn costs nobody the verdict.
    """
    from chaos.judging import judge
    from chaos.judging.trace import trace
    from chaos.report import html, junit

    read = lines if lines is not None else folder.lines()
    try:
        verdict = judge(read)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, MemoryError) as error:
        if lines is not None:
            raise  # our own run's: whatever this is, no journal of somebody else is to blame
        log.debug("", exc_info=True)
        raise BrokenJournal(f"the journal in {folder.path} says what no run can have said: {error}") from error
    _keep(folder, "verdict.json", verdict.to_json)
    _keep(folder, "junit.xml", lambda: junit.junit(verdict))
    if not quick:
        _keep(folder, "report.html", lambda: html.render(verdict, trace(read).plan, read))
    return verdict


def _keep(folder: RunFolder, name: FileName, made: Callable[[], str]) -> None:
    try:
        folder.write(name, made())
    except Exception as error:
        log.error("%s could not be written: %s; `chaos judge %s` makes it again", name, error, folder.path)
        log.debug("", exc_info=True)


def _held(prepared: Prepared, run_id: str, key: str) -> dict[str, Any]:
    from chaos.app.performer import HeldProxies
    from chaos.drivers.proxy import Arming

    made, system = prepared.plan, prepared.loaded.system
    held: dict[str, HeldProxies] = {}
    for effect in made.effects:
        if effect.kind not in ("hold", "proxy"):
            continue
        target = system.targets[effect.target]
        arms = {"traffic": made.traffic, "by": made.subject_by, "where": made.where}
        if effect.whole:
            arms = {"traffic": 1.0, "by": WHOLE, "where": None}

        def arming(
            faults: Any, held_s: float, target: Any = target, whole: bool = effect.whole, arms: Any = arms
        ) -> Arming:
            names = target.input.model_dump()
            return Arming(
                {
                    **({"mode": made.mode} if made.shadows() else {}),  # what an older proxy does not know, it refuses
                    **({"most": str(made.most_of_a_target())} if made.most is not None else {}),
                    **({"input": names} if any(names.values()) else {}),
                    "seed": made.seed,
                    "arms": arms,
                    "subjects": "users" if whole else made.subjects,
                    "synthetic_key": key,
                    "protocol": target.protocol,
                    "output": target.output.model_dump(),
                    "faults": [{"index": index, "fault": json.loads(text)} for index, text in sorted(faults.items())],
                    "lease_s": made.lease_s,
                    "deadline_s": min(whole_s(made), held_s + made.max_duration_s + DEADLINE_SLACK_S)
                    if faults
                    else whole_s(made),
                }
            )

        one = held.setdefault(effect.target, HeldProxies(prepared.drivers.fleets[effect.target], run_id, arming))
        if effect.kind == "proxy":
            one.later.add(effect.id)
        else:
            one.holds = True
    return held


def _undo_list(prepared: Prepared, run_id: str, folder: RunFolder) -> UndoList:
    """What this run may do to containers, as data with which anybody can undo it."""
    system, made = prepared.loaded.system, prepared.plan
    entries: list[UndoEntry] = []
    for effect in made.effects:
        if effect.container is None:
            continue
        said = system.targets[effect.target].runs_in()
        assert said is not None, "a container was found by its driver"
        driver, settings = said
        entries.append(
            UndoEntry(
                effect=effect.id,
                driver=driver,
                settings=settings,
                opt_in=system.opt_in_label(),
                beside=str(prepared.loaded.system_path.parent.resolve()),
                fault_json=effect.fault_json or "{}",
                container=effect.container,
                by_hand=made.by_hand.get(effect.id, ""),
            )
        )
    externals = tuple(effect.id for effect in made.externals())
    return UndoList(
        run_id, made.experiment, str(folder.path.resolve()), made.lease_s, whole_s(made), tuple(entries), externals
    )


def _targets(prepared: Prepared) -> list[str]:
    """The targets that this run hurts, by what is the same whatever file they stand in: a proxy's address; else the system's name."""
    system = prepared.loaded.system
    found: list[str] = []
    for name in dict.fromkeys(effect.target for effect in prepared.plan.faults()):
        target = system.targets.get(name)
        found += (
            [without_secrets(one) for one in target.proxies] if target and target.proxies else [f"{system.name}/{name}"]
        )
    return list(dict.fromkeys(found))


def _proxies(prepared: Prepared) -> list[Proxies]:
    """The fault proxies that this run will hold."""
    from chaos.app.warden import Proxies

    beside, held = prepared.loaded.system_path.parent, []
    for name in dict.fromkeys(effect.target for effect in prepared.plan.effects if effect.kind in ("hold", "proxy")):
        target = prepared.loaded.system.targets[name]
        ca = str((beside / target.control_ca).resolve()) if target.control_ca is not None else None
        held.append(Proxies(tuple(target.proxies), target.token.get_secret_value(), ca))
    return held


WHOLE = "header:host"
"""What everybody's request has: where all that goes to a target is hurt, that is the subject."""
DEADLINE_SLACK_S = 2.0
"""A proxy drops a fault by itself this long after `max_duration`, even if its lease is renewed: the runner's own end comes first."""


def whole_s(made: Plan) -> float:
    """The longest that a run can hold a proxy: everything until the last effect must be gone."""
    warmup_s = made.load.warmup_s if made.load else 0.0
    return warmup_s + made.baseline_s + made.max_duration_s + made.undo_deadline_s + 60.0


def _load(loaded: Loaded, made: Plan, run_id: str, key: str) -> Any:
    """The load's own plan, or None when the experiment has none. Raises InvalidFile when its data cannot be found."""
    from chaos.drivers.load import LoadPlan
    from chaos.drivers.load.plan import FeedbackPlan

    planned, system = made.load, loaded.system
    if planned is None or system.entry is None:
        return None
    feedback = None
    if planned.feedback_after_s is not None and system.feedback is not None:
        feedback = FeedbackPlan(
            system.feedback.post, system.feedback.json_, planned.feedback_after_s, planned.feedback_share
        )
    request = system.request
    return LoadPlan(
        url=system.entry,
        rate_per_s=planned.rate_per_s,
        data=str(data_path(loaded)),
        run=run_id,
        seed=made.seed,
        traffic=made.traffic if made.divides() else 0.0,
        by=made.subject_by,
        where=made.where,
        request_json=request.json_,
        request_headers=request.headers,
        synthetic_key=key,
        decision_path=request.answer.decision if request.answer else None,
        id_path=request.answer.id if request.answer else None,
        label_column=request.label,
        positive=request.positive,
        slice_column=request.slice_,
        feedback=feedback,
        returning=planned.returning,
        limit=planned.limit,
        faults=load_faults(made),
    )


def data_path(loaded: Loaded) -> Path:
    """The file behind `load.data`: the system's `data:` under that name, or a file beside the experiment."""
    assert loaded.experiment.load is not None
    data = loaded.experiment.load.data
    _, _, name = data.partition(":")
    path = (
        loaded.system_path.parent / loaded.system.data[name]
        if name in loaded.system.data
        else loaded.path.parent / data
    )
    named = name in loaded.system.data
    if not named and not path.resolve().is_relative_to(loaded.path.parent.resolve()):
        message = f"{data!r} leads out of the experiment's folder; name it under `data:` in the system file"
        raise InvalidFile([loaded.document.problem(("load", "data"), message)])
    if not path.is_file():
        message = (
            f"there is no file {data!r} beside the experiment; write a path, or SYSTEM:NAME with a name under `data:`"
        )
        raise InvalidFile([loaded.document.problem(("load", "data"), message)])
    return path.resolve()


def _redacted(system: System) -> str:
    """The system file as a run's folder keeps it: no header's value, no setting of another's driver, no login of an address."""
    import re

    import yaml

    hidden = "**********"

    def without_logins(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without_logins(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [without_logins(inner) for inner in value]
        return without_secrets(value) if isinstance(value, str) else value

    found = without_logins(json.loads(system.model_dump_json(by_alias=True)))  # tokens are hidden by their type
    headers = found["request"]["headers"]
    for name, value in headers.items():
        headers[name] = value if re.fullmatch(r"\$row\.\w+", value) else hidden
    for target in found["targets"].values():
        if target["driver"] is not None:
            target["driver"] = {name: said if name == "use" else hidden for name, said in target["driver"].items()}
    return yaml.safe_dump(found, sort_keys=False)


__all__ = ["ChaosError", "Ended", "Prepared", "Problem", "Variables", "prepare", "report", "run"]
