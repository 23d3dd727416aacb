"""wrong_usage: an answer's token counts are wrong.

In real life: a gateway that counts with another tokeniser, a proxy that estimates, cached or reasoning tokens counted twice. Answers
are right and fast; bills, quotas and budgets are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.answer_documents import usages
from chaos.faults.base import Call, Example, Fault
from chaos.json_places import Address
from chaos.units import format_share


class WrongUsage(Fault):
    """Selected answers say another number of generated tokens; the total stays the sum. Streams say it in their last events."""

    acts_on = "answer"
    works_on = "text"
    semantic = True
    changes_bytes = True
    edits_documents = True
    family = "language models"
    must = "token usage against the length of the text, cost"
    quiet = "request error rate, output length"
    examples: ClassVar = (
        Example(
            "{fault: wrong_usage, target: assistant, factor: 2, duration: 60s}",
            does="100% of the treatment arm's answers of assistant say 2 times as many generated tokens as there were",
        ),
        Example("{fault: wrong_usage, target: assistant, factor: -1, duration: 60s}", refused="at least 0"),
    )

    fault: Literal["wrong_usage"] = "wrong_usage"
    factor: float = Field(
        description="times as many tokens as were generated; below 1, fewer", examples=[2], ge=0, le=1000
    )

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's answers of {self.target}"
        return f"{whose} say {self.factor:g} times as many generated tokens as there were"

    def edit_document(self, document: object, call: Call) -> Mapping[Address, object]:  # noqa: ARG002
        """The counts, wherever the answer says them."""
        made: dict[Address, object] = {}
        for usage in usages(document):
            made |= usage.with_generated(round(usage.generated * self.factor))
        return made
