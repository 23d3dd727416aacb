"""The plan of a run, as values: what would happen, to whom, who is told, why it must not. Pure; made by `chaos.planning`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter

from chaos.arms_foresight import ArmsForesight
from chaos.bounds import Bound
from chaos.caps import Most
from chaos.comparisons import Compared
from chaos.faults.aims import Aim
from chaos.foresight import Foresight
from chaos.probe import Better, Missing
from chaos.survey import ContainerFound

LEASE_S = 10.0
"""How long an effect lives without its runner."""
UNDO_DEADLINE_S = 30.0
"""How long undoing is tried before a person is asked to do it by hand."""
REMOVAL_PROOF = 20
"""Treatment requests that must pass unchanged before a proxy fault counts as removed."""
REMOVAL_PROOF_WHOLE = 3
"""The same where only monitoring asks: a notification comes every few seconds, and all of them were hurt."""


@dataclass(frozen=True, slots=True)
class PlannedProbe:
    """A probe as it will be asked. `$window` still stands in the query when it is `windowed`. Bounds are texts."""

    title: str
    query: str
    count: str | None
    unit: str
    better: Better
    when_missing: Missing
    needs: float
    arms: str
    windowed: bool
    signal: str | None
    minimum: str | None
    maximum: str | None
    steady: bool
    judged: tuple[str, ...] = ("before", "during", "after")
    """When its bounds are judged: before, during, after, continuous, eventually."""
    within_s: float | None = None
    """Of `eventually`: how long after the undo its bounds may still be broken."""
    tolerance_s: float = 5.0
    """Of `continuous` and `eventually`: how long it may be out of its bounds at a stretch."""

    def bound(self, which: str) -> Bound | None:
        """The parsed bound: `minimum` or `maximum`."""
        from chaos.bounds import parse_bound

        text = self.minimum if which == "minimum" else self.maximum
        if text is None:
            return None
        try:
            value: object = float(text)
        except ValueError:
            value = text
        parsed = parse_bound(value)
        assert isinstance(parsed, Bound)
        return parsed


@dataclass(frozen=True, slots=True)
class PlannedGuard:
    """A condition that ends the run at once: a probe within bounds, an unexpected alert with these labels, or harm that the arms prove."""

    title: str
    probe: PlannedProbe | None = None
    for_s: float = 0.0
    alert: Mapping[str, str] | None = None
    compared: Compared | None = None
    """What of the arms is compared."""
    worse_than: float = 1.0
    """How many times as bad as control treatment may be."""


@dataclass(frozen=True, slots=True)
class PlannedEffect:
    """One effect. `hold` keeps a target's proxies for this run and counts its arms; it changes nothing."""

    id: str
    target: str
    kind: str
    """hold | proxy | container | load | external"""
    explain: str
    start_s: float = 0.0
    duration_s: float = 0.0
    fault_index: int | None = None
    fault: str | None = None
    fault_json: str | None = None
    until: str = "decided"
    container: ContainerFound | None = None
    driver: str | None = None
    whole: bool = False
    """Whether everything that goes to the target is hurt, without arms: only monitoring asks there."""
    shows: PlannedProbe | None = None
    """What shows that another tool's effect is on: within these bounds."""
    aim: Aim | None = None
    """The outcome in the treatment arm that its share was found for; None where people wrote the share."""

    def lease(self) -> str | None:
        """Whose lease it lives under, one for all effects that share it; None for what has none."""
        match self.kind:
            case "container" | "external":
                return None
            case "load":
                return "the load"
            case _:
                return f"the proxies of {self.target}"


@dataclass(frozen=True, slots=True)
class PlannedAlert:
    """One expected alert beside the rule that is loaded for it."""

    alert: str
    labels: Mapping[str, str]
    within_s: float | None
    delivered_to: str | None
    resolved_within_s: float | None
    severity: str
    expr: str
    left: str | None
    operator: str | None
    threshold: float | None
    for_s: float
    group_wait_s: float
    group_interval_s: float
    lower_bound_s: float
    routed_to: tuple[str, ...]
    foresight: Foresight | None = None
    window_s: float = 0.0
    """The longest time that what the rule reads looks back over."""
    via: str = "prometheus"
    """prometheus | sink | silence: who knows of it. Of one that only its sink tells of there is no rule here, and its gates are not
    observed; of one that tells by silence the sink's last word before is the beginning."""
    silent_for_s: float | None = None
    """How long a silence its receiver takes for the alarm, where it tells by silence."""


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """What the load will be. `feedback_after_s` is None when there is no feedback."""

    rate_per_s: float
    warmup_s: float
    data: str
    feedback_after_s: float | None
    feedback_share: float
    returning: float
    limit: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a run that is decided before it begins."""

    experiment: str
    description: str
    system: str
    environment: str
    seed: str
    subjects: str
    subject_by: str
    traffic: float
    where: str | None
    baseline_s: float
    max_duration_s: float
    recovery_s: float
    window_s: float
    scrape_s: float
    evaluation_s: float
    load: PlannedLoad | None
    probes: tuple[PlannedProbe, ...]
    guards: tuple[PlannedGuard, ...]
    effects: tuple[PlannedEffect, ...]
    alerts: tuple[PlannedAlert, ...]
    match: Mapping[str, str]
    harms: tuple[str, ...]
    holds: tuple[str, ...]
    quiet: bool
    silent: tuple[str, ...]
    control: bool
    arms_held: bool
    arms: ArmsForesight | None = None
    """What the comparisons of the arms can tell, and when; None where there are none."""
    mode: str = "live"
    """live | shadow: whether answers are hurt, or copies of them"""
    most: str | None = None
    """The most that all proxies together may hurt, as it was written: `500 requests`; None: no more than the arms say"""
    allowed: str | None = None
    """Who allowed that real people receive wrong answers, and why: `Ada: consent`; None where they do not."""
    frozen: str | None = None
    """The freeze that the run began in all the same, and why: `… until … by …; ignored: REASON`; None outside of one."""
    by_hand: Mapping[str, str] = field(default_factory=dict)
    lease_s: float = LEASE_S
    undo_deadline_s: float = UNDO_DEADLINE_S
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What is worth knowing and no reason to worry."""
    refusals: tuple[str, ...] = ()
    judge: str = "live"
    """live | projected: whether the expected alerts are judged as they were, or as they would be with all traffic hurt."""
    breaks: tuple[str, ...] = ()
    """What of monitoring the faults are meant to break: prometheus, alertmanager."""
    swept: str | None = None
    """The severity of this run, where it is one of a sweep: `7.05%`."""
    swept_rank: float = 0.0
    """The larger, the more severe among the runs of that sweep."""

    def effect(self, name: str) -> PlannedEffect:
        """The effect of this id. Raises LookupError when there is none."""
        for effect in self.effects:
            if effect.id == name:
                return effect
        raise LookupError(f"the plan has no effect {name}")

    def faults(self) -> tuple[PlannedEffect, ...]:
        """The effects that hurt, without the holds."""
        return tuple(effect for effect in self.effects if effect.kind != "hold")

    def begins_at_once(self) -> bool:
        """Whether all faults begin together, each as strong as it will be: then every second of theirs says the same."""
        ramps = any("ramp" in str(json.loads(effect.fault_json or "{}").get("shape")) for effect in self.faults())
        return not ramps and len({effect.start_s for effect in self.faults()}) == 1

    def externals(self) -> tuple[PlannedEffect, ...]:
        """The effects that another tool brings about."""
        return tuple(effect for effect in self.effects if effect.kind == "external")

    def shadows(self) -> bool:
        """Whether clients get untouched answers, and faults happen to copies alone."""
        return self.mode == "shadow"

    def most_of_a_target(self) -> Most | None:
        """The part of the cap that each hurt target gets; its proxies divide it further."""
        targets = {effect.target for effect in self.effects if effect.kind == "proxy"}
        return Most.parse(self.most).part(len(targets)) if self.most is not None else None

    def divides(self) -> bool:
        """Whether the run divides its subjects into arms: a fault of containers hurts everybody alike."""
        return any(effect.kind in ("hold", "load") for effect in self.effects)

    def compared_at(self) -> tuple[str, ...]:
        """The targets whose proxies compare the arms, in order: where there is a load of our own it does, and knows more."""
        if self.load is not None or not self.divides() or self.traffic >= 1:
            return ()
        held = dict.fromkeys(effect.target for effect in self.effects if effect.kind == "hold")
        return tuple(target for target in held if target not in self.whole_targets())

    def whole_targets(self) -> frozenset[str]:
        """The targets that only monitoring asks: they have no arms, and everything that goes there is hurt."""
        return frozenset(effect.target for effect in self.effects if effect.whole)

    def removal_proof(self, target: str) -> int:
        """How many requests must pass unchanged before the removal at this target counts as proven."""
        return REMOVAL_PROOF_WHOLE if target in self.whole_targets() else REMOVAL_PROOF

    def steady(self) -> tuple[PlannedProbe, ...]:
        """The steady-state probes."""
        return tuple(probe for probe in self.probes if probe.steady)

    def to_json(self) -> str:
        """One line of JSON that `from_json` reads back to an equal plan."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Plan:
        """The plan of `to_json`."""
        return _ADAPTER.validate_json(text)


_ADAPTER: TypeAdapter[Plan] = TypeAdapter(Plan)
