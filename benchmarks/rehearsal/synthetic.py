"""Telemetry for measurements: a day of fifty counters and gauges in which ten minutes are bad, and rules that read them. Pure."""

from __future__ import annotations

import numpy as np

from chaos.rehearsal.alteration import Alteration
from chaos.rehearsal.of_runs import measured
from chaos.rehearsal.recording import RecordedSeries, Recording
from chaos.telemetry import RuleInfo

START_S = 1_700_000_000.0
PAIRS = 25
"""Of services, each with a counter of answers and one of errors: fifty series."""


def day(scrape_s: float, slots: int, hurt: int) -> Alteration:
    """So many scrapes of 25 services. `hurt` of them, before the last ten, are bad: one answer in ten is an error then, else 1 %."""
    chance = np.random.default_rng(0)
    bad = np.zeros(slots, dtype=bool)
    bad[-hurt - 10 : -10] = True
    found: list[RecordedSeries] = []
    for service in range(PAIRS):
        total = chance.poisson(20 * scrape_s, slots)
        errors = chance.binomial(total, np.where(bad, 0.1, 0.01))
        for code, gains in (("200", total - errors), ("500", errors)):
            values = np.cumsum(gains)
            samples = tuple((START_S + place * scrape_s, float(value)) for place, value in enumerate(values))
            labels = {"__name__": "http_requests_total", "job": f"service-{service}", "code": code}
            found.append(RecordedSeries(labels, "counter", samples))
    effect_s = START_S + (slots - hurt - 10) * scrape_s
    return measured(
        Recording(
            "a synthetic day", START_S, START_S + slots * scrape_s, scrape_s, scrape_s, tuple(found),
            baseline_wall_s=START_S, effect_wall_s=effect_s, removal_wall_s=effect_s + hurt * scrape_s,
        )
    )  # fmt: skip


def rules(count: int, window: str, for_s: float, interval_s: float) -> list[RuleInfo]:
    """So many rules on the share of errors of one service each, with thresholds from one to twenty in a hundred."""
    return [
        RuleInfo(
            f"Errors{number}",
            f'sum(rate(http_requests_total{{job="service-{number % PAIRS}",code="500"}}[{window}]))'
            f' / sum(rate(http_requests_total{{job="service-{number % PAIRS}"}}[{window}])) > {0.02 + 0.002 * number:.3f}',
            for_s,
            {"severity": "page"},
            interval_s=interval_s,
        )
        for number in range(count)
    ]
