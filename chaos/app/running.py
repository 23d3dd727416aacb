"""Brings one run about: survey, plan, folder, drivers, loop, verdict, reports. Wiring."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.app.armings import held_proxies, proxies_of, targets_by_name, whole_s
from chaos.app.files import Loaded, Variables
from chaos.app.freezing import frozen_now, utc_now
from chaos.app.load_plan import load_plan, with_data
from chaos.app.redacted import redacted
from chaos.app.surveyor import Drivers, drivers_of, survey
from chaos.calendar import Calendar
from chaos.drivers.folder import JournalWriter, RunFolder
from chaos.drivers.http import without_secrets
from chaos.engine import Run
from chaos.errors import ChaosError, Problem, Refused
from chaos.events import RunStarted
from chaos.journal import Line
from chaos.planning import plan
from chaos.plans import Plan
from chaos.system import System
from chaos.undo_list import EXTERNAL_BY_HAND, UndoEntry, UndoList
from chaos.verdict import Verdict
from chaos.version import VERSION

if TYPE_CHECKING:
    from chaos.app.announcing import Announcement
    from chaos.app.performer import HeldProxies, World
    from chaos.app.safeguard import Safeguard
    from chaos.drivers.load import LoadPlan

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


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is made: what neither the experiment's file nor the system's says."""

    runs: Path = Path("runs")
    """Where the run's folder goes."""
    production: bool = False
    """Whether a system in production is meant."""
    ignore_freeze: str | None = None
    """The reason for which no calendar forbids it."""
    command: Sequence[str] = ()
    """What begins the experiment's only external fault; without one, somebody begins it by hand."""
    metrics_file: Path | None = None
    """Says at every moment which faults are on."""
    signals: bool = False
    """Whether Ctrl-C and its kin end the run and are part of the verdict; else KeyboardInterrupt is raised once everything is undone."""
    alone: bool = False
    """Whether no other run of this user may hurt one of its targets meanwhile, as in a game day; else others may, as far as the proxies
    allow."""
    calendars: Sequence[tuple[str, Calendar]] = ()
    """Whose calendars count besides the system's, by name."""


def run(prepared: Prepared, options: RunOptions, watch: Watch | None = None) -> Ended:
    """The experiment has been run, judged and reported; its folder has everything.

    Raises Refused when the plan forbids it, or when the system is production and nobody said so; Frozen when a calendar forbids it now and
    nobody gave a reason to ignore that.
    """
    from chaos.app.followed import followed
    from chaos.app.reports import report_first
    from chaos.app.runner import Runner
    from chaos.app.safeguard import Safeguard
    from chaos.drivers.state import State

    prepared = _allowed(prepared, options)
    made, loaded = prepared.plan, prepared.loaded
    name = secrets.token_hex(4)
    run_id = f"{made.experiment}-{name}"
    key = secrets.token_hex(16)
    load = load_plan(loaded, made, run_id, key)  # data that is missing is found out before anybody is told
    told = _announcement(loaded.system, made, run_id)
    told.before()
    verdict: Verdict | None = None
    try:
        folder = _folder(prepared, options.runs, name)
        hurt = targets_by_name(loaded.system, [effect.target for effect in made.faults()])
        guard = Safeguard(
            State.of_user(), _undo_list(prepared, run_id, folder), proxies_of(prepared), hurt, options.alone
        )
        world = _world(prepared, held_proxies(prepared, run_id, key), load, guard, folder, options.command)
        journal = JournalWriter(folder.path / "journal.jsonl")
        following = followed(loaded.system, run_id, options.metrics_file, watch)
        runner = Runner(Run(made), world, journal, following, guard)
        try:
            with runner.signals() if options.signals else contextlib.nullcontext():
                try:
                    guard.begin()
                    runner.play(RunStarted(run_id, VERSION, loaded.text, made.to_json()))
                finally:
                    guard.end(clean=not any(effect.active() for effect in runner.run.effects.values()))
        finally:
            lines, verdict = report_first(folder, journal, following, interrupts=runner.interrupts)
    finally:
        told.after(verdict)
    assert verdict is not None
    if not runner.interrupts and verdict.verdict != "unsafe":
        verdict = _afterwards(prepared, folder, lines, verdict)
    return Ended(folder.path, verdict, made)


def _allowed(prepared: Prepared, options: RunOptions) -> Prepared:
    """What may run now, with the freeze that it ignores. Raises Refused and Frozen."""
    made = prepared.plan
    frozen = frozen_now(prepared.loaded, utc_now(), options.ignore_freeze, options.calendars)
    if made.refusals:
        raise Refused(list(made.refusals))
    if made.environment == "production" and not options.production:
        raise Refused([f"the system {made.system} is production; write --yes when that is what you want"])
    if options.command:
        _refuse_command(made)
    return replace(prepared, plan=replace(made, frozen=frozen))


def _afterwards(prepared: Prepared, folder: RunFolder, lines: Sequence[Line], verdict: Verdict) -> Verdict:
    """The telemetry is kept, and what is asked for projected. The verdict stands already: whatever goes wrong here, it is not lost."""
    from chaos.app.projecting import projected
    from chaos.app.reports import report
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
    folder.write("system.yaml", redacted(prepared.loaded.system))
    folder.write("plan.json", prepared.plan.to_json())
    folder.write("survey.json", prepared.survey_json)
    return folder


def _world(
    prepared: Prepared,
    proxies: Mapping[str, HeldProxies],
    load: LoadPlan | None,
    guard: Safeguard,
    folder: RunFolder,
    command: Sequence[str],
) -> World:
    """Everything that the run acts on and looks at."""
    from chaos.app.look import Look
    from chaos.app.performer import World
    from chaos.drivers.external import ExternalCommand
    from chaos.drivers.load import LoadDriver

    made, drivers = prepared.plan, prepared.drivers
    return World(
        made,
        proxies=proxies,
        containers=drivers.containers,
        load=LoadDriver(load, (folder.path / "locust").resolve(), made.lease_s) if load is not None else None,
        look=Look(made, drivers.prometheus, drivers.rules, drivers.alertmanager, drivers.sinks),
        safeguard=guard,
        command=ExternalCommand(command, folder.path / "external.log", guard.on_leash) if command else None,
    )


def _announcement(system: System, made: Plan, run_id: str) -> Announcement:
    from chaos.app.announcing import Announcement

    webhook = system.announce.webhook if system.announce is not None else None
    secret = webhook.get_secret_value() if webhook is not None else None
    return Announcement(secret, made, run_id, whole_s(made) + made.recovery_s)


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


__all__ = ["ChaosError", "Ended", "Prepared", "Problem", "RunOptions", "Variables", "prepare", "run"]
