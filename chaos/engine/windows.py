"""When baseline, fault and recovery began and ended: what every probe is read over when the run is over. Pure."""

from __future__ import annotations

from typing import Literal

from chaos.events import PhaseWindow, State
from chaos.progress import Progress

Phase = Literal["baseline", "fault", "recovery"]
PHASES: tuple[Phase, ...] = ("baseline", "fault", "recovery")
_BEGINS: dict[State, Phase] = {State.baseline: "baseline", State.inject: "fault", State.recovery: "recovery"}
_ENDS: dict[State, Phase] = {State.baseline: "baseline", State.undo: "fault", State.recovery: "recovery"}
"""The fault's time goes on until everything is undone."""


class Windows:
    """The phases as they were entered and left, in wall-clock seconds."""

    def __init__(self) -> None:
        self._spans: dict[Phase, tuple[float, float | None]] = {}

    def entered(self, state: State, wall_s: float) -> None:
        """This state begins now."""
        if state in _BEGINS:
            self._spans[_BEGINS[state]] = (wall_s, None)

    def left(self, state: State, wall_s: float) -> None:
        """This state ends now."""
        phase = _ENDS.get(state)
        if phase is not None and phase in self._spans:
            self._spans[phase] = (self._spans[phase][0], wall_s)

    def of(self, progress: Progress, now_wall_s: float) -> tuple[PhaseWindow, ...]:
        """Every phase that was reached; the fault's from the first effect to the removal, as far as they were seen."""
        found: list[PhaseWindow] = []
        for phase in PHASES:
            if phase not in self._spans:
                continue
            start, end = self._spans[phase]
            if phase == "fault":
                start = progress.first_effect_wall_s or start
                end = progress.removed_wall_s or end
            elif phase == "recovery":
                # What said that the system has settled may be a moment younger than the tick that ended the phase.
                end = max(end if end is not None else now_wall_s, progress.read_until_wall_s())
            found.append(PhaseWindow(phase, start, max(start, end if end is not None else now_wall_s)))
        return tuple(found)
