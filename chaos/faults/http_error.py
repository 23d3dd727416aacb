"""http_error: the model server answers with an error status instead of a prediction.

In real life: a worker that ran out of memory, a missing artefact, a schema that no longer fits, an overloaded server. The
body has the protocol's own error shape, so that clients meet what they would meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Action, Answer, Call, Example, Fault, Signal
from chaos.units import format_share


class HttpError(Fault):
    """Selected requests get this status; the model is not asked."""

    acts_on = "request"
    family = "errors"
    must = "error ratio; retry rate"
    quiet = "labelled quality"
    examples: ClassVar = (
        Example(
            "{fault: http_error, target: loan-model, status: 503, share: 20%, duration: 60s}",
            does="20% of the treatment arm's requests to loan-model get status 503",
        ),
        Example("{fault: http_error, target: loan-model, status: 200, duration: 60s}", refused="at least 400"),
    )

    fault: Literal["http_error"] = "http_error"
    status: int = Field(503, ge=400, le=599, description="the HTTP status")

    def explain(self) -> str:
        """One plain sentence."""
        return f"{format_share(self.share)} of the treatment arm's requests to {self.target} get status {self.status}"

    def act(self, call: Call) -> Iterator[Action]:
        """One answer in place of the model's; the proxy fills the body in the protocol's error shape."""
        del call
        yield Answer(self.status, {}, b"")

    def treated(self, signal: Signal, control: float) -> float | None:
        """Hurt requests are errors, at the proxy; what a gateway's retry makes of them nobody can say beforehand."""
        if signal is Signal.error_ratio:
            return (1 - self.share) * control + self.share
        if signal is Signal.availability:
            return (1 - self.share) * control
        return None
