"""Grafana's annotations: marks in time that dashboards show.

Source: Grafana's documentation, HTTP API, Annotations: `POST /api/annotations` gives an id, `PATCH /api/annotations/:id` changes what it
is given; times are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaos.drivers.http import ask, json_of, session, understood
from chaos.errors import Unreachable

TIMEOUT_S = 3.0
WHAT = "Grafana"


class GrafanaClient:
    """One Grafana, asked as a service account."""

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._session = session({"Authorization": f"Bearer {token}"})

    def annotate(
        self,
        text: str,
        tags: Sequence[str],
        start_wall_s: float,
        end_wall_s: float | None = None,
        *,
        dashboard: str | None = None,
        panel: int | None = None,
    ) -> int:
        """The annotation is there; its id. Of the whole organisation without a `dashboard` (its uid). Raises Unreachable."""
        said: dict[str, object] = {"text": text, "tags": list(tags), "time": _milliseconds(start_wall_s)}
        if end_wall_s is not None:
            said["timeEnd"] = _milliseconds(end_wall_s)
        if dashboard is not None:
            said["dashboardUID"] = dashboard
        if panel is not None:
            said["panelId"] = panel
        answer = self._ask("POST", "/api/annotations", said)
        with understood(WHAT, self._url):
            return int(answer["id"])  # type: ignore[index]

    def end(self, annotation: int, end_wall_s: float) -> None:
        """The annotation is a region that ends then. Raises Unreachable."""
        self._ask("PATCH", f"/api/annotations/{annotation}", {"timeEnd": _milliseconds(end_wall_s)})

    def _ask(self, method: str, path: str, said: dict[str, object]) -> object:
        answer = ask(
            self._session, method, f"{self._url}{path}", what=WHAT, timeout_s=self._timeout_s, json=said,
            allow_redirects=False,
        )  # fmt: skip
        if answer.status_code in (401, 403):
            raise Unreachable(
                f"Grafana answered {answer.status_code}: the token in the system file may not write annotations"
            )
        if not 200 <= answer.status_code < 300:
            raise Unreachable(
                f"Grafana answered {answer.status_code}; are url, dashboard and panel in the system file right?"
            )
        return json_of(answer, WHAT)


def _milliseconds(wall_s: float) -> int:
    return round(wall_s * 1000)
