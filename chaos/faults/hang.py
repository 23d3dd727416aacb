"""hang: the model takes requests and never answers.

In real life: a deadlock, a thread pool that waits for itself, an accelerator that stopped without a word. Nothing fails, so an error
ratio that counts answers sees nothing: requests pile up in flight until the callers' own time-outs speak.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from chaos.faults.base import Action, Call, Example, Fault, Wait
from chaos.faults.delay import LONGEST_S
from chaos.units import format_duration, format_share


class Hang(Fault):
    """Selected requests get no answer while the fault is on; those who still wait when it ends are answered then."""

    acts_on = "request"
    family = "time"
    must = "client latency, time-outs; requests in flight"
    quiet = "server-side latency and errors: the model is not asked"
    examples: ClassVar = (
        Example(
            "{fault: hang, target: loan-model, share: 10%, duration: 60s}",
            does="10% of the treatment arm's requests to loan-model get no answer until the fault ends (10m at most)",
        ),
        Example("{fault: hang, target: loan-model, share: 10, duration: 60s}", refused="write 10%"),
    )

    fault: Literal["hang"] = "hang"

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        return f"{who} get no answer until the fault ends ({format_duration(LONGEST_S)} at most)"

    def act(self, call: Call) -> Iterator[Action]:
        """One wait for longer than anybody does."""
        del call
        yield Wait(LONGEST_S)
