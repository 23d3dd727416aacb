"""Several comparisons at once: the family-wise error of the few, the false discovery rate of the many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics.many import ManyRuns
from chaos.statistics import bonferroni, e_benjamini_hochberg

RUNS, SEGMENTS, ALPHA = 1_000, 20, 0.1
E_VALUES = st.lists(st.floats(0, 1e6), max_size=30)


def played(hurt: int, seconds: int, ratio: float = 4.0) -> np.ndarray:
    """The e-values at the end of RUNS runs of SEGMENTS segments each, of which the first `hurt` are hurt."""
    chance = np.random.default_rng(3)
    found = []
    for segment in range(SEGMENTS):
        many = ManyRuns(RUNS, alpha=1e-300)  # never decided: the evidence goes on
        risk = 0.1 * (ratio if segment < hurt else 1.0)
        for _ in range(seconds):
            arms = np.full(RUNS, 4), np.full(RUNS, 4)
            many.look(*arms, chance.binomial(arms[0], risk), chance.binomial(arms[1], 0.1))
        found.append(np.exp(np.minimum(many.evidence(), 700.0)))
    return np.array(found).T


@pytest.fixture(scope="module")
def e_values() -> np.ndarray:
    return played(hurt=4, seconds=40)


def discovered(e_values: np.ndarray, alpha: float = ALPHA) -> list[set[int]]:
    return [set(e_benjamini_hochberg(row.tolist(), alpha)) for row in e_values]


def test_of_what_is_discovered_no_larger_share_is_false_than_asked(e_values: np.ndarray) -> None:
    found = discovered(e_values)
    false = [len(one - {0, 1, 2, 3}) / max(1, len(one)) for one in found]
    assert float(np.mean(false)) <= ALPHA


def test_what_is_hurt_is_discovered(e_values: np.ndarray) -> None:
    assert float(np.mean([len(one & {0, 1, 2, 3}) / 4 for one in discovered(e_values)])) >= 0.8


def test_a_table_without_correction_is_full_of_false_discoveries(e_values: np.ndarray) -> None:
    """The correction has something to do: the same e-values, each as if it were the only one and without 1/alpha."""
    false = [(row > 1.0)[4:].sum() / max(1, (row > 1.0).sum()) for row in e_values]
    assert float(np.mean(false)) > 2 * ALPHA


def test_where_nothing_is_hurt_any_discovery_is_as_rare_as_alpha() -> None:
    assert float(np.mean([bool(one) for one in discovered(played(hurt=0, seconds=20))])) <= ALPHA


@given(E_VALUES, st.floats(0.001, 0.5))
def test_a_discovery_is_never_less_than_what_bonferroni_finds_nor_more_than_what_stands_alone(values: list[float], alpha: float) -> None:  # fmt: skip
    found = set(e_benjamini_hochberg(values, alpha))
    assert {place for place, value in enumerate(values) if value >= len(values) / alpha} <= found
    assert found <= {place for place, value in enumerate(values) if value >= 1 / alpha}


@given(E_VALUES, st.floats(0.001, 0.5))
def test_whatever_is_as_strong_as_a_discovery_is_one(values: list[float], alpha: float) -> None:
    found = set(e_benjamini_hochberg(values, alpha))
    if found:
        weakest = min(values[place] for place in found)
        assert found == {place for place, value in enumerate(values) if value >= weakest}


def test_the_rule_is_the_published_one() -> None:
    """The limits are n / (k alpha) for k = 1, 2, 3, 4 at 0.05: 80, 40, 26.7, 20."""
    assert e_benjamini_hochberg([50.0, 45.0, 1.0, 0.0], 0.05) == (0, 1)
    assert e_benjamini_hochberg([79.0, 39.0, 1.0, 0.0], 0.05) == ()
    assert e_benjamini_hochberg([1.0, 27.0, 27.0, 27.0], 0.05) == (1, 2, 3)
    assert e_benjamini_hochberg([], 0.05) == ()


def test_alpha_is_shared_evenly_and_never_among_nobody() -> None:
    assert bonferroni(0.05, 4) == 0.0125
    with pytest.raises(ValueError, match="nothing to share"):
        bonferroni(0.05, 0)
