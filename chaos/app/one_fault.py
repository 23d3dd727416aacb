"""One fault at a target's proxies, on for as long as a block of code: what `chaos_fault` does. Wiring.

    armed ─▶ the block ─▶ disarmed, and seen to be

Safe as a run is: the proxies drop it ten seconds after nobody renewed it, and two after its longest time in any case; a warden undoes it
when this process dies; `chaos stop` ends it, and `chaos stop --all` forbids it.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chaos.app.armings import targets_by_name
from chaos.app.safeguard import Safeguard
from chaos.app.surveyor import drivers_of
from chaos.app.warden import Proxies
from chaos.arms import REQUEST_HEADER, SYNTHETIC_HEADER, sign_synthetic
from chaos.calendar import refuse_frozen
from chaos.document import did_you_mean
from chaos.drivers.announcer import Announcer
from chaos.drivers.proxy import Arming, ProxyFleet
from chaos.drivers.state import State
from chaos.drivers.user import as_user, who
from chaos.errors import ChaosError, NotUndone, Refused, Unreachable
from chaos.faults import catalogue
from chaos.faults.base import Fault
from chaos.observation import ProxyRead
from chaos.system import System
from chaos.undo_list import UndoList
from chaos.units import parse_duration, parse_share

log = logging.getLogger("chaos.run")

LEASE_S = 10.0
LOOK_S = 0.1
"""How often it is looked whether somebody wants it to end; a lease is renewed ten times before it could be over."""
UNDO_S = 5.0
"""How long the disarming is tried before it is given up."""
EFFECT = "fault"


class NoFault(ChaosError):
    """What was written is no fault, or none that this can do."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom the fault hurts. `traffic` is a share of subjects, `by` what a subject is.

    `subjects: synthetic` hurts requests alone that carry `ArmedFault.headers`; `users` whoever comes.
    """

    traffic: float = 1.0
    by: str | None = None
    where: str | None = None
    subjects: str = "synthetic"


@dataclass
class ArmedFault:
    """A fault that is on. `ended_by` says why it went off before its block ended; None while it is on."""

    run: str
    fault: Fault
    fleet: ProxyFleet
    key: str
    by: str
    ended_by: str | None = None
    over: threading.Event = field(default_factory=threading.Event)

    def headers(self, subject: str | None = None) -> dict[str, str]:
        """What a request carries that is to be hurt, for this subject or a new one. Needed unless `subjects` are users."""
        name = subject or secrets.token_hex(8)
        marked = {SYNTHETIC_HEADER: sign_synthetic(bytes.fromhex(self.key), self.run, name)}
        kind, _, header = self.by.partition(":")
        return {**marked, header: name} if kind == "header" else marked

    def read(self) -> ProxyRead:
        """What the proxies have counted since it was armed: requests, rows that were changed, answers that were replaced."""
        return self.fleet.read(self.run, self.fault.target, time.time())

    def effects(self) -> int:
        """How often it has really happened."""
        return sum(one.effects for one in self.read().faults)


def fault_of(name: str, target: str, parameters: Mapping[str, Any]) -> Fault:
    """The fault as people write it. Raises NoFault that says what is wrong, and what to write."""
    known = catalogue()
    if name not in known:
        raise NoFault(f"there is no fault `{name}`; {did_you_mean(name, known)}")
    kind = known[name]
    if kind.acts_on not in ("request", "answer"):
        raise NoFault(
            f"{name} happens in {kind.acts_on}; only what proxies do can be on for a block: write an experiment for it"
        )
    try:
        return kind.model_validate({"fault": name, "target": target, **parameters})
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()
        )
        raise NoFault(f"{name}: {said}; `chaos faults {name}` explains it") from error


def refusals(system: System, fault: Fault, reach: Reach, *, production: bool) -> list[str]:
    """Why this must not be: the same laws as a run's."""
    found: list[str] = []
    target = system.targets.get(fault.target)
    if target is None or not target.proxies:
        having = [name for name, one in system.targets.items() if one.proxies]
        found.append(
            f"{system.name} has no target `{fault.target}` with fault proxies; {did_you_mean(fault.target, having)}"
        )
    if system.environment == "production" and not production:
        found.append(f"the system {system.name} is production; say that you want that (production=True)")
    real = fault.semantic and reach.subjects == "users" and system.environment != "lab"
    if real and system.real_users is None:
        found.append(
            f"{fault.fault} would change answers that real people receive and nobody has allowed it; leave `subjects` as it is, "
            "or write `real_users: {allowed_by: NAME, reason: TEXT}` in the system file"
        )
    if target is not None and fault.whole_target is not (target.placement == "in monitoring"):
        found.append(f"{fault.fault} cannot be at {fault.target}: its placement is {target.placement}")
    return found


@contextmanager
def armed(
    system: System,
    beside: Path,
    fault: Fault,
    reach: Reach | None = None,
    *,
    longest_s: float = 60.0,
    production: bool = False,
    ignore_freeze: str | None = None,
) -> Iterator[ArmedFault]:
    """The fault is on in the block, for at most so long. After it, every proxy has let go of it and says so.

    Raises Refused, Frozen; Unreachable when a proxy does not answer; NotUndone with the command that does it by hand.
    """
    reach = reach or Reach()
    why = refusals(system, fault, reach, production=production)
    if why:
        raise Refused(why)
    refuse_frozen(system.name, system.calendar, datetime.now(UTC), ignore_freeze)
    run, key = f"{fault.fault}-{secrets.token_hex(4)}", secrets.token_hex(16)
    by = reach.by or (system.request.subject or f"header:{REQUEST_HEADER}")
    fleet = drivers_of(system, beside).fleets[fault.target]
    target = system.targets[fault.target]
    ca = str((beside / target.control_ca).resolve()) if target.control_ca is not None else None
    proxies = Proxies(tuple(target.proxies), target.token.get_secret_value(), ca)
    undo = UndoList(run, fault.fault, str(Path.cwd()), LEASE_S, longest_s + LEASE_S + 60.0)
    guard = Safeguard(State.of_user(), undo, [proxies], targets_by_name(system, [fault.target]))
    made = ArmedFault(run, fault, fleet, key, by)
    with _told_of(system, fault, reach, run, longest_s):
        yield from _on(made, guard, Arming(_body(system, fault, reach, by, key, longest_s)), longest_s)


@contextmanager
def _told_of(system: System, fault: Fault, reach: Reach, run: str, longest_s: float) -> Iterator[None]:
    """The people of the system (`announce:`) were told before and after, where real people may be hurt. Raises Refused."""
    real = reach.subjects == "users" or fault.whole_target or system.environment == "production"
    webhook = system.announce.webhook if system.announce is not None else None
    if webhook is None or not real:
        yield
        return
    announcer = Announcer(webhook.get_secret_value())
    stop = as_user(f"chaos stop {run}")
    what = f"{fault.fault} at {fault.target} of {system.name} ({system.environment})"
    more: dict[str, str | float | list[str] | None] = {
        "run": run, "system": system.name, "environment": system.environment, "who": who(), "what": [fault.explain()],
        "at_most_s": longest_s, "stop": stop,
    }  # fmt: skip
    try:
        said = f"{who()} puts {what} on for at most {longest_s:g}s, in a test. To stop it: `{stop}`"
        announcer.tell("before", said, more)
    except Unreachable as error:
        raise Refused([f"nobody could be told of {what} beforehand: {error}; mend it, or `announce:`"]) from error
    try:
        yield
    finally:
        try:
            announcer.tell("after", f"{what} is over", more)
        except Unreachable as error:
            log.warning("nobody could be told that %s is over: %s", what, error)


def _on(made: ArmedFault, guard: Safeguard, arming: Arming, longest_s: float) -> Iterator[ArmedFault]:
    """The fault while it is on."""
    guard.begin()
    clean = False
    try:
        with guard.on_the_list(EFFECT, leased=True):
            made.fleet.arm(made.run, arming)
        keeper = threading.Thread(target=_keep, args=(made, guard, longest_s), name=f"keeps {made.run}", daemon=True)
        keeper.start()
        try:
            yield made
        finally:
            made.over.set()
            keeper.join(UNDO_S + LOOK_S)
            _disarmed(made, guard)
            clean = True
    finally:
        guard.end(clean=clean)


def _body(system: System, fault: Fault, reach: Reach, by: str, key: str, longest_s: float) -> dict[str, Any]:
    target = system.targets[fault.target]
    arms = {"traffic": reach.traffic, "by": by, "where": reach.where}
    names = target.input.model_dump()
    return {
        **({"input": names} if any(names.values()) else {}),
        "seed": key,
        "arms": {"traffic": 1.0, "by": "header:host", "where": None} if fault.whole_target else arms,
        "subjects": "users" if fault.whole_target else reach.subjects,
        "synthetic_key": key,
        "protocol": target.protocol,
        "output": target.output.model_dump(),
        "faults": [{"index": 0, "fault": fault.model_dump(mode="json")}],
        "lease_s": LEASE_S,
        "deadline_s": longest_s + 2.0,
    }


def _keep(made: ArmedFault, guard: Safeguard, longest_s: float) -> None:
    """Renews the lease until the block ends, somebody wants it to end, or its longest time is over; `ended_by` says what went wrong."""
    try:
        _renew(made, guard, longest_s)
    except (
        Exception
    ) as error:  # a thread that died unseen would let the lease run out, and the block would believe that it is hurt
        log.debug("", exc_info=True)
        made.ended_by = f"an error of our own: {error!r}"
        with suppress(Exception):  # the end of the block tries again, and says what is left
            _disarmed(made, guard)


def _renew(made: ArmedFault, guard: Safeguard, longest_s: float) -> None:
    begun_s = renewed_s = time.monotonic()
    while not made.over.wait(LOOK_S):
        now_s = time.monotonic()
        guard.beat()
        why = (
            guard.stop_asked()
            or guard.gone()
            or (f"its {longest_s:g}s were over" if now_s - begun_s > longest_s else None)
        )
        if why is not None:
            made.ended_by = why
            with suppress(ChaosError):  # the end of the block tries again, and says what is left
                _disarmed(made, guard)
            return
        if now_s - renewed_s > LEASE_S / 4:
            with suppress(Unreachable):  # it is tried again at once
                made.fleet.renew(made.run)
                renewed_s = now_s


def _disarmed(made: ArmedFault, guard: Safeguard) -> None:
    """No proxy touches a new request, and each says so. Raises NotUndone."""
    until_s = time.monotonic() + UNDO_S
    while True:
        try:
            made.fleet.disarm(made.run)
            guard.note_undone(EFFECT)
        except Unreachable as error:
            if time.monotonic() > until_s:
                raise NotUndone(
                    f"{made.fault.fault} at {made.fault.target} could not be disarmed: {error}; its lease ends it within {LEASE_S:g}s",
                    "; ".join(
                        f"curl -X DELETE -H 'Authorization: Bearer TOKEN' {one}/runs/{made.run}"
                        for one in made.fleet.addresses
                    ),
                ) from error
            time.sleep(LOOK_S)
        else:
            return


def share_of(value: str | float) -> float:
    """`25%`, or a number between 0 and 1."""
    return parse_share(value) if isinstance(value, str) else float(value)


def seconds_of(value: str | float) -> float:
    """`30s`, or a number of seconds."""
    return parse_duration(value) if isinstance(value, str) else float(value)
