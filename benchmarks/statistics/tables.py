"""The tables of docs/detection.md: what comparisons of the arms do over thousands of simulated runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from benchmarks.statistics.judges import ALPHA, before_and_during, decided, z_test
from benchmarks.statistics.many import ManyRuns
from benchmarks.statistics.scenarios import ALIKE, AT_THE_MARGIN, Look, Scenario, flat, guarded
from benchmarks.statistics.users import Users
from chaos.comparisons import EACH
from chaos.proxy_counts import each_at_proxies
from chaos.statistics import (
    ArmValues,
    MeanDifference,
    Traffic,
    bonferroni,
    chance_to_tell,
    e_benjamini_hochberg,
    seconds_to_tell,
    smallest_ratio,
)

SEED = 20_261
POWER = (
    (100, 0.5, 0.05, 2.0, 300), (100, 0.5, 0.05, 1.4, 300), (100, 0.5, 0.05, 1.2, 300), (40, 0.5, 0.05, 2.0, 300),
    (40, 0.1, 0.05, 2.0, 300), (40, 0.1, 0.05, 3.0, 300), (40, 0.1, 0.001, 10.0, 300),
)  # fmt: skip
"""Subjects a second, treatment's share, base rate, ratio, seconds."""
HELD = ((100, 0.5, 0.05, 300), (40, 0.5, 0.05, 300), (40, 0.1, 0.05, 300), (40, 0.1, 0.001, 300))
SMALLEST = ((40, 0.5, 0.05, 60), (40, 0.1, 0.05, 60), (100, 0.5, 0.05, 60), (40, 0.1, 0.05, 300))
SPREADS = ((0.5, "light (log-normal, 0.5)"), (1.0, "heavy (log-normal, 1)"), (1.5, "very heavy (log-normal, 1.5)"))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _found(when: np.ndarray) -> str:
    return _percent(float(np.isfinite(when).mean()))


def _seconds(value: float | None) -> str:
    return "–" if value is None or not np.isfinite(value) else f"{value:.0f} s"


def _median(when: np.ndarray, quantile: float = 0.5) -> str:
    return _seconds(float(np.quantile(when, quantile, method="lower")))


def _arms(rate: float, share: float, base: float) -> str:
    return f"{rate:g}/s, {share:.0%} treated, {base * 100:g} % usual"


def _scenario(rate: float, share: float, base: float, ratio: float, seconds: int) -> Scenario:
    return Scenario("", seconds, flat(round(rate * share)), flat(round(rate * (1 - share))), flat(base), ratio)


def false_positives(runs: int) -> str:
    """Arms that are alike: how often each judge says that treatment is worse (or differs)."""
    once = partial(z_test, peeking=False)
    rows = [
        (
            one.title,
            f"{one.seconds} s",
            _found(decided(one, runs, SEED)),
            _found(decided(one, runs, SEED, alpha=EACH)),
            *(_found(judge(one, runs, SEED)) for judge in (z_test, once, before_and_during)),
        )
        for one in ALIKE
    ]
    ours = ("broken, alpha 5 %", f"alpha {EACH * 100:.1f} %")
    head = (
        "arms that are alike",
        "looked at for",
        *ours,
        "z-test, each second",
        "z-test, once",
        "before against during",
    )
    held = decided(AT_THE_MARGIN, runs, SEED, margin=1.5, side=-1)
    return (
        _table(head, rows)
        + f"\n\nTreatment exactly 1.5 times as bad, and said to have held (allowed: 5 %): {_found(held)}."
    )


def power(runs: int) -> str:
    """Treatment that is worse: how many runs find it, when, and what the plan foretells."""
    rows = []
    for rate, share, base, ratio, seconds in POWER:
        when = decided(_scenario(rate, share, base, ratio, seconds), runs, SEED, alpha=EACH)
        traffic = Traffic(rate, share, base)
        chance, median = chance_to_tell(traffic, ratio, seconds, EACH), seconds_to_tell(traffic, ratio, alpha=EACH)
        told = (_found(when), _percent(chance), _median(when), _seconds(median), _median(when, 0.9))
        rows.append((_arms(rate, share, base), f"x{ratio:g}", *told))
    head = ("arms", "treatment is", "found in 300 s", "foretold", "half of them after", "foretold", "nine of ten after")
    return _table(head, rows)


def held(runs: int) -> str:
    """Arms that are alike: how many runs say so, and when."""
    rows = []
    for rate, share, base, seconds in HELD:
        when = decided(_scenario(rate, share, base, 1.0, seconds), runs, SEED, margin=1.5, side=-1)
        traffic = Traffic(rate, share, base)
        chance = chance_to_tell(traffic, 1.0, seconds, margin=1.5, answer="held")
        median = seconds_to_tell(traffic, 1.0, margin=1.5, answer="held")
        rows.append((_arms(rate, share, base), _found(when), _percent(chance), _median(when), _seconds(median)))
    return _table(("arms that are alike", "held in 300 s", "foretold", "half of them after", "foretold"), rows)


def smallest(runs: int) -> str:
    """What the plan foretells as the smallest change that is found, played."""
    rows = []
    for rate, share, base, seconds in SMALLEST:
        cells = [_arms(rate, share, base), f"{seconds} s"]
        for asked in (0.8, 0.9):
            ratio = smallest_ratio(Traffic(rate, share, base), seconds, asked, EACH)
            if ratio is None:
                cells += ["–", "–"]
                continue
            when = decided(_scenario(rate, share, base, ratio, seconds), runs, SEED, alpha=EACH)
            cells += [f"x{ratio:.2f}", _found(when)]
        rows.append(cells)
    return _table(("arms", "in", "smallest, 80 %", "found", "smallest, 90 %", "found"), rows)


def means(runs: int) -> str:
    """The asymptotic comparison of means: how often the interval ever missed, and when ten milliseconds more were seen."""
    rows = []
    for spread, title in SPREADS:
        for treated, spared in ((20, 20), (4, 36)):
            missed, _ = _means(runs, spread, treated, spared, 0.0)
            _, when = _means(runs, spread, treated, spared, 0.01)
            told = (_percent(missed), _found(when), _median(when))
            rows.append((f"{title}, {treated} and {spared} a second", *told))
    head = ("latencies, median 50 ms", "ever missed the truth in 120 s", "10 ms more: found", "half of them after")
    return _table(head, rows)


def _means(runs: int, spread: float, treated: int, spared: int, more: float) -> tuple[float, np.ndarray]:
    chance = np.random.default_rng(SEED)
    missed, when = np.zeros(runs, dtype=bool), np.full(runs, np.inf)
    for run in range(runs):
        running = MeanDifference()
        for second in range(1, 121):
            arms = (chance.lognormal(0, spread, treated) * 0.05 + more, chance.lognormal(0, spread, spared) * 0.05)
            running = running.update(*(ArmValues(len(a), float(a.sum()), float((a * a).sum())) for a in arms))
            low, high = running.interval
            missed[run] |= not low <= more <= high
            if (low > 0 or high < 0) and np.isinf(when[run]):
                when[run] = second
    return float(missed.mean()), when


def groups(runs: int) -> str:
    """Tables of twenty groups, corrected by e-BH at 5 %, and uncorrected."""
    rows = []
    for hurt in (0, 2, 10):
        e_values = _groups(runs, hurt)
        corrected = [set(e_benjamini_hochberg(row.tolist(), ALPHA)) for row in e_values]
        alone = [set(np.flatnonzero(row >= 1 / ALPHA).tolist()) for row in e_values]
        cells = [f"{hurt} of 20 are hurt, x4"]
        for found in (corrected, alone):
            false = [len(one - set(range(hurt))) / max(1, len(one)) for one in found]
            true = [len(one & set(range(hurt))) / hurt for one in found] if hurt else []
            cells += [_percent(float(np.mean(false))), _percent(float(np.mean(true))) if true else "–"]
        rows.append(cells)
    arms = "groups, 40 s of 4 and 4 a second, 10 % usual"
    return _table((arms, "e-BH: false among the named", "hurt ones named", "each alone: false", "named"), rows)


def _groups(runs: int, hurt: int) -> np.ndarray:
    found = []
    for group in range(20):
        many = ManyRuns(runs, alpha=1e-300)  # never decided: the evidence goes on
        scenario = Scenario("", 40, flat(4), flat(4), flat(0.1), 4.0 if group < hurt else 1.0)
        for look in scenario.play(runs, SEED + group):
            many.look(*look)
        found.append(np.exp(np.minimum(many.evidence(), 700.0)))
    return np.array(found).T


def slow(runs: int) -> str:
    """Latency compared at the bound of control's p99."""
    chance = np.random.default_rng(SEED)
    rows = []
    for more in (0.0, 0.05, 0.15):
        risks = [float((chance.lognormal(-3.0, 0.5, 1_000_000) + extra > 0.25).mean()) for extra in (more, 0.0)]
        one = replace(_scenario(40, 0.5, risks[1], risks[0] / risks[1], 120))
        when = decided(one, runs, SEED, alpha=EACH)
        rows.append(
            (f"{more * 1000:.0f} ms more", *(f"{risk * 100:.2g} %" for risk in risks), _found(when), _median(when))
        )
    arms = "median 50 ms, p99 160 ms, slow from 250 ms"
    return _table((arms, "slow in treatment", "in control", "broken in 120 s", "half of them after"), rows)


def guards(runs: int) -> str:
    """Three guards on the arms of one run: how often any ends it while treatment is as bad as they allow, and when it is worse."""
    rows = []
    for margin, ratio in ((1.0, 1.0), (2.0, 2.0), (2.0, 4.0), (2.0, 6.0)):
        when = np.full(runs, np.inf)
        for seed, scenario in enumerate(guarded(ratio)):
            one = decided(scenario, runs, SEED + seed, margin=margin, alpha=bonferroni(ALPHA, 3))
            when = np.minimum(when, one)
        rows.append((f"worse_than: {margin:g}x", f"x{ratio:g}", _found(when), _median(when)))
    return _table(("three guards", "treatment is", "ended in 120 s", "half of them after"), rows)


def proxies(runs: int) -> str:
    """Real users, by what one proxy counts of them: alike, and worse; and what other ways of counting would have said."""
    each = each_at_proxies(1)
    rows = []
    for share, ratio in ((0.5, 1.0), (0.1, 1.0), (0.5, 1.5), (0.5, 2.0), (0.1, 2.0)):
        users = Users(share, ratio=ratio)
        when = [_when(one, runs, each) for one in (users.failures(runs, SEED), users.slow_answers(runs, SEED + 1))]
        chance = _percent(chance_to_tell(Traffic(40, share, 0.05), ratio, 120, each)) if ratio > 1 else "–"
        title = f"40 new users a second, {share:.0%} treated, 5 % usual"
        rows.append((title, f"x{ratio:g}", _found(when[0]), chance, _found(when[1]), _median(when[0])))
    head = (
        "real users",
        "treatment is",
        "told apart by errors in 120 s",
        "foretold",
        "by slow answers",
        "half of them after",
    )
    wrong: tuple[tuple[Literal["requests", "attempts", "twice"], str], ...] = (
        ("requests", "every request of a user"), ("attempts", "every attempt"), ("twice", "each user at two proxies"),
    )  # fmt: skip
    others = [(said, _found(_when(Users(counted=how).failures(runs, SEED), runs, ALPHA))) for how, said in wrong]
    return f"{_table(head, rows)}\n\n{_table(('users who fare alike, counted otherwise', 'told apart, alpha 5 %'), others)}"


def _when(looks: Iterable[Look], runs: int, alpha: float) -> np.ndarray:
    many = ManyRuns(runs, alpha=alpha)
    for look in looks:
        many.look(*look)
    return np.where(many.decided, many.when, np.inf)


SECTIONS = {
    "Arms that are alike": false_positives,
    "Treatment that is worse": power,
    "Guards on the arms": guards,
    "Real users at a proxy": proxies,
    "How soon arms are said to have held": held,
    "The smallest change that is found": smallest,
    "Slow requests": slow,
    "Means (asymptotic)": means,
    "Groups": groups,
}


def tables(runs: int) -> str:
    """All of them, each under its title."""
    return "\n\n".join(f"#### {title}\n\n{made(runs)}" for title, made in SECTIONS.items())


def with_tables(document: str, made: str, begin: str, end: str) -> str:
    """The document with what stands between these two lines replaced. Raises ValueError when it has no place for it."""
    before, found, rest = document.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"the document has no lines {begin} and {end}")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"
