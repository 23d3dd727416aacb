"""stale_model: an older model answers.

In real life: a roll-out that left one replica behind, a registry alias that points to last year's version, a rollback that
nobody took back. Every answer is a good answer of a model that once was the best; the model's age says it at once, labels
that come back say it slowly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from chaos.faults.base import Action, Call, Example, Fault, Redirect
from chaos.units import format_share


class StaleModel(Fault):
    """Selected requests are asked of the older model at this address, and its answer goes to the client.

    Where no older model listens any more, `frozen_predictions` replays earlier answers instead, whatever is asked.
    """

    acts_on = "request"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    family = "prediction quality"
    must = "the model's age or version; labelled quality"
    quiet = "latency, error rate"
    examples: ClassVar = (
        Example(
            "{fault: stale_model, target: loan-model, to: 'http://loan-model-2024:8080', share: 50%, duration: 60s}",
            does="50% of the treatment arm's requests to loan-model are answered by the older model at http://loan-model-2024:8080",
        ),
        Example(
            "{fault: stale_model, target: loan-model, to: loan-model-2024, duration: 60s}",
            refused="write http://HOST:PORT",
        ),
    )

    fault: Literal["stale_model"] = "stale_model"
    to: str = Field(
        description="where the older model listens, as the proxy reaches it: http://HOST:PORT",
        examples=["http://loan-model-2024:8080"],
    )

    @field_validator("to")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            plain = parts.scheme == "http" and bool(parts.hostname) and bool(parts.port) and "@" not in parts.netloc
        except ValueError:  # a port that is no number
            plain = False
        if not plain or parts.path or parts.query or parts.fragment or not value.isprintable() or " " in value:
            shown = "this" if "@" in value else repr(value)  # what stands before an @ may be a password
            raise ValueError(f"{shown} is no address of a model; write http://HOST:PORT")
        return value

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's requests to {self.target}"
        return f"{whose} are answered by the older model at {self.to}"

    def act(self, call: Call) -> Iterator[Action]:
        """The other model is asked instead."""
        del call
        yield Redirect(self.to)
