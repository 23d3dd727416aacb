"""What fault proxies counted of both arms between two looks: the windows by which arms are compared that no load of ours asks. Pure.

looks at one target (cumulative) ─┬▶ windows_of_subjects() ─▶ judged
                                  └▶ windows_of_requests() ─▶ told, and judging nothing

A window holds what two looks in a row have between them, of treatment and of control: how many were answered, and how many of these
failed or were slow. There are two things to count:

- Subjects, by the first request of each that was answered: somebody who comes back, and a retry, say nothing new, so a comparison errs
  as rarely as alpha says. One worker of one proxy knows them. Several say nothing: a subject that goes to each of them would be counted
  by each, and what is wrong with it would be taken for two events.
- Requests, by first attempts that were answered: several proxies can be summed, since they are armed with the same split, so whichever a
  request came through, its chance of being one of treatment is the same. But whoever comes back is counted again, and what is wrong with
  them, too: a comparison errs more often than alpha says.

Targets are never summed: each has its own split of its own traffic, and its own base rate. They share alpha: a request may pass two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from chaos.comparisons import ALPHA, Compared
from chaos.observation import ArmTraffic, ProxyRead
from chaos.statistics import ArmCounts, bonferroni

__all__ = [
    "KNOWN", "Window", "counts_subjects", "each_at_proxies", "summed", "windows_of_requests", "windows_of_subjects",
]  # fmt: skip

KNOWN: tuple[Compared, ...] = ("errors", "slow")
"""What proxies know of an answer: whether it failed, and whether it took longer than SLOW_S. Whether it is right, they do not."""


class Window(NamedTuple):
    """What was counted of treatment and of control between two looks, the later of which was then."""

    until_wall_s: float
    counted: dict[Compared, tuple[ArmCounts, ArmCounts]]


def each_at_proxies(targets: int) -> float:
    """The alpha of one comparison by proxies: those of all these targets share ALPHA."""
    return bonferroni(ALPHA, len(KNOWN) * targets)


def windows_of_subjects(
    looks: Iterable[ProxyRead], since_wall_s: float, until_wall_s: float | None = None
) -> Iterator[Window]:
    """The windows in which the proxy was armed, and which began after the first moment and ended before the second."""

    def counts(look: ProxyRead) -> bool:
        ended = until_wall_s is not None and look.at_wall_s > until_wall_s
        return look.state == "armed" and since_wall_s <= look.at_wall_s and not ended

    return _windows((pair for pair in pairwise(looks) if all(map(counts, pair))), _subjects)


def windows_of_requests(looks: Iterable[ProxyRead]) -> Iterator[Window]:
    """All the windows between these looks."""
    return _windows(pairwise(looks), _requests)


def counts_subjects(looks: Sequence[ProxyRead]) -> bool:
    """Whether these proxies tell subjects apart; older ones do not, nor do several of one target."""
    return bool(looks) and looks[-1].treatment.subjects is not None and looks[-1].control.subjects is not None


def summed(of: Iterable[Window], what: Compared) -> tuple[ArmCounts, ArmCounts]:
    """Treatment and control over all these windows."""
    counts = [window.counted[what] for window in of]
    treatment, control = (
        ArmCounts(sum(one[arm].exposed for one in counts), sum(one[arm].bad for one in counts)) for arm in (0, 1)
    )
    return treatment, control


# --- one window -------------------------------------------------------------------------------------------------------


class _Counted(NamedTuple):
    """How many were answered, and how many of them failed or were slow: so far, or in a window."""

    answered: int
    failed: int
    slow: int

    def of(self, what: Compared) -> ArmCounts:
        return ArmCounts(self.answered, self.failed if what == "errors" else self.slow)


def _subjects(arm: ArmTraffic) -> _Counted | None:
    return None if arm.subjects is None else _Counted(arm.subjects, arm.subjects_failed, arm.subjects_slow)


def _requests(arm: ArmTraffic) -> _Counted | None:
    return _Counted(arm.answered, arm.errors, arm.slow)


def _windows(
    pairs: Iterable[tuple[ProxyRead, ProxyRead]], so_far: Callable[[ArmTraffic], _Counted | None]
) -> Iterator[Window]:
    for base, look in pairs:
        treatment = _between(so_far(base.treatment), so_far(look.treatment))
        control = _between(so_far(base.control), so_far(look.control))
        if treatment is not None and control is not None:
            yield Window(look.at_wall_s, {what: (treatment.of(what), control.of(what)) for what in KNOWN})


def _between(base: _Counted | None, look: _Counted | None) -> _Counted | None:
    """What came between these looks. None where nobody can tell: counting began anew (a proxy, or one of several, was started again),
    or the failed and the slow are no part of what is said to be answered (an older proxy).
    """
    if base is None or look is None:
        return None
    answered, failed, slow = (later - earlier for earlier, later in zip(base, look, strict=True))
    return _Counted(answered, failed, slow) if 0 <= failed <= answered and 0 <= slow <= answered else None
