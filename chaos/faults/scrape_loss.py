"""scrape_loss: the metrics of a service cannot be read any more.

In real life: a network policy that forgot the scraper, an exporter that died beside a service that lives, a port that moved, a page
so large that every scrape times out. Every rule over those metrics goes quiet, and quiet looks like healthy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Action, Answer, Call, Example, Fault, Wait

LONGEST_S = 600.0


class ScrapeLoss(Fault):
    """Whoever asks for the metrics gets an error, or waits for longer than it does."""

    acts_on = "request"
    whole_target = True
    family = "monitoring itself"
    must = "`up`, `absent()`: the metrics are gone"
    quiet = "every alert over the lost metrics: it goes quiet, also where it should fire"
    examples: ClassVar = (
        Example(
            "{fault: scrape_loss, target: gateway-metrics, duration: 60s}",
            does="whoever asks gateway-metrics for metrics gets status 503",
        ),
        Example(
            "{fault: scrape_loss, target: gateway-metrics, how: hang, duration: 60s}",
            does="whoever asks gateway-metrics for metrics waits in vain",
        ),
        Example("{fault: scrape_loss, target: gateway-metrics, how: slow, duration: 60s}", refused="'error' or 'hang'"),
    )

    fault: Literal["scrape_loss"] = "scrape_loss"
    how: Literal["error", "hang"] = Field("error", description="`error`: status 503 at once; `hang`: no answer at all")

    def explain(self) -> str:
        """One plain sentence."""
        gets = {"error": "gets status 503", "hang": "waits in vain"}
        return f"whoever asks {self.target} for metrics {gets[self.how]}"

    def act(self, call: Call) -> Iterator[Action]:
        """An error in place of the metrics, or a wait that outlasts every scraper."""
        del call
        yield Answer(503, {}, b"") if self.how == "error" else Wait(LONGEST_S)
