"""The control client of fault proxies: one target's proxies are one fleet, all armed or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from chaos.drivers.http import TIMEOUT_S, ask, session, without_secrets
from chaos.errors import ChaosError, Unreachable
from chaos.observation import ArmTraffic, FaultTraffic, ProxyRead

WHAT = "the fault proxy"


@dataclass(frozen=True, slots=True)
class Arming:
    """What a fleet is armed with; `body` is the JSON of `PUT /runs/{id}`."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProxyInfo:
    """One proxy: its version, and the run that holds it."""

    version: str
    held_by: str | None


class ProxyFleet:
    """All proxies of one target."""

    def __init__(self, addresses: Sequence[str], token: str, timeout_s: float = TIMEOUT_S) -> None:
        self.addresses = tuple(addresses)
        self.timeout_s = timeout_s
        self._session = session({"Authorization": f"Bearer {token}"})

    def _ask(self, address: str, method: str, path: str, **more: Any) -> Any:
        answer = ask(self._session, method, address + path, what=WHAT, timeout_s=self.timeout_s, **more)
        if answer.status_code == 204:
            return None
        try:
            body = answer.json()
        except ValueError:
            body = {"error": " ".join(answer.text.split())[:200]}
        if answer.status_code == 401:
            raise Unreachable(
                f"the fault proxy at {without_secrets(address)} does not accept the token; write the right `token:` in the system file"
            )
        if answer.status_code >= 400:
            raise Unreachable(
                f"the fault proxy at {without_secrets(address)} refused ({answer.status_code}): {body.get('error', '?')}"
            )
        return body

    def look(self, address: str) -> ProxyInfo:
        """One proxy of the fleet; asks with the token, so that a wrong one shows before anything is hurt."""
        body = self._ask(address, "GET", "/version")
        probe = ask(self._session, "GET", f"{address}/runs/none", what=WHAT, timeout_s=self.timeout_s)
        if probe.status_code == 401:
            raise Unreachable(
                f"the fault proxy at {without_secrets(address)} does not accept the token; write the right `token:` in the system file"
            )
        return ProxyInfo(str(body.get("version", "?")), body.get("held_by"))

    def arm(self, run: str, arming: Arming) -> None:
        """Every proxy is armed with exactly this; when one refuses, none is. Raises what it said."""
        try:
            for address in self.addresses:
                self._ask(address, "PUT", f"/runs/{quote(run, safe='')}", json=arming.body)
        except ChaosError:
            self._disarm_quietly(run)
            raise

    def _disarm_quietly(self, run: str) -> None:
        for address in self.addresses:
            try:
                self._ask(address, "DELETE", f"/runs/{quote(run, safe='')}")
            except ChaosError:
                continue  # its lease ends it; the refusal that led here is what the caller hears

    def renew(self, run: str) -> None:
        """Every proxy's lease lives on."""
        for address in self.addresses:
            self._ask(address, "POST", f"/runs/{quote(run, safe='')}/lease")

    def disarm(self, run: str) -> None:
        """No proxy touches a new request for this run. Every one is asked, even when one fails; then raises what it said."""
        failed: list[ChaosError] = []
        for address in self.addresses:
            try:
                self._ask(address, "DELETE", f"/runs/{quote(run, safe='')}")
            except ChaosError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def read(self, run: str, target: str, at_wall_s: float) -> ProxyRead:
        """The run as its target's proxies see it, summed over the fleet: first effect the earliest, last the latest."""
        bodies = [self._ask(address, "GET", f"/runs/{quote(run, safe='')}") for address in self.addresses]
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


def _arm(bodies: list[Any], name: str) -> ArmTraffic:
    rows = [body["arms"][name] for body in bodies]
    return ArmTraffic(
        requests=sum(row["requests"] for row in rows),
        first_attempts=sum(row["first_attempts"] for row in rows),
        errors=sum(row["errors"] for row in rows),
    )


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
