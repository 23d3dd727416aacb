"""fail_first_n: the first requests fail, and the ones after them do not.

In real life: a replica that takes traffic before its model is loaded, a connection pool full of dead connections, a failover. Whoever
tries again gets an answer, so that users see nothing: what tells is the number of attempts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from chaos.arms import ATTEMPT_HEADER
from chaos.faults.base import Action, Answer, Call, Example, Fault
from chaos.units import format_share


class FailFirstN(Fault):
    """The first N selected requests get an error status, or the first N attempts of each; the model is not asked then."""

    acts_on = "request"
    family = "errors"
    must = "retry rate; error ratio of attempts"
    quiet = "error ratio as users see it, where clients try again"
    examples: ClassVar = (
        Example(
            "{fault: fail_first_n, target: loan-model, first: 20, duration: 60s}",
            does="100% of the treatment arm's requests to loan-model get status 503 until each proxy process has failed 20",
        ),
        Example(
            "{fault: fail_first_n, target: loan-model, first: 1, of: request, share: 10%, duration: 60s}",
            does="10% of the treatment arm's requests to loan-model get status 503 until attempt 2",
        ),
        Example("{fault: fail_first_n, target: loan-model, first: 0, duration: 60s}", refused="at least 1"),
    )

    fault: Literal["fail_first_n"] = "fail_first_n"
    first: int = Field(description="how many fail", examples=[20], ge=1, le=1_000_000)
    of: Literal["proxy", "request"] = Field(
        "proxy",
        description=f"`proxy`: of all selected requests, in each proxy process; `request`: of each one's attempts ({ATTEMPT_HEADER})",
    )
    status: int = Field(503, ge=400, le=599, description="the HTTP status")

    def explain(self) -> str:
        """One plain sentence."""
        who = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        until = f"attempt {self.first + 1}" if self.of == "request" else f"each proxy process has failed {self.first}"
        return f"{who} get status {self.status} until {until}"

    def act(self, call: Call) -> Iterator[Action]:
        """An answer in place of the model's, or nothing; the proxy fills the body in the protocol's error shape."""
        before = call.memory.selected if self.of == "proxy" else _attempts_before(call)
        if before < self.first:
            yield Answer(self.status, {}, b"")


def _attempts_before(call: Call) -> int:
    """How often this request was sent before; a client that does not say sends it for the first time."""
    said = call.headers.get(ATTEMPT_HEADER) or "1"
    return int(said) - 1 if said.isdecimal() and len(said) < 10 else 0
