"""What hurts monitoring itself is caught by what watches the watchers (metrics that vanish: test_pytest_plugin)."""

from __future__ import annotations

import pytest

from tests.system.checks import nothing_left, outcome
from tests.system.labs import EXPERIMENTS, Work, run

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]


def test_notifications_that_are_lost_are_told_by_alertmanagers_own_count(process_lab: Work) -> None:
    ran = run(process_lab, str(EXPERIMENTS / "catalogue" / "alert_delivery_loss.yaml"))
    assert outcome(ran)[:2] == (0, "confirmed"), outcome(ran)
    assert ran.stages("NotificationsFailing")["firing"] is not None
    assert ran.finding("Did alert_delivery_loss happen")["evidence"]["answers replaced or cut"] > 0
    nothing_left(process_lab)
