"""An outcome instead of a share: how much must be hurt until accuracy, or recall, is what people ask for. Holds no fault of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chaos.units import format_share

Outcome = Literal["accuracy", "recall"]


@dataclass(frozen=True, slots=True)
class Aim:
    """Within the treatment arm, `outcome` is to fall to `to`, a share. The probe of this name in the steady state says what it is now."""

    outcome: Outcome
    to: float


class OutOfReach(ValueError):
    """No share gives the outcome that is asked for; the message says why, and what to write instead."""


def share_for(aim: Aim, now: float, mended: float) -> float:
    """The share of hurt predictions with which the outcome falls from `now` to `aim.to`, both in [0, 1], to be expected.

    A hurt prediction that was right is wrong afterwards; one that was wrong is right with chance `mended`, in [0, 1]. So a share s gives

        outcome = now · (1 - s) + (1 - now) · mended · s

    Raises OutOfReach when the outcome is no higher than that now, or when hurting everything leaves more of it.
    """
    to, reads = format_share(aim.to), about(now)
    if aim.to >= now:
        raise OutOfReach(f"{aim.outcome} reads {reads} now, and a fault makes it no better; write less than that")
    least = (1 - now) * mended
    if least >= now:
        raise OutOfReach(
            f"{aim.outcome} reads {reads} now, so low that other answers are no worse and {to} cannot be reached; write `share` instead"
        )
    if aim.to < least:
        raise OutOfReach(
            f"{aim.outcome} reads {reads} now, and would still be {about(least)} if every prediction were hurt; write more than that"
        )
    return (now - aim.to) / (now - least)


def about(share: float) -> str:
    """A measured share for people, to a tenth of a percent: 91.3%."""
    return format_share(round(share, 3))
