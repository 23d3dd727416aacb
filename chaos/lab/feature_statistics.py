"""What a replica says about the features that it was really asked with, beside what its model was trained on.

training half ─▶ reference() ─▶ in the model's file ─▶ FeatureStatistics.count(rows) ─▶ model_feature_… at /metrics

Every value falls into a bin of its feature: its category where the training half has few different values, else one of the
quarters that the training half had. Counts per bin beside the expected shares are what drift is judged by.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

CATEGORIES = 10
"""A feature with no more different values than this is taken for a category."""
Matrix = np.ndarray[Any, np.dtype[np.float64]]


def reference(features: Matrix) -> list[dict[str, Any]]:
    """What each column of a training half looks like, as plain values: its bins with their shares, what it may be, what it lacks.

    `edges` are the upper ends of all bins but the last; `known` the categories, or None; `low` and `high` the range that a number
    may be in, three times as wide as the one that was seen; `shares` and `missing` are in [0, 1].
    """
    return [_of(features[:, place]) for place in range(features.shape[1])]


def _of(column: Matrix) -> dict[str, Any]:
    values = column[~np.isnan(column)]
    found = np.unique(values)
    category = len(found) <= CATEGORIES
    edges = found[:-1] if category else np.unique(np.quantile(values, (0.25, 0.5, 0.75)))
    width = float(found[-1] - found[0])
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return {
        "edges": edges.tolist(),
        "known": found.tolist() if category else None,
        "low": float(found[0]) - width,
        "high": float(found[-1]) + width,
        "shares": (counts / len(values)).tolist(),
        "missing": 1 - len(values) / len(column),
    }


class FeatureStatistics(Collector):
    """Counts of what rows held, per feature. A collector: nothing is made into metrics before somebody asks for them."""

    def __init__(self, names: tuple[str, ...], expected: list[dict[str, Any]]) -> None:
        self.names = names
        self._expected = expected
        self._edges = _padded([one["edges"] for one in expected], np.inf)
        self._categories = _padded([one["known"] or [] for one in expected], np.nan)
        self._category = np.array([one["known"] is not None for one in expected])
        self._low = np.array([one["low"] for one in expected])
        self._high = np.array([one["high"] for one in expected])
        self._places = np.arange(len(names))
        self._missing = np.zeros(len(names))
        self._unseen = np.zeros(len(names))
        self._bins = np.zeros((len(names), self._edges.shape[1] + 1))

    def count(self, rows: Matrix) -> None:
        """These rows are counted; shape [n, features], NaN where a field is empty."""
        for row in rows:
            missing = np.isnan(row)
            outside = (row < self._low) | (row > self._high)
            unknown = ~(self._categories == row[:, None]).any(axis=1)
            self._missing += missing
            self._unseen += ~missing & np.where(self._category, unknown, outside)
            found = (self._edges < row[:, None]).sum(axis=1)
            self._bins[self._places[~missing], found[~missing]] += 1

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Counters of what came, gauges of what was expected."""
        missing = CounterMetricFamily("model_feature_missing", "Rows without this feature.", labels=["feature"])
        unseen = CounterMetricFamily(
            "model_feature_unseen", "Values that the training data make impossible.", labels=["feature"]
        )
        values = CounterMetricFamily(
            "model_feature_values", "Values by the bin that they fall into.", labels=["feature", "bin"]
        )
        usually_missing = GaugeMetricFamily(
            "model_feature_missing_expected", "Share of rows without this feature in training.", labels=["feature"]
        )
        usual = GaugeMetricFamily(
            "model_feature_values_expected", "Share of values in this bin in training.", labels=["feature", "bin"]
        )
        for place, (name, expected) in enumerate(zip(self.names, self._expected, strict=True)):
            missing.add_metric([name], float(self._missing[place]))
            unseen.add_metric([name], float(self._unseen[place]))
            usually_missing.add_metric([name], expected["missing"])
            for number, share in enumerate(expected["shares"]):
                values.add_metric([name, str(number)], float(self._bins[place, number]))
                usual.add_metric([name, str(number)], share)
        yield from (missing, unseen, values, usually_missing, usual)


def _padded(rows: list[list[float]], filling: float) -> Matrix:
    made = np.full((len(rows), max((len(row) for row in rows), default=0)), filling)
    for place, row in enumerate(rows):
        made[place, : len(row)] = row
    return made
