"""Alertmanager, through its v2 API: what it holds, whom it would tell, what it keeps quiet about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import yaml

from chaos.drivers.http import TIMEOUT_S, ask, json_of, session, understood, without_secrets
from chaos.drivers.prometheus import wall_of
from chaos.errors import Unreachable
from chaos.routes import ActiveSilence, Matcher, Route, parse_alertmanager_config, parse_integrations
from chaos.telemetry import AlertGroup, AlertInstance, Silence

WHAT = "Alertmanager"
Parsed = TypeVar("Parsed")
_OPERATORS: dict[tuple[bool, bool], Literal["=", "!=", "=~", "!~"]] = {
    (True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~",
}  # fmt: skip
"""Whether it asks for equality, and whether by an expression → the matcher's operator."""


class AlertmanagerDriver:
    """One Alertmanager."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._session = session()
        self._shown = without_secrets(url)

    def _get(self, path: str, **parameters: str) -> Any:
        answer = ask(self._session, "GET", f"{self.url}{path}", what=WHAT, timeout_s=self.timeout_s, params=parameters)
        return json_of(answer, WHAT)

    def ready(self) -> None:
        """It serves. Raises Unreachable when it does not."""
        answer = ask(self._session, "GET", f"{self.url}/-/ready", what=WHAT, timeout_s=self.timeout_s)
        if answer.status_code == 404:
            raise Unreachable(
                f"what answers at {self._shown} is no Alertmanager (404 for /-/ready); is the address right?"
            )
        if answer.status_code != 200:
            raise Unreachable(f"Alertmanager at {self._shown} is not ready yet ({answer.status_code}); wait for it")

    def alerts(self) -> list[AlertInstance]:
        """Every alert that it holds, suppressed ones included."""
        rows = self._get("/api/v2/alerts")
        with understood(WHAT, self.url):
            return [
                AlertInstance(
                    fingerprint=row["fingerprint"],
                    labels=dict(row["labels"]),
                    state=row["status"]["state"],
                    starts_at_wall_s=wall_of(row.get("startsAt")),
                    ends_at_wall_s=wall_of(row.get("endsAt")) or None,
                    inhibited_by=tuple(row["status"].get("inhibitedBy") or ()),
                    silenced_by=tuple(row["status"].get("silencedBy") or ()),
                    receivers=tuple(one["name"] for one in row.get("receivers") or ()),
                    updated_at_wall_s=wall_of(row.get("updatedAt")) or None,
                )
                for row in rows
            ]

    def groups(self) -> dict[str, tuple[AlertGroup, ...]]:
        """Fingerprint → the groups in which this alert is told."""
        rows = self._get("/api/v2/alerts/groups")
        found: dict[str, list[AlertGroup]] = {}
        with understood(WHAT, self.url):
            for row in rows:
                group = AlertGroup(row["receiver"]["name"], dict(row.get("labels") or {}))
                for one in row["alerts"]:
                    found.setdefault(one["fingerprint"], []).append(group)
        return {fingerprint: tuple(groups) for fingerprint, groups in found.items()}

    def silences(self) -> list[Silence]:
        """Every silence that it knows, those that are over included."""
        rows = self._get("/api/v2/silences")
        with understood(WHAT, self.url):
            return [
                Silence(
                    str(row["id"]),
                    str(row.get("createdBy", "")),
                    str(row.get("comment", "")),
                    wall_of(row.get("endsAt")),
                )
                for row in rows
            ]

    def route(self) -> Route:
        """Its routing tree, as configured."""
        return self._configured(parse_alertmanager_config)

    def integrations(self) -> Mapping[str, bool]:
        """Receiver → whether it has any integration, and so can tell anybody."""
        return self._configured(parse_integrations)

    def active_silences(self) -> list[ActiveSilence]:
        """Every silence that is active now, with what it holds back."""
        rows = self._get("/api/v2/silences")
        with understood(WHAT, self.url):
            return [
                ActiveSilence(
                    matchers=tuple(
                        Matcher(one["name"], _OPERATORS[one.get("isEqual", True), one["isRegex"]], one["value"])
                        for one in row["matchers"]
                    ),
                    created_by=str(row.get("createdBy", "")),
                    comment=" ".join(str(row.get("comment", "")).split()),
                    ends_at=str(row["endsAt"]),
                )
                for row in rows
                if row["status"]["state"] == "active"
            ]

    def _configured(self, parse: Callable[[str], Parsed]) -> Parsed:
        status = self._get("/api/v2/status")
        with understood(WHAT, self.url):
            written = str(status["config"]["original"])
        try:
            return parse(written)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError, yaml.YAMLError) as error:
            raise Unreachable(f"Alertmanager at {self._shown} does not say how it routes: {error}") from error
