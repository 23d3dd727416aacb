"""How hard and how long: the parameters with which a fault should cross the rule's threshold, and the times that a plan accepts. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chaos.first_steps.rule_reading import RuleReading
from chaos.telemetry import RuleInfo
from chaos.units import format_duration, format_share

SHARES = (0.1, 0.2, 0.3, 0.5, 0.8, 1.0)
"""Shares of traffic that are written, the smallest that is enough."""
MARGIN = 2.0
"""How much further than to the threshold the fault should take what the rule reads."""
PLAIN: dict[str, tuple[str, ...]] = {
    "delay": ("by: 500ms",),
    "slow_tail": ("scale: 1s",),
    "slow_first_token": ("by: 2s",),
    "slow_tokens": ("by: 250ms",),
    "stalled_stream": ("silence: 5s",),
    "http_error": ("status: 503",),
    "fail_first_n": ("first: 1", "of: request"),
    "covariate_shift": (
        "where: row.FEATURE > 0      # TODO: which rows of your data are unusual: a column and a value",
    ),
    "missing_feature": ("feature: FEATURE            # TODO: a feature that the model is asked with",),
    "unseen_category": ("feature: FEATURE            # TODO: a feature that the model is asked with",),
    "schema_change": ("change: extra", "name: channel", "value: 1"),
    "score_shift": ("by: 10%", "direction: down"),
    "miscalibrated": ("temperature: 0.4",),
    "class_collapse": ("to: 1                      # TODO: the class that everybody gets",),
    "label_shift": (
        "positive: 20%              # TODO: the share of positive rows that the load sends; usually it is another",
    ),
    "biased_outputs": (
        "by: header:x-group         # TODO: where a request says its group",
        "group: GROUP               # TODO: the group that is treated worse",
        "decision: 0                # TODO: what that group gets",
    ),
    "stale_model": ("to: http://127.0.0.1:8081  # TODO: where an older version of the model answers",),
    "label_delay": ("by: 10m",),
    "model_downgrade": ("model: MODEL               # TODO: what the weaker model calls itself",),
    "truncated_answer": ("characters: 40",),
    "wrong_usage": ("factor: 2",),
    "wrong_language": ("language: french",),
    "embedding_noise": ("noise: 0.5",),
    "cpu_limit": ("cpus: 0.1",),
    "cpu_stress": ("workers: 2",),
    "memory_stress": ("size: 256MB                # TODO: enough to come near the container's limit",),
    "disk_fill": ("path: /tmp", "size: 100MB                # TODO: nearly what is free"),
    "network_delay": ("by: 500ms",),
}
"""Fault → the lines that it needs; what only its owner knows is marked."""
NEEDS_ALL = frozenset(("scrape_loss", "frozen_metrics", "alert_delivery_loss"))
CONTAINERS = frozenset(("kill", "restart", "cpu_limit", "cpu_stress", "memory_stress", "disk_fill", "network_delay"))
SHARE_OF_DRIFT, SHARE_OF_LABELS, SHARE_OF_OTHERS = 0.8, 0.8, 0.3


@dataclass(frozen=True, slots=True)
class Severity:
    """`traffic` is None for what knows no arms; `why` is the sentence beside it."""

    traffic: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Times:
    """All in seconds: how soon the alert must tell, how long the fault may last, and how long everything is given to settle."""

    within: float
    duration: float
    most: float
    recovery: float


def severity(fault: str, reading: RuleReading, now: float | None) -> Severity:
    """The share of subjects with which the rule should see the fault, and why that much."""
    if fault in NEEDS_ALL or fault in CONTAINERS:
        return Severity(None, "")
    threshold = reading.compared.threshold if reading.compared is not None else None
    if reading.quantile is not None:
        needed = 1 - reading.quantile
        return _at_least(
            needed,
            f"the rule reads the quantile {reading.quantile:g}, which more than {format_share(needed)} must move",
        )
    if fault in ("covariate_shift", "score_shift"):
        return Severity(SHARE_OF_DRIFT, "a distribution is diluted by everybody who is as usual")
    if fault.startswith("label_"):
        return Severity(SHARE_OF_LABELS, "what the rule reads is diluted by everybody whose outcomes come as usual")
    if threshold is None or not 0 < threshold < 1:
        return Severity(SHARE_OF_OTHERS, "nothing in the rule says how much is enough")
    if reading.low_is_bad:
        usual = now if now is not None and threshold < now <= 1 else (1 + threshold) / 2
        needed = (
            (usual - threshold) / usual
            if fault != "wrong_predictions" or usual <= 0.5
            else (usual - threshold) / (2 * usual - 1)
        )
        said = "now" if now is not None else "perhaps"
        return _at_least(
            needed,
            f"the rule reads {usual:.3g} {said}, and below {threshold:g} once {format_share(_percent(needed))} are hurt",
        )
    return _at_least(threshold, f"the rule asks for more than {format_share(threshold)}")


def _percent(share: float) -> float:
    return math.ceil(max(0.0, min(1.0, share)) * 100) / 100


def _at_least(needed: float, why: str) -> Severity:
    return Severity(next((share for share in SHARES if share >= MARGIN * needed), 1.0), why)


def times(
    rule: RuleInfo, reading: RuleReading, scrape_s: float, evaluation_s: float, wait_s: float, group_s: float
) -> Times:
    """Times in which the alert can fire, whatever its window: the rule's own waiting, the window filled once, and some room."""
    lower = scrape_s + evaluation_s + rule.for_s + wait_s
    within = _round(1.25 * (lower + reading.window_s) + 10)
    duration = _round(within + max(10.0, 2 * evaluation_s))
    recovery = _round(reading.window_s + scrape_s + 2 * evaluation_s + group_s + max(30.0, rule.keep_firing_s))
    return Times(within, duration, _round(duration + max(30.0, 0.25 * duration)), recovery)


def _round(seconds: float) -> float:
    step = 5.0 if seconds <= 120 else 30.0 if seconds <= 1800 else 300.0
    return math.ceil(seconds / step) * step


def parameters(fault: str, reading: RuleReading) -> tuple[str, ...]:
    """The lines of the fault's own parameters, as they are written."""
    threshold = reading.compared.threshold if reading.compared is not None else None
    milliseconds = any(name.endswith(("_ms", "_milliseconds")) for name in reading.metrics)
    if fault in ("delay", "slow_first_token", "slow_tokens") and reading.quantile and threshold:
        by_s = MARGIN * threshold / (1000 if milliseconds else 1)
        if 0.001 <= by_s <= 60:
            return (f"by: {format_duration(float(f'{by_s:.2g}'))}",)
    return PLAIN.get(fault, ())
