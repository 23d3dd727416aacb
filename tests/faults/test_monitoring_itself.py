"""Faults of monitoring itself: whoever asks is told nothing, the same as before, or an error."""

from __future__ import annotations

import pytest

from chaos.faults.alert_delivery_loss import AlertDeliveryLoss
from chaos.faults.base import REMEMBERED_BYTES, Answer, Call, Memory, Wait
from chaos.faults.frozen_metrics import FrozenMetrics
from chaos.faults.scrape_loss import LONGEST_S, ScrapeLoss


def call(memory: Memory | None = None) -> Call:
    return Call("seed", 0, "127.0.0.1:9000", 1.0, {}, memory=memory or Memory())


def test_lost_metrics_are_an_error_or_a_wait_without_end() -> None:
    assert list(ScrapeLoss(target="gateway-metrics").act(call())) == [Answer(503, {}, b"")]
    assert list(ScrapeLoss(target="gateway-metrics", how="hang").act(call())) == [Wait(LONGEST_S)]


@pytest.mark.parametrize("status", [400, 500, 599])
def test_a_notification_is_refused_with_the_status_that_was_asked_for(status: int) -> None:
    fault = AlertDeliveryLoss(target="oncall-webhook", status=status)
    assert list(fault.act(call())) == [Answer(status, {}, b"")]


def test_the_first_page_is_told_again_and_again() -> None:
    fault, memory = FrozenMetrics(target="gateway-metrics"), Memory()
    pages = [b"up 1\n", b"up 2\n", b"", b"up 4\n"]
    assert [fault.edit_body(page, call(memory)) for page in pages] == [b"up 1\n"] * 4
    assert fault.edit_body(b"up 5\n", call()) == b"up 5\n", "another process has seen nothing yet"


def test_a_page_too_large_to_remember_passes_as_it_is() -> None:
    fault, memory = FrozenMetrics(target="gateway-metrics"), Memory()
    large = bytes(REMEMBERED_BYTES + 1)
    assert fault.edit_body(large, call(memory)) is large
    assert fault.edit_body(b"up 1\n", call(memory)) == b"up 1\n"
