"""The shipped experiments that make predictions worse, run for real, each with the verdict it must have."""

from __future__ import annotations

import pytest
import yaml

from tests.system.checks import arms_agree, detected, nothing_left, outcome, sound
from tests.system.labs import Work, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(330)]


def test_wrong_predictions_are_caught_by_the_accuracy_alert(process_lab: Work) -> None:
    ran = run(process_lab, "quickstart")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "ModelAccuracyLow", 60)
    sound(ran)
    arms_agree(ran)
    nothing_left(process_lab)
    again = process_lab.chaos("judge", str(ran.folder), "--json")
    assert again.code == 0
    assert yaml.safe_load(again.out) == ran.verdict


def test_concept_drift_is_caught_by_the_accuracy_alert_while_everything_without_labels_stays_quiet(
    process_lab: Work,
) -> None:
    ran = run(process_lab, "concept-drift")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "ModelAccuracyLow", 90)
    assert ran.finding("Did concept_drift happen")["evidence"]["outside the treatment arm"] == 0
    assert ran.finding("removal from the load")["verdict"] == "confirmed"
    sound(ran)
    arms_agree(ran)
    nothing_left(process_lab)


def test_bias_is_caught_by_the_fairness_alert_while_accuracy_and_drift_stay_quiet(process_lab: Work) -> None:
    ran = run(process_lab, "bias")
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    detected(ran, "FairnessGapHigh", 100)
    assert ran.finding("stay quiet")["verdict"] == "confirmed"
    sound(ran)
    arms_agree(ran)
    nothing_left(process_lab)
