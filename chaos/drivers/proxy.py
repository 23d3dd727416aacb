"""The control client of fault proxies: one target's proxies are one fleet, all armed or none.

Who belongs to the fleet is looked up when a run arms it for the first time. Replicas born later stay idle and are reported;
one that has died and has left the name is reported, and fails neither a renewal nor the undo.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from chaos.caps import Most
from chaos.drivers.fleet import DNS, NoAddress, Resolve, addresses_of, replicas, speaks_unix, verifies_name
from chaos.drivers.http import TIMEOUT_S, ask, session, without_secrets
from chaos.errors import ChaosError, Unreachable
from chaos.observation import SLOW_S, ArmTraffic, FaultTraffic, ProxyRead
from chaos.survey import Holder

if TYPE_CHECKING:
    import requests

WHAT = "the fault proxy"
_LOG = logging.getLogger(__name__)


class Silent(Unreachable):
    """Nothing answers at this proxy's address: it is gone, or cannot be reached."""


class WrongToken(Unreachable):
    """A fault proxy answers, and does not accept the token."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the fault proxy at {without_secrets(address)} does not accept the token; write the right `token:` in the system file"
        )


@dataclass
class _Members:
    """The proxies that one run has armed, and those that have left or joined the name since."""

    armed: tuple[str, ...]
    gone: set[str] = field(default_factory=set)
    born: set[str] = field(default_factory=set)

    def living(self) -> tuple[str, ...]:
        return tuple(address for address in self.armed if address not in self.gone)


@dataclass(frozen=True, slots=True)
class Arming:
    """What a fleet is armed with; `body` is the JSON of `PUT /runs/{id}`."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProxyInfo:
    """One proxy, or all behind one name: its version, and the runs that hold it."""

    version: str
    holders: tuple[Holder, ...]


class ProxyFleet:
    """All proxies of one target."""

    def __init__(
        self,
        addresses: Sequence[str],
        token: str,
        timeout_s: float = TIMEOUT_S,
        *,
        ca: str | None = None,
        resolve: Resolve = addresses_of,
    ) -> None:
        self.addresses = tuple(addresses)
        self.timeout_s = timeout_s
        self._resolve = resolve
        self._runs: dict[str, _Members] = {}
        self._lock = threading.Lock()
        self._session = speaks_unix(_session(token, ca), self.addresses)
        self._named = {one: verifies_name(_session(token, ca), one) for one in self.addresses if one.startswith(DNS[1])}
        self._using: dict[str, requests.Session] = {}
        """How replicas are asked that must prove to be the name which they were found behind."""

    # --- who belongs to it --------------------------------------------------------------------------------------------

    def _all(self) -> tuple[str, ...]:
        found = [one for address in self.addresses for one in self._replicas(address)]
        return tuple(dict.fromkeys(found))

    def _replicas(self, address: str) -> tuple[str, ...]:
        found = replicas(address, self._resolve)
        if address in self._named:
            self._using.update(dict.fromkeys(found, self._named[address]))
        return found

    def _members(self, run: str) -> _Members:
        """Who was armed when the run came first; whoever is there now when it never did."""
        with self._lock:
            known = self._runs.get(run)
        return known or _Members(self._all())

    def _look_again(self, run: str, members: _Members) -> None:
        """Replicas born since the arming are reported, once each."""
        if not any(address.startswith(DNS) for address in self.addresses):
            return
        try:
            now = set(self._all())
        except Unreachable:
            return  # the name will be asked again; who was armed is known
        for address in sorted(now - set(members.armed) - members.born):
            members.born.add(address)
            _LOG.warning("the fault proxy at %s was born after the run %s began; it stays idle", address, run)

    def _lost(self, run: str, members: _Members, address: str) -> bool:
        """Whether a proxy that does not answer has left its name for good: it is dead, and reported."""
        if not any(one.startswith(DNS) for one in self.addresses):
            return False
        try:
            if address in self._all():
                return False
        except NoAddress:
            pass
        except Unreachable:
            return False  # the resolver is ill, and tells nothing
        members.gone.add(address)
        _LOG.warning("the fault proxy at %s has gone in the middle of the run %s", without_secrets(address), run)
        return True

    def left(self, run: str) -> tuple[str, ...]:
        """The proxies that died under this run, as far as has been noticed."""
        return tuple(sorted(self._members(run).gone))

    def joined(self, run: str) -> tuple[str, ...]:
        """The proxies that were born under this run and stay idle, as far as has been noticed."""
        return tuple(sorted(self._members(run).born))

    # --- what it does -------------------------------------------------------------------------------------------------

    def _answer(self, address: str, method: str, path: str, **more: Any) -> requests.Response:
        using = self._using.get(address, self._session)
        return ask(using, method, address + path, what=WHAT, timeout_s=self.timeout_s, **more)

    def _ask(self, address: str, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._answer(address, method, path, **more)
        except Unreachable as error:
            raise Silent(str(error)) from error
        if answer.status_code == 204:
            return None
        try:
            body = answer.json()
        except (ValueError, RecursionError):
            body = {"error": " ".join(answer.text.split())[:200]}
        if answer.status_code == 401:
            raise WrongToken(address)
        if answer.status_code >= 400:
            raise Unreachable(
                f"the fault proxy at {without_secrets(address)} refused ({answer.status_code}): {body.get('error', '?')}"
            )
        return body

    def look(self, address: str) -> ProxyInfo:
        """One address of the fleet; asks with the token, so that a wrong one shows before anything is hurt.

        Where the address is a name, every replica behind it is asked: whoever holds one of them is told.
        """
        found = [self._look(one) for one in self._replicas(address)]
        return ProxyInfo(found[0].version, tuple(dict.fromkeys(holder for one in found for holder in one.holders)))

    def _look(self, address: str) -> ProxyInfo:
        body = self._ask(address, "GET", "/version")
        probe = self._answer(address, "GET", "/runs/none")
        if probe.status_code == 401:
            raise WrongToken(address)
        try:
            return ProxyInfo(str(body.get("version", "?")), _holders(body))
        except (AttributeError, KeyError, TypeError) as error:
            raise Unreachable(
                f"what answers at {without_secrets(address)} cannot be understood; is it a fault proxy of this version?"
            ) from error

    def arm(self, run: str, arming: Arming) -> None:
        """Every proxy is armed with exactly this, and its part of the cap; when one refuses, none is. Raises what it said."""
        members = self._members(run)
        with self._lock:
            self._runs.setdefault(run, members)
        try:
            self._each(run, members, "PUT", "", json=_for_each(arming.body, len(members.armed)))
        except ChaosError:
            self._disarm_quietly(run, members)
            raise

    def _each(self, run: str, members: _Members, method: str, path: str, **more: Any) -> list[Any]:
        """What every living member of the fleet answers. Raises what the first says that does not."""
        bodies: list[Any] = []
        for address in members.living():
            try:
                bodies.append(self._ask(address, method, f"/runs/{quote(run, safe='')}{path}", **more))
            except Silent:
                if not self._lost(run, members, address):
                    raise
        if not members.living():
            raise Unreachable(f"every fault proxy of {', '.join(map(without_secrets, self.addresses))} is gone")
        return bodies

    def _disarm_quietly(self, run: str, members: _Members) -> None:
        for address in members.living():
            try:
                self._ask(address, "DELETE", f"/runs/{quote(run, safe='')}")
            except ChaosError:
                continue  # its lease ends it; the refusal that led here is what the caller hears

    def renew(self, run: str) -> None:
        """Every proxy's lease lives on; replicas born meanwhile are noticed."""
        members = self._members(run)
        self._each(run, members, "POST", "/lease")
        self._look_again(run, members)

    def disarm(self, run: str) -> None:
        """No proxy touches a new request for this run. All are asked at once, so that none waits for one that does not answer;
        then raises what the first said that failed.
        """
        members = self._members(run)
        living = members.living()
        if len(living) == 1:
            failed = [self._let_go(run, members, living[0])]
        else:
            with ThreadPoolExecutor(max_workers=max(1, len(living))) as threads:
                failed = list(threads.map(lambda address: self._let_go(run, members, address), living))
        for error in failed:
            if error is not None:
                raise error

    def _let_go(self, run: str, members: _Members, address: str) -> ChaosError | None:
        """One proxy has let go of the run, or has died under it; else why it has not."""
        try:
            self._ask(address, "DELETE", f"/runs/{quote(run, safe='')}")
        except Silent as error:
            return None if self._lost(run, members, address) else error
        except ChaosError as error:
            return error
        return None

    def read(self, run: str, target: str, at_wall_s: float) -> ProxyRead:
        """The run as its target's proxies see it, summed over the fleet: first effect the earliest, last the latest."""
        bodies = self._each(run, self._members(run), "GET", "")
        states = {body["state"] for body in bodies}
        worst = next((name for name in ("expired", "disarmed", "armed") if name in states), "unknown")
        return ProxyRead(
            target=target,
            at_wall_s=at_wall_s,
            state=worst,  # type: ignore[arg-type]
            treatment=_arm(bodies, "treatment"),
            control=_arm(bodies, "control"),
            outside=_arm(bodies, "outside"),
            faults=tuple(
                _fault(bodies, index)
                for index in sorted({index for body in bodies for index in body["faults"]}, key=int)
            ),
            untouched=sum(body["arms"]["treatment"]["untouched_since_disarm"] for body in bodies),
        )


def _for_each(body: dict[str, Any], members: int) -> dict[str, Any]:
    """What each of so many proxies is armed with: the same, but for the cap, of which each gets its part."""
    return {**body, "most": str(Most.parse(body["most"]).part(members))} if "most" in body else body


def _holders(body: Any) -> tuple[Holder, ...]:
    if "holders" in body:
        return tuple(Holder(one["run"], one.get("where")) for one in body["holders"])
    return (Holder(body["held_by"], alone=True),) if body.get("held_by") is not None else ()


def _session(token: str, ca: str | None) -> requests.Session:
    """Sends the token, and trusts the authorities in `ca` alone where it is named."""
    made = session({"Authorization": f"Bearer {token}"})
    made.verify = ca if ca is not None else True
    return made


def _arm(bodies: list[Any], name: str) -> ArmTraffic:
    rows = [body["arms"][name] for body in bodies]
    return ArmTraffic(
        requests=sum(row["requests"] for row in rows),
        first_attempts=sum(row["first_attempts"] for row in rows),
        errors=sum(row["errors"] for row in rows),
        slow=sum(_slow(row.get("latency_buckets", {})) for row in rows),
        answered=sum(row.get("latency_buckets", {}).get("+Inf", 0) for row in rows),
        subjects=rows[0].get("subjects") if len(rows) == 1 else None,  # several may have met the same one
        subjects_failed=sum(row.get("subjects_failed", 0) for row in rows),
        subjects_slow=sum(row.get("subjects_slow", 0) for row in rows),
    )


def _slow(buckets: Mapping[str, int]) -> int:
    """Answers that took longer than SLOW_S; none, when an older proxy does not say."""
    return max(0, buckets.get("+Inf", 0) - buckets.get(f"{SLOW_S:g}", buckets.get("+Inf", 0)))


def _fault(bodies: list[Any], index: str) -> FaultTraffic:
    rows = [body["faults"][index] for body in bodies if index in body["faults"]]
    firsts = [row["first_effect"]["wall_s"] for row in rows if row["first_effect"]]
    lasts = [row["last_effect"]["wall_s"] for row in rows if row["last_effect"]]
    return FaultTraffic(
        index=int(index),
        selected_requests=sum(row["selected_requests"] for row in rows),
        selected_rows=sum(row["selected_rows"] for row in rows),
        changed_rows=sum(row["changed_rows"] for row in rows),
        injected=sum(row["injected"] for row in rows),
        delayed_s=sum(row["delayed_s"] for row in rows),
        undecodable=sum(row["undecodable"] for row in rows),
        first_effect_wall_s=min(firsts, default=None),
        last_effect_wall_s=max(lasts, default=None),
    )
