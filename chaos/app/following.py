"""Those who look on while a run is made: a file of metrics, annotations in Grafana. Whatever they meet, the run never waits. Wiring.

Runner ─▶ Following(run, at_s) ─▶ a queue and a thread for each ─▶ Follower.follow(now)
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from chaos.engine import Run
from chaos.engine.effects import Effect
from chaos.history.now import FaultNow, Now

log = logging.getLogger("chaos.run")

SEEN_EVERY_S = 10.0
"""A run in which nothing changes says that it is there so often."""
CLOSE_S = 5.0
"""So long a run that is over waits for those who look on, once."""


class Follower(Protocol):
    """Hears of every change, in order, in a thread of its own: it may take long, and it may raise."""

    def follow(self, now: Now) -> None:
        """This is how the run is now."""
        ...

    def close(self) -> list[str]:
        """What it could not do, in sentences. Nothing follows."""
        ...


class Following:
    """All who look on at one run; called where a live view is, and beside it."""

    def __init__(
        self, run: str, followers: Sequence[Follower], view: Callable[[Run, float], None] | None = None
    ) -> None:
        self._id = run
        self._view = view
        self._started_wall_s: float | None = None
        self._last: tuple[object, ...] = ()
        self._since: dict[str, float] = {}
        self._threads = [_Thread(one) for one in followers]

    def __call__(self, run: Run, at_s: float) -> None:
        """Who looks on hears of what has changed; the live view is drawn. Neither can harm the other."""
        if self._threads:
            self._tell(run, at_s)
        if self._view is None:
            return
        try:
            self._view(run, at_s)
        except (Exception, SystemExit) as error:
            self._view = None
            log.debug("the live view ended: %r", error)

    def end(self) -> None:
        """Nothing more is told than what was. Waits for nobody."""
        for thread in self._threads:
            thread.end()

    def close(self, *, wait: bool = True) -> None:
        """Everything that could be told within CLOSE_S has been, or without `wait` by now; what could not is on the log."""
        until_s = time.monotonic() + (CLOSE_S if wait else 0.0)
        self.end()
        for thread in self._threads:
            for problem in thread.close(max(0.0, until_s - time.monotonic())):
                log.warning("%s", problem)

    def _tell(self, run: Run, at_s: float) -> None:
        wall_s = time.time()
        if self._started_wall_s is None:
            self._started_wall_s = wall_s - at_s
        faults = tuple(
            self._fault(run, one, wall_s, at_s) for one in run.effects.values() if one.planned.kind != "hold"
        )
        seen = (run.state, faults, int(at_s // SEEN_EVERY_S))
        if seen == self._last:
            return
        self._last = seen
        plan = run.plan
        now = Now(self._id, plan.experiment, plan.system, self._started_wall_s, wall_s, run.state, faults)
        for thread in self._threads:
            thread.put(now)

    def _fault(self, run: Run, effect: Effect, wall_s: float, at_s: float) -> FaultNow:
        planned = effect.planned
        first = run.progress.first_effect_wall_s
        since = self._since.get(planned.id)
        if since is None and effect.applied_at_s is not None and first is not None:
            # What was applied after another fault's first effect is on from its own Apply.
            since = self._since[planned.id] = max(first, wall_s - (at_s - effect.applied_at_s))
        until = (run.progress.removed_wall_s or wall_s) if effect.undone else None
        if until is not None:
            until = self._since.setdefault(f"{planned.id} gone", until)
        return FaultNow(
            planned.id, planned.fault or planned.kind, planned.target, planned.explain, effect.active(), since, until
        )


class _Thread:
    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._queue: queue.SimpleQueue[Now | None] = queue.SimpleQueue()
        self._problems: list[str] = []
        self._thread = threading.Thread(target=self._follow, daemon=True, name=type(follower).__name__)
        self._thread.start()

    def put(self, now: Now) -> None:
        self._queue.put(now)

    def end(self) -> None:
        self._queue.put(None)

    def close(self, within_s: float) -> list[str]:
        self._thread.join(within_s)
        if self._thread.is_alive():
            said = f"it takes more than {CLOSE_S:g}s" if within_s > 0 else "nobody waits for it"
            return [f"{type(self._follower).__name__} has not told everything: {said}"]
        return self._problems

    def _follow(self) -> None:
        while (now := self._queue.get()) is not None:
            try:
                self._follower.follow(now)
            except Exception as error:  # whoever looks on harms no run
                log.debug("%s: %s", type(self._follower).__name__, error, exc_info=True)
                self._note(error)
        try:
            self._problems += self._follower.close()
        except Exception as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        said = f"{type(self._follower).__name__}: {error or type(error).__name__}"
        if said not in self._problems:
            self._problems.append(said)
