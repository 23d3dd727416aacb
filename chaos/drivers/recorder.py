"""Records what alerting rules read: every sample of every series that their selectors match. Only asks."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from chaos.drivers.http import without_secrets
from chaos.drivers.prometheus import PrometheusDriver
from chaos.errors import Unreachable
from chaos.promql import looks_back_s, selectors
from chaos.rehearsal.recording import RecordedSeries, Recording, kind_of
from chaos.telemetry import RecordingRule, RuleInfo, Series

MOST_SAMPLES = 20_000_000
"""Of one recording: some hundred megabytes of memory."""
AT_ONCE = 4
"""Questions to the server at the same time: it has other things to do."""
OURS = ("ALERTS", "ALERTS_FOR_STATE")
"""What the server makes of its own rules: a rehearsal makes it anew."""


def record(
    prometheus: PrometheusDriver,
    rules: Sequence[RuleInfo],
    start_wall_s: float,
    end_wall_s: float,
    *,
    about: str | None = None,
    recording_rules: Sequence[RecordingRule] = (),
    queries: Sequence[str] = (),
    most: int = MOST_SAMPLES,
    within_s: float = math.inf,
) -> Recording:
    """Everything between the two moments that these rules and queries read, and as much before as they look back over.

    It is cut, and says so, at `most` samples and after `within_s` seconds. Where a rule reads what a recording rule made, what that one
    reads is recorded instead. Raises Unreachable.
    """
    scrape_s, evaluation_s = prometheus.config()
    types = prometheus.metric_types()
    asked = [*(rule.expr for rule in rules), *queries]
    needed = needed_rules(asked, recording_rules)
    asked += [rule.expr for rule in needed]
    wanted = wanted_selectors(asked, needed)
    reach_s = max((looks_back_s(expr) for expr in asked), default=0.0)
    reach_s += sum(looks_back_s(one.expr) for one in needed)
    begin = start_wall_s - reach_s - scrape_s
    found, whole = _asked(prometheus, wanted, types, (begin, end_wall_s), most, time.monotonic() + within_s)
    if not found:
        raise Unreachable(
            f"Prometheus at {without_secrets(prometheus.url)} has no samples of what the rules read in that time; is its retention shorter?"
        )
    return Recording(
        about=about or f"{round(end_wall_s - start_wall_s)} s of {without_secrets(prometheus.url)}",
        start_wall_s=begin,
        end_wall_s=end_wall_s,
        scrape_s=scrape_s,
        evaluation_s=evaluation_s,
        series=tuple(found),
        rules=tuple(rules),
        recording_rules=tuple(needed),
        baseline_wall_s=start_wall_s,
        whole=whole,
    )


def _asked(
    prometheus: PrometheusDriver,
    wanted: Sequence[str],
    types: Mapping[str, str],
    between_wall_s: tuple[float, float],
    most: int,
    until_s: float,
) -> tuple[list[RecordedSeries], bool]:
    """Every series of these selectors, once, and whether it is all of them: asking ends at `most` samples, and at `until_s` of the
    monotonic clock.
    """
    begin, end = between_wall_s
    found: dict[tuple[tuple[str, str], ...], RecordedSeries] = {}
    count = 0

    def ask(selector: str) -> list[Series]:
        return prometheus.raw(selector, end - begin, end)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for place in range(0, len(wanted), AT_ONCE):
            if time.monotonic() > until_s:
                return list(found.values()), False
            for one in itertools.chain.from_iterable(pool.map(ask, wanted[place : place + AT_ONCE])):
                key = tuple(sorted(one.labels.items()))
                if key in found or one.labels.get("__name__") in OURS:
                    continue
                count += len(one.samples)
                if count > most:
                    return list(found.values()), False
                labels = dict(one.labels)
                found[key] = RecordedSeries(labels, kind_of(labels.get("__name__", ""), types), one.samples)
    return list(found.values()), True


def needed_rules(exprs: Sequence[str], known: Sequence[RecordingRule]) -> list[RecordingRule]:
    """The recording rules that these expressions read, themselves or through others; those that are read come first."""
    by_name: dict[str, list[RecordingRule]] = {}
    for rule in known:
        by_name.setdefault(rule.record, []).append(rule)
    ordered: list[RecordingRule] = []
    on_the_way: set[str] = set()

    def visit(expr: str) -> None:
        for name in dict.fromkeys(selector.partition("{")[0] for selector in selectors(expr)):
            if name not in by_name or name in on_the_way:
                continue
            on_the_way.add(name)
            for rule in by_name[name]:
                visit(rule.expr)
                ordered.append(rule)

    for expr in exprs:
        visit(expr)
    return ordered


def wanted_selectors(exprs: Sequence[str], made: Sequence[RecordingRule]) -> list[str]:
    """The selectors of all these expressions, without those of series that a recording rule makes."""
    recorded = {rule.record for rule in made}
    found = dict.fromkeys(selector for expr in exprs for selector in selectors(expr))
    return [selector for selector in found if selector.partition("{")[0] not in recorded]
