"""reset: the connection is cut without a goodbye.

In real life: a model server that was killed, a load balancer that dropped its table, a firewall that forgot the connection. Clients get
no status at all, and what counts statuses at the server sees nothing wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Action, Call, Delivery, Example, Fault, Part, Signal
from chaos.faults.base import Reset as ResetConnection
from chaos.units import Size, format_share, format_size


class Reset(Fault):
    """Selected requests end with a reset of their connection: before the model is asked, or within its answer."""

    acts_on = "request"
    delivers = True
    breaks_protocol = True
    family = "errors"
    must = "error ratio, as clients count it"
    quiet = "errors as the model server counts them"
    examples: ClassVar = (
        Example(
            "{fault: reset, target: loan-model, share: 20%, duration: 60s}",
            does="20% of the treatment arm's requests to loan-model end with a connection reset before the model is asked",
        ),
        Example(
            "{fault: reset, target: loan-model, after: 100B, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model end with a connection reset after 100B of the answer's body",
        ),
        Example("{fault: reset, target: loan-model, after: 100, duration: 60s}", refused="write 100B"),
    )

    fault: Literal["reset"] = "reset"
    after: Size | None = Field(
        None,
        description="how much of the answer's body comes first; an answer that is not longer stays whole. Left out: the model is not asked",
        examples=["100B"],
        ge=0,
    )

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        when = (
            "before the model is asked"
            if self.after is None
            else f"after {format_size(self.after)} of the answer's body"
        )
        return f"{who} end with a connection reset {when}"

    def act(self, call: Call) -> Iterator[Action]:
        """A reset before the model is asked, unless some of its answer is to come first."""
        del call
        if self.after is None:
            yield ResetConnection()

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:
        """A reset within the part of the body that reaches beyond `after`."""
        del call
        if self.after is not None and part.kind != "head" and part.before <= self.after < part.before + part.size:
            yield ResetConnection(after=self.after - part.before)

    def treated(self, signal: Signal, control: float) -> float | None:
        """Hurt requests are errors where all of them are cut; how many answers are long enough for `after` nobody can say."""
        if self.after is None and signal is Signal.error_ratio:
            return (1 - self.share) * control + self.share
        if self.after is None and signal is Signal.availability:
            return (1 - self.share) * control
        return None
