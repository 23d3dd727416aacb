"""Labels of alerts and series."""

from __future__ import annotations

from chaos.telemetry import carries

LABELS = {"alertname": "ModelAccuracyLow", "severity": "page", "service": "loan"}


def test_labels_carry_all_of_the_wanted_ones() -> None:
    assert carries(LABELS, {})
    assert carries(LABELS, {"severity": "page"})
    assert not carries(LABELS, {"severity": "ticket"})
    assert not carries(LABELS, {"team": "page"})
