"""What fault proxies counted of both arms between two looks: the windows by which arms are compared that no load of ours asks. Pure.

looks at one target ─▶ windows() ─▶ exposure and bad ones of treatment and control, window by window

Counted are subjects, by the first request of each that was answered: a user who comes back, and a retry, say nothing new. Several
proxies, or workers, of one target say nothing: a subject that goes to each of them would be counted by each, and what is wrong with it
would be taken for two events. Another target is another comparison, and they share alpha: a request may pass both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from chaos.comparisons import ALPHA, Compared
from chaos.observation import ArmTraffic, ProxyRead
from chaos.statistics import ArmCounts, bonferroni

__all__ = ["KNOWN", "Window", "counted_in", "each_at_proxies", "summed", "windows"]

KNOWN: tuple[Compared, ...] = ("errors", "slow")
"""What proxies know of an answer: whether it failed, and whether it took longer than SLOW_S. Whether it is right, they do not."""

Window = tuple[float, dict[Compared, tuple[ArmCounts, ArmCounts]]]
"""When it ended, and what was counted of treatment and of control in it."""


def each_at_proxies(targets: int) -> float:
    """The alpha of one comparison by proxies: those of all these targets share ALPHA."""
    return bonferroni(ALPHA, len(KNOWN) * targets)


def windows(looks: Sequence[ProxyRead], since_wall_s: float, until_wall_s: float | None = None) -> Iterator[Window]:
    """The windows between looks at one target that began after the first moment and ended before the second.

    None goes over a moment in which counting began anew.
    """
    base: ProxyRead | None = None
    for look in looks:
        if look.state != "armed" or (until_wall_s is not None and look.at_wall_s > until_wall_s):
            base = None
            continue
        if look.at_wall_s < since_wall_s:
            continue
        if base is None or _anew(base, look):
            base = look
            continue
        counted = _between(base, look)
        base = look
        yield look.at_wall_s, counted


def summed(of: Iterable[Window], what: Compared) -> tuple[ArmCounts, ArmCounts]:
    """Treatment and control over all these windows."""
    counts = [counted[what] for _, counted in of]
    treatment, control = (
        ArmCounts(sum(one[arm].exposed for one in counts), sum(one[arm].bad for one in counts)) for arm in (0, 1)
    )
    return treatment, control


def counted_in(looks: Sequence[ProxyRead]) -> bool:
    """Whether these proxies say what the arms are compared by; older ones do not."""
    return bool(looks) and looks[-1].treatment.subjects is not None and looks[-1].control.subjects is not None


def _anew(base: ProxyRead, look: ProxyRead) -> bool:
    pairs = ((base.treatment, look.treatment), (base.control, look.control))
    return any(
        earlier.subjects is None
        or later.subjects is None
        or later.subjects < earlier.subjects
        or later.subjects_failed < earlier.subjects_failed
        or later.subjects_slow < earlier.subjects_slow
        for earlier, later in pairs
    )


def _between(base: ProxyRead, look: ProxyRead) -> dict[Compared, tuple[ArmCounts, ArmCounts]]:
    return {
        what: (_counts(base.treatment, look.treatment, what), _counts(base.control, look.control, what))
        for what in KNOWN
    }


def _counts(base: ArmTraffic, look: ArmTraffic, what: Compared) -> ArmCounts:
    exposed = (look.subjects or 0) - (base.subjects or 0)
    failed, slow = look.subjects_failed - base.subjects_failed, look.subjects_slow - base.subjects_slow
    return ArmCounts(exposed, failed if what == "errors" else slow)
