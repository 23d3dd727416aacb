"""The client of a notification sink: what a receiver really got, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.drivers.http import TIMEOUT_S, ask, json_of, session, understood
from chaos.drivers.prometheus import wall_of
from chaos.telemetry import Notification, NotifiedAlert

WHAT = "the notification sink"


class SinkClient:
    """One sink."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        self._session = session()

    def _get(self, path: str, **parameters: str) -> Any:
        answer = ask(self._session, "GET", f"{self.url}{path}", what=WHAT, timeout_s=self.timeout_s, params=parameters)
        return json_of(answer, WHAT)

    def ready(self) -> None:
        """It serves. Raises Unreachable when it does not."""
        self.notifications(after=2**53)

    def notifications(self, after: int = 0) -> list[Notification]:
        """Every notification with an id above `after`, in order."""
        body = self._get("/notifications", after=str(after))
        with understood(WHAT, self.url):
            return [_notification(row) for row in body["notifications"]]


def _notification(row: Mapping[str, Any]) -> Notification:
    return Notification(
        id=row["id"],
        received_at_wall_s=row["received_at"],
        receiver=row.get("receiver", ""),
        status=row.get("status", ""),
        group=dict(row["groupLabels"]) if isinstance(row.get("groupLabels"), dict) else None,
        alerts=tuple(
            NotifiedAlert(
                status=one["status"],
                fingerprint=one.get("fingerprint", ""),
                labels=dict(one.get("labels") or {}),
                starts_at_wall_s=wall_of(one.get("startsAt")),
                ends_at_wall_s=wall_of(one.get("endsAt")) or None,
            )
            for one in row.get("alerts") or ()
        ),
    )
