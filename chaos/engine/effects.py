"""One effect as the machine keeps it: from the moment its Apply is issued until an Undo has shown that it is gone. Pure.

It counts as undone when the Apply call has ended *and* an Undo that was issued after that has shown the state before: a late Apply
may land after the first Undo, so until then the Undo is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

from chaos.plans import PlannedEffect

APPLY_DEAD_S = 21.0
"""After this an Apply call has ended, one way or another: what it waits for beforehand (the disk, the warden) and every driver call's
time-out are shorter together. An undo that begins then still ends within the undo's deadline."""
MAY_LAND_S = 10.0
"""A call that was given up without an answer may take hold for so long: its effect is undone again and again."""
THAWED_S = 3.0
"""So long after a server's first answer nothing that it was asked before comes any more."""
UNDO_AGAIN_S = 0.5
UNDO_CALL_S = 10.0
"""An Undo call that has not ended by then is tried again beside it."""
RENEW_AGAIN_S = 0.5
"""A renewal that failed is tried again, but not faster than this: the proxy has users to serve."""


@dataclass
class Effect:
    """What is known of one effect; `at_s` is always seconds into the run."""

    planned: PlannedEffect
    issued_at_s: float | None = None
    applied_at_s: float | None = None
    apply_ended: bool = False
    undo_answered: bool = False
    may_land_until_s: float | None = None
    """The Apply call was given up without an answer: until then it may still take hold."""
    undo_attempt: int = 0
    undo_issued_at_s: float | None = None
    undo_running: bool = False
    covering_from: int | None = None
    """The first Undo that was issued after the Apply call had ended: its success, or a later one's, counts."""
    wanted_gone_since_s: float | None = None
    undone: bool = False
    lost: bool = False
    renewed_at_s: float | None = None
    renew_issued_at_s: float | None = None
    renewing: bool = False

    def active(self) -> bool:
        """From the moment its Apply is issued until it is undone."""
        return self.issued_at_s is not None and not self.undone

    def leased(self) -> bool:
        """Whether it ends by itself when nobody renews its lease."""
        return self.planned.lease() is not None

    def apply_has_ended(self, at_s: float) -> None:
        """Its Apply call is over, well or badly: from now on an Undo can cover it."""
        if self.apply_ended and self.wanted_gone_since_s is not None:
            # It was given up for dead and has landed after all, perhaps after the Undo that seemed to cover it.
            self.undone, self.covering_from, self.wanted_gone_since_s = False, None, at_s
        self.apply_ended = True

    def heard_applied(self, at_s: float) -> None:
        """Its Apply call has ended well."""
        self.apply_has_ended(at_s)
        self.applied_at_s = at_s
        self.renewed_at_s = at_s

    def heard_undone(self, attempt: int, at_s: float) -> bool:
        """This Undo has shown the state before; whether it is undone with that, and was not before."""
        if attempt == self.undo_attempt:
            self.undo_running = False
        if self.may_land_until_s is not None and not self.undo_answered:
            # A server that was frozen performs what it was asked before once it answers again: its first answer is not the last word.
            self.may_land_until_s = max(self.may_land_until_s, at_s + THAWED_S)
            self.undo_answered = True
            self.apply_ended, self.covering_from = False, None
        if self.covering_from is None or attempt < self.covering_from or self.undone:
            return False
        self.undone = True
        return True

    def heard_undo_failed(self, attempt: int, at_s: float, lease_s: float) -> None:
        """This Undo has failed; when nobody has renewed its lease for long enough, it has ended all the same."""
        if attempt == self.undo_attempt:
            self.undo_running = False
        if not (self.leased() and self.apply_ended) or self.wanted_gone_since_s is None:
            return
        # Nobody has renewed the lease since: the proxy has dropped the effect by itself, or is gone together with it.
        began_s = (self.renewed_at_s, self.issued_at_s, self.may_land_until_s)
        last_s = max(self.wanted_gone_since_s, *(at or 0.0 for at in began_s))
        if at_s - last_s > lease_s + 1.0:
            self.undone = True

    def next_undo(self, at_s: float) -> int | None:
        """Wants it gone: the attempt that is to be issued now, or None when there is nothing to undo or one is on its way."""
        if self.undone or self.issued_at_s is None:
            return None
        if self.wanted_gone_since_s is None:
            self.wanted_gone_since_s = at_s
        lands_until_s = self.issued_at_s + APPLY_DEAD_S if self.may_land_until_s is None else self.may_land_until_s
        if not self.apply_ended and at_s > lands_until_s:
            self.apply_ended = True
        last_s = self.undo_issued_at_s
        waited_s = UNDO_CALL_S if self.undo_running else UNDO_AGAIN_S
        # An Apply that ended after the last Undo was issued needs another Undo at once, however fresh the last one is.
        overtaken = self.apply_ended and self.covering_from is None
        if last_s is not None and not overtaken and at_s - last_s < waited_s:
            return None
        self.undo_attempt += 1
        self.undo_issued_at_s = at_s
        self.undo_running = True
        if overtaken:
            self.covering_from = self.undo_attempt
        return self.undo_attempt

    def renewal_due(self, at_s: float, lease_s: float) -> bool:
        """Whether its lease is to be renewed now."""
        due = self.renewed_at_s is not None and at_s - self.renewed_at_s >= lease_s / 3
        due = due and at_s - (self.renew_issued_at_s or 0.0) >= RENEW_AGAIN_S
        return self.active() and self.leased() and due and not self.renewing
