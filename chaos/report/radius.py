"""The blast radius as it was: how many were touched, and what proves that nobody else was. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.judging.trace import Trace
from chaos.plans import PlannedEffect
from chaos.verdict import Finding, Verdict

PROOFS = (
    "Was the control arm unharmed", "Were subjects split as planned", "Do load and proxies at", "Were the arms alike before the fault",
    "Is the removal", "Was every effect undone",
)  # fmt: skip
"""How the questions begin whose answers prove that nobody else was touched, and nobody any more."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some of those who sent requests, and how many of their requests a fault has touched (None: no fault acts there)."""

    name: str
    requests: int
    touched: int | None
    about: str

    @property
    def said(self) -> str:
        """In words: `113 touched`."""
        return "no fault acts here" if self.touched is None else f"{self.touched} touched"


@dataclass(frozen=True, slots=True)
class Radius:
    """Who was there, who was touched, which containers were hurt, and the findings that prove the rest."""

    groups: tuple[Group, ...]
    containers: tuple[str, ...]
    proofs: tuple[Finding, ...]

    @property
    def requests(self) -> int:
        """All requests that were seen."""
        return sum(group.requests for group in self.groups)

    @property
    def touched(self) -> int:
        """All that were touched."""
        return sum(group.touched or 0 for group in self.groups)


def radius(trace: Trace, verdict: Verdict) -> Radius:
    """By the proxies' counts where there are any, else by the load's."""
    proofs = tuple(one for one in verdict.findings if one.question.startswith(PROOFS))
    containers = tuple(
        f"{effect.container.name if effect.container is not None else effect.target}"
        for effect in trace.plan.faults()
        if effect.kind == "container" and effect.id in trace.issued
    )
    return Radius(tuple(_at_proxies(trace) or _at_load(trace)), tuple(dict.fromkeys(containers)), proofs)


def _at_proxies(trace: Trace) -> list[Group]:
    looks = [look for target in sorted(trace.proxies) if (look := trace.latest(target)) is not None]
    if not looks:
        return []
    outside = sum(look.outside.requests for look in looks)
    groups = [
        Group(
            "Treatment",
            sum(look.treatment.requests for look in looks),
            _hurt(trace),
            "may be hurt: by hash of seed and subject",
        ),
        Group(
            "Control",
            sum(look.control.requests for look in looks),
            _hurt_elsewhere(trace),
            "the same kind of traffic, never hurt",
        ),
    ]
    return [*groups, Group("Outside the experiment", outside, None, "passed byte for byte")] if outside else groups


def _at_load(trace: Trace) -> list[Group]:
    names = sorted({name for sample in trace.samples for name in sample.arms}, reverse=True)
    if len(names) < 2:
        sent = sum(sample.sent for sample in trace.samples)
        return [Group("Everybody", sent, 0, "no request was changed; what was hurt are containers")] if sent else []
    return [_arm(trace, name) for name in names]


def _arm(trace: Trace, name: str) -> Group:
    sent = sum(sample.arms[name].sent for sample in trace.samples if name in sample.arms)
    about = (
        "may be hurt: by hash of seed and subject" if name == "treatment" else "the same kind of traffic, never hurt"
    )
    return Group(name.capitalize(), sent, _hurt(trace) if name == "treatment" else _hurt_elsewhere(trace), about)


def _hurt(trace: Trace) -> int:
    """Requests (or rows) of the treatment arm that a fault has changed, cut or delayed."""
    return sum(_done(trace, effect) for effect in _each_fault(trace))


def _each_fault(trace: Trace) -> list[PlannedEffect]:
    """One effect of every fault that happens to requests: several effects of one fault count together."""
    named = {effect.fault_index: effect for effect in trace.plan.faults() if effect.kind in ("proxy", "load")}
    return [effect for index, effect in named.items() if index is not None]


def _done(trace: Trace, effect: PlannedEffect) -> int:
    assert effect.fault_index is not None
    if effect.kind == "load":
        return trace.touched(effect.fault_index).effects
    seen = trace.traffic(effect.fault_index)
    return seen.effects if seen is not None else 0


def _hurt_elsewhere(trace: Trace) -> int | None:
    """What faults of the load did outside the treatment arm. A proxy asks no fault about a request of another arm: nothing to count."""
    faults = [effect.fault_index for effect in _each_fault(trace) if effect.kind == "load"]
    if not faults:
        return None
    return sum(trace.touched(index, treatment=False).effects for index in faults if index is not None)
