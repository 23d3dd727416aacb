"""Annotates a Grafana while faults are on: a mark at the first effect, which becomes a region at the removal. Wiring.

What Grafana does not take is tried again when the run says that it is still there, and said at the end. No run waits for it.
"""

from __future__ import annotations

from typing import Protocol

from chaos.errors import Unreachable
from chaos.history.now import FaultNow, Now
from chaos.visible import visible


class Client(Protocol):
    """Where annotations go."""

    def annotate(
        self,
        text: str,
        tags: list[str],
        start_wall_s: float,
        end_wall_s: float | None = None,
        *,
        dashboard: str | None = None,
        panel: int | None = None,
    ) -> int:
        """The annotation is there; its id."""
        ...

    def end(self, annotation: int, end_wall_s: float) -> None:
        """It ends then."""
        ...


class Annotations:
    """One run's annotations, one for each fault on each target."""

    def __init__(self, client: Client, dashboard: str | None, panel: int | None) -> None:
        self._client, self._dashboard, self._panel = client, dashboard, panel
        self._there: dict[str, int] = {}
        self._ended: set[str] = set()
        self._last: Now | None = None
        self._error: str | None = None

    def follow(self, now: Now) -> None:
        """Every fault that has hurt is annotated, and ended where it is gone, as far as Grafana takes it."""
        self._last = now
        try:
            for fault in now.faults:
                self._annotate(now, fault)
            self._error = None
        except Unreachable as error:
            self._error = str(error)

    def close(self) -> list[str]:
        """What Grafana does not show, and why; it is asked once more."""
        if self._last is None:
            return []
        if self._open(self._last):
            self.follow(self._last)
        left = self._open(self._last)
        if not left:
            return []
        names = ", ".join(f"{one.fault} at {one.target}" for one in left)
        why = self._error or "it was not undone"
        return [f"Grafana does not show when {names} was on: {why}; the journal has it"]

    def _open(self, now: Now) -> list[FaultNow]:
        """The faults that have hurt and of which Grafana does not show the end."""
        return [one for one in now.faults if one.since_wall_s is not None and one.id not in self._ended]

    def _annotate(self, now: Now, fault: FaultNow) -> None:
        if fault.since_wall_s is None or fault.id in self._ended:
            return
        until_s = fault.until_wall_s
        if fault.id not in self._there:
            self._there[fault.id] = self._client.annotate(
                visible(f"{now.experiment}: {fault.explain} ({now.run})"),
                ["chaos", now.experiment, fault.fault, fault.target],
                fault.since_wall_s,
                until_s,
                dashboard=self._dashboard,
                panel=self._panel,
            )
        elif until_s is not None:
            self._client.end(self._there[fault.id], until_s)
        if until_s is not None:
            self._ended.add(fault.id)
