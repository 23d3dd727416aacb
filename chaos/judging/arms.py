"""Treatment against control, by the load's own counts, or the proxies' where there is no load."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.comparisons import COUNTED
from chaos.comparisons import counts as counts_of
from chaos.judging import compared, compared_at_proxies
from chaos.judging.steady import bound_text, unresolved, worst_value
from chaos.judging.trace import Trace
from chaos.plans import PlannedProbe
from chaos.readings import broken_bound
from chaos.statistics import clopper_pearson
from chaos.units import format_share
from chaos.verdict import ArmRow, Finding, VerdictName


def findings(trace: Trace) -> Iterator[Finding]:
    """What was delivered where an outcome was asked for, whether the control arm was unharmed, and how the arms compare."""
    yield from _delivered(trace)
    yield from _control(trace)
    yield from (compared_at_proxies if trace.plan.compared_at() else compared).findings(trace)


def _delivered(trace: Trace) -> Iterator[Finding]:
    """What became of outcomes that were asked for, by the load's own counts of the treatment arm. Judges nothing."""
    for effect in trace.plan.faults():
        if effect.aim is None or trace.plan.shadows():
            continue
        outcome, asked = effect.aim.outcome, format_share(effect.aim.to)
        question = f"What was {outcome} in the treatment arm, where {asked} was asked for?"
        row = next((row for row in arm_rows(trace) if row.arm == "treatment"), None)
        if outcome != "accuracy":
            yield Finding("resilience", question, "confirmed", f"not known: the load does not count {outcome} by arm")
        elif row is None or row.wrong_share is None or row.wrong_interval is None:
            yield Finding(
                "resilience", question, "confirmed", "not known: no outcome of the treatment arm has come back"
            )
        else:
            low, high = 1 - row.wrong_interval[1], 1 - row.wrong_interval[0]
            value = 1 - row.wrong_share
            answer = f"{value:.3f} ± {(high - low) / 2:.2f} of {row.labelled}"
            if not low <= effect.aim.to <= high:
                answer += f"; {asked} lies outside of [{low:.1%}, {high:.1%}]"
            evidence = {"asked": effect.aim.to, "delivered": value, "low": low, "high": high}
            yield Finding("resilience", question, "confirmed", answer, evidence)


def _control(trace: Trace) -> Iterator[Finding]:
    """The control arm, by the load's own counts, against the bounds of the probes that are made of the same counts."""
    first, removal = trace.first_effect(), trace.removal()
    if not trace.plan.control or first is None or not trace.samples:
        return
    during = trace.samples_between(first, removal or trace.last_wall_s)
    worst: VerdictName = "confirmed"
    told: list[str] = []
    for probe in trace.plan.steady():
        what = COUNTED.get(probe.signal or "")
        if what is None or what == "slow":  # a bound on a quantile is none on the share of slow requests
            continue
        counts = [counts_of(sample, what)[1] for sample in during]
        exposed, bad = sum(one.exposed for one in counts), sum(one.bad for one in counts)
        judged, text = _control_probe(trace, probe, exposed, bad)
        told.append(text)
        if judged == "deviated" or worst == "confirmed":
            worst = judged
    if told:
        yield Finding("resilience", "Was the control arm unharmed?", worst, "; ".join(told))
    else:
        why = "no steady-state probe is made of counts whose arm the load knows (accuracy, availability, error_ratio)"
        yield Finding("resilience", "Was the control arm unharmed?", "inconclusive", why)


def _control_probe(trace: Trace, probe: PlannedProbe, exposed: int, bad: int) -> tuple[VerdictName, str]:
    if exposed == 0:
        return "inconclusive", f"{probe.title}: nothing was counted"
    low, high = clopper_pearson(bad, exposed)
    good_is_high = probe.signal in ("accuracy", "availability")
    share = bad / exposed
    value = 1 - share if good_is_high else share
    interval = (1 - high, 1 - low) if good_is_high else (low, high)
    baseline = worst_value(probe, trace.window("baseline", probe.title))
    text = f"{probe.title} {value:.1%} [{interval[0]:.1%}, {interval[1]:.1%}] of {exposed}"
    if unresolved(probe, baseline):
        return "inconclusive", f"{text}, and its baseline is not known"
    if not broken_bound(probe, value, baseline):
        return "confirmed", text
    if broken_bound(probe, interval[0], baseline) and broken_bound(probe, interval[1], baseline):
        return "deviated", f"{text}, out of {bound_text(probe)}"
    return "inconclusive", f"{text}, too few to tell"


def arm_rows(trace: Trace) -> list[ArmRow]:
    """What the load saw of each arm while the fault was on; where there is none, what the proxies saw."""
    if trace.plan.compared_at():
        return compared_at_proxies.arm_rows(trace)
    first, removal = trace.first_effect(), trace.removal()
    if first is None or not trace.plan.divides():
        return []
    rows: list[ArmRow] = []
    during = trace.samples_between(first, removal or trace.last_wall_s)
    for arm in ("treatment", "control"):
        seen = [sample.arms[arm] for sample in during if arm in sample.arms]
        requests, errors = sum(one.answered for one in seen), sum(one.errors for one in seen)
        labelled, wrong = sum(one.labelled for one in seen), sum(one.wrong for one in seen)
        buckets: dict[float, int] = {}
        for one in seen:
            for bound, count in one.latency_le.items():
                buckets[float(bound)] = buckets.get(float(bound), 0) + count
        rows.append(
            ArmRow(
                arm=arm,
                requests=requests,
                errors=errors,
                labelled=labelled,
                wrong=wrong,
                error_share=errors / requests if requests else None,
                wrong_share=wrong / labelled if labelled else None,
                wrong_interval=clopper_pearson(wrong, labelled) if labelled else None,
                p99_s=_quantile(buckets, 0.99),
            )
        )
    return rows


def _quantile(buckets: dict[float, int], share: float) -> float | None:
    """The upper bound of the bucket in which this quantile lies."""
    total = max(buckets.values(), default=0)
    if total == 0:
        return None
    return next((bound for bound in sorted(buckets) if buckets[bound] >= share * total), None)
