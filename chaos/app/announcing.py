"""Announces a run to the people of its system: who does what to whom, for how long, how to stop it; and how it ended. Wiring."""

from __future__ import annotations

import logging

from chaos.drivers.announcer import Announcer
from chaos.drivers.user import who
from chaos.errors import Refused, Unreachable
from chaos.plans import Plan
from chaos.units import format_duration, format_share
from chaos.verdict import Verdict

log = logging.getLogger("chaos.run")


class Announcement:
    """One run's. Nothing is told where the system file names no webhook."""

    def __init__(self, webhook: str | None, plan: Plan, run: str, longest_s: float) -> None:
        """`longest_s`: the most that the run may take, undoing included."""
        self._announcer = Announcer(webhook) if webhook is not None else None
        self._plan = plan
        self._more: dict[str, str | float | list[str] | None] = {
            "run": run,
            "experiment": plan.experiment,
            "system": plan.system,
            "environment": plan.environment,
            "who": who(),
            "what": [effect.explain for effect in plan.faults()],
            "whom": f"{plan.subjects}, {format_share(plan.traffic)} of subjects by {plan.subject_by}",
            "real_users": plan.allowed,
            "frozen": plan.frozen,
            "at_most_s": longest_s,
            "stop": f"chaos stop {run}",
        }

    def before(self) -> None:
        """Everybody was told what is about to happen. Raises Refused when nobody could be."""
        if self._announcer is None:
            return
        more = self._more
        text = (
            f"{more['who']} runs {self._plan.experiment} on {self._plan.system} ({self._plan.environment}) for at most "
            f"{format_duration(round(float(str(more['at_most_s']))))}: {'; '.join(effect.explain for effect in self._plan.faults())}. "
            f"To stop it: `{more['stop']}`" + (f". {self._plan.frozen}" if self._plan.frozen is not None else "")
        )
        try:
            self._announcer.tell("before", text, more)
        except Unreachable as error:
            told = f"nobody could be told of this run beforehand: {error}; mend it, or `announce:` in the system file"
            raise Refused([told]) from error

    def after(self, verdict: Verdict | None) -> None:
        """Everybody was told that it is over, and how. A webhook that is gone by now is logged: what happened has happened."""
        if self._announcer is None:
            return
        name, sentence = (verdict.verdict, verdict.sentence) if verdict is not None else ("none", "it has no verdict")
        text = f"{self._plan.experiment} on {self._plan.system} is over ({name}): {sentence}"
        try:
            self._announcer.tell("after", text, {**self._more, "verdict": name, "sentence": sentence})
        except Unreachable as error:
            log.warning("nobody could be told that this run is over: %s", error)
