"""The loan applications: real, whole, cut in two, and without what would give the decision away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from chaos.lab.dataset import LEAKING, PROTECTED, Applications, load, split, write_traffic
from chaos.lab.gateway_metrics import GROUPS
from chaos.lab.model import ready, train

Halves = tuple[Applications, Applications]


def test_there_are_1989_applications_and_each_has_truth_and_group() -> None:
    everything = load()
    assert everything.features.shape == (1989, len(everything.names))
    assert len(everything.approved) == len(everything.groups) == 1989
    assert set(everything.approved.tolist()) == {0, 1}
    assert set(everything.groups) == {"white", "black", "hispanic"}
    assert set(everything.groups) <= set(GROUPS)


def test_neither_the_decision_nor_the_group_is_a_feature() -> None:
    everything = load()
    assert not set(everything.names) & {*LEAKING, *PROTECTED}
    for place, name in enumerate(everything.names):
        column = everything.features[:, place]
        known = ~np.isnan(column)
        for outcome in (everything.approved, 1 - everything.approved):
            agreeing = float((column[known] == outcome[known]).mean())
            assert agreeing < 0.95, f"{name} says {agreeing:.1%} of the decisions by itself"


def test_training_and_traffic_are_disjoint_together_everything_and_the_same_at_every_call(halves: Halves) -> None:
    training, traffic = halves
    assert len(training.approved) + len(traffic.approved) == 1989
    assert abs(len(training.approved) - len(traffic.approved)) <= 1
    everything = load()

    def rows(some: Applications) -> list[bytes]:
        whole = zip(np.nan_to_num(some.features, nan=-1e9), some.approved, some.groups, strict=True)
        return [features.tobytes() + bytes([approved]) + group.encode() for features, approved, group in whole]

    assert sorted(rows(training) + rows(traffic)) == sorted(rows(everything))
    again = split()
    assert rows(again[0]) == rows(training)
    assert rows(again[1]) == rows(traffic)


def test_both_halves_look_alike(halves: Halves) -> None:
    shares = [float(half.approved.mean()) for half in halves]
    spread = (shares[0] * (1 - shares[0]) / 995 * 2) ** 0.5
    assert abs(shares[0] - shares[1]) < 4 * spread


def test_the_traffic_file_is_what_the_load_reads_and_has_no_number_that_json_lacks(
    halves: Halves, tmp_path: Path
) -> None:
    path = tmp_path / "traffic.jsonl"
    count = write_traffic(path)
    lines = path.read_text().splitlines()
    assert count == len(lines) == len(halves[1].approved)
    for line, approved, group in zip(lines, halves[1].approved, halves[1].groups, strict=True):
        row = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert row["label"] == ("approve" if approved else "deny")
        assert row["group"] == group
        assert tuple(row["application"]) == halves[1].names
    assert any(value is None for line in lines for value in json.loads(line)["application"].values())


def test_the_model_is_worth_having_and_as_good_as_its_documentation_says(measured: Mapping[str, float]) -> None:
    assert measured["accuracy"] == pytest.approx(0.936, abs=0.01)
    assert measured["always_approve"] == pytest.approx(0.871, abs=0.001)
    assert measured["accuracy"] > measured["always_approve"] + 0.04
    assert measured["always_approve"] < measured["fallback_accuracy"] < measured["accuracy"]
    assert measured["fallback_accuracy"] == pytest.approx(0.927, abs=0.001)


def test_training_twice_gives_the_same_model(halves: Halves) -> None:
    first, second = (train(halves[0]).predict_proba(halves[1].features) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_trained_model_is_kept_and_not_trained_again(tmp_path: Path) -> None:
    path = ready(tmp_path / "deep" / "model.pickle")
    written = path.stat().st_mtime_ns
    assert ready(path).stat().st_mtime_ns == written
    assert list(path.parent.iterdir()) == [path]
