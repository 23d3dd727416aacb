"""From a recording, or from what a run recorded, to an alteration. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chaos.rehearsal.alteration import Alteration
from chaos.rehearsal.grid import Grid, grid
from chaos.rehearsal.models import NoModel, Statement, altered
from chaos.rehearsal.recording import Recording

FEWEST = 5
"""Slots of a baseline; of less nothing can be drawn."""
FEWEST_HURT = 2
"""Slots of a fault, which ends as soon as every alert has fired: the one in which it begins, and one that it has for itself."""


def measured(recording: Recording) -> Alteration:
    """What a run's fault did, as its telemetry shows. Raises NoModel when too little of it was recorded."""
    if recording.effect_wall_s is None or recording.removal_wall_s is None or recording.baseline_wall_s is None:
        raise NoModel(f"no fault was on in {recording.about}, so it shows no effect of one")
    whole = grid(recording)
    first = _slot(whole, recording.baseline_wall_s)
    effect, removal = _slot(whole, recording.effect_wall_s), _slot(whole, recording.removal_wall_s)
    # A slot in which the fault begins or ends belongs to what follows.
    effect, removal = max(0, effect - 1), max(effect, removal - 1)
    before = whole.slice(first, max(first, effect))
    during, after = whole.slice(effect, removal), whole.slice(removal, whole.slots)
    begun = (recording.effect_wall_s - during.start_wall_s) / whole.slot_s
    for what, part, fewest in (("baseline", before, FEWEST), ("fault", during, FEWEST_HURT)):
        if part.slots < fewest:
            raise NoModel(
                f"the {what} of {recording.about} is {part.slots} scrapes long, and {fewest} are needed; make it longer"
            )
    return Alteration(
        before,
        during,
        after if after.slots else None,
        True,
        f"the measured effect of {recording.about}",
        recording.severity,
        min(1.0, max(0.0, begun)),
    )


def stated(recording: Recording, statements: Sequence[Statement], source: str) -> Alteration:
    """What a fault that is stated would make of a recording's baseline, with all traffic hurt. Raises NoModel."""
    before = baseline_of(recording)
    if before.slots < FEWEST:
        raise NoModel(f"{recording.about} is {before.slots} scrapes long, and {FEWEST} are needed; record more")
    head = max((round(one.lag_s / before.slot_s) for one in statements), default=0)
    return align(before, altered(before, statements), source, head)


def align(before: Grid, during: Grid, source: str, head: int = 0) -> Alteration:
    """The two over the same series: what a model has made anew was not there before."""
    missing = len(during.series) - len(before.series)
    if missing:
        blank = np.zeros((missing, before.slots))
        before = replace(
            before, series=during.series, counter=during.counter, whole=during.whole, clock=during.clock,
            below=during.below, copies=during.copies, change=np.vstack([before.change, blank]),
            there=np.vstack([before.there, blank.astype(bool)]), age=during.age,
        )  # fmt: skip
    return Alteration(before, during, None, False, source, head=head)


def baseline_of(recording: Recording) -> Grid:
    """The part of a recording in which nothing was hurt."""
    whole = grid(recording)
    first = _slot(whole, recording.baseline_wall_s if recording.baseline_wall_s is not None else recording.start_wall_s)
    last = _slot(whole, recording.effect_wall_s) - 1 if recording.effect_wall_s is not None else whole.slots
    return whole.slice(first, max(first, last))


def _slot(whole: Grid, wall_s: float) -> int:
    """The first slot that begins at or after this moment."""
    return min(whole.slots, max(0, math.ceil((wall_s - whole.start_wall_s) / whole.slot_s - 1e-6)))
