"""What the proxies of one target counted of the two arms, as the seconds that `chaos.comparisons` compares. Pure.

looks (cumulative) ─▶ increments() ─▶ samples, one for each look after the first

The proxies of a target are summed: they are armed with the same split, so whichever of them a request came through, the chance that it
was one of treatment is the same. Targets are never summed: each has its own split of its own traffic, and its own base rate.
"""

from __future__ import annotations

from collections.abc import Iterable

from chaos.comparisons import Compared
from chaos.exposure import ArmSample, Sample
from chaos.observation import SLOW_S, ArmTraffic, ProxyRead

COUNTED_BY_PROXIES: tuple[Compared, ...] = ("errors", "slow")
"""What a proxy can tell of an answer; slow is what took longer than SLOW_S."""


def increments(looks: Iterable[ProxyRead]) -> list[Sample]:
    """What was answered between each look and the one before, by arm: first attempts alone, and each of them once.

    Exposure is what was answered and not what was asked, since errors are counted when they are answered. A look at which a count has
    fallen (a proxy of the fleet has died, and its counts with it) says nothing, and the next one is compared with it.
    """
    found: list[Sample] = []
    before: ProxyRead | None = None
    for look in looks:
        if before is not None:
            arms = {
                "treatment": _between(before.treatment, look.treatment),
                "control": _between(before.control, look.control),
            }
            known = {name: arm for name, arm in arms.items() if arm is not None}
            if len(known) == len(arms):
                sent = sum(arm.first for arm in known.values())
                found.append(Sample(len(found), look.at_wall_s, 0.0, sent, 0, 0, 0.0, known))
        before = look
    return found


def _between(before: ArmTraffic, after: ArmTraffic) -> ArmSample | None:
    """The increment, or None when it is none."""
    answered, errors, slow = (
        after.answered - before.answered, after.errors - before.errors, after.slow - before.slow
    )  # fmt: skip
    if not (0 <= errors <= answered and 0 <= slow <= answered):
        return None
    within = {f"{SLOW_S:g}": answered - slow}
    return ArmSample(answered, answered, errors, answered, errors, latency_le=within)
