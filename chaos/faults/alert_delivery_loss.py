"""alert_delivery_loss: alerts fire, and nobody is told.

In real life: a token of the paging service that expired, a webhook behind a broken certificate, a chat channel that was renamed, a
receiver that is down together with what it should tell of. Prometheus says `firing` all the while.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Action, Answer, Call, Example, Fault


class AlertDeliveryLoss(Fault):
    """Notifications are refused by what stands before the receiver."""

    acts_on = "request"
    whole_target = True
    family = "monitoring itself"
    must = "Alertmanager's own count of failed notifications; a dead man's switch at the receiver"
    quiet = "every alert's state in Prometheus: firing is not told"
    examples: ClassVar = (
        Example(
            "{fault: alert_delivery_loss, target: oncall-webhook, duration: 60s}",
            does="every notification to oncall-webhook is refused with status 500",
        ),
        Example(
            "{fault: alert_delivery_loss, target: oncall-webhook, status: 204, duration: 60s}", refused="at least 400"
        ),
    )

    fault: Literal["alert_delivery_loss"] = "alert_delivery_loss"
    status: int = Field(
        500,
        ge=400,
        le=599,
        description="the HTTP status; Alertmanager tries again after a 5xx, and gives up after a 4xx",
    )

    def explain(self) -> str:
        """One plain sentence."""
        return f"every notification to {self.target} is refused with status {self.status}"

    def act(self, call: Call) -> Iterator[Action]:
        """An error in place of the receiver's word."""
        del call
        yield Answer(self.status, {}, b"")
