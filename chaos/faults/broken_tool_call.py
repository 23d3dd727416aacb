"""broken_tool_call: the language model calls a tool in a way that nobody can answer.

In real life: a model without constrained decoding, a parser of tool calls that a new model's template confuses, a tool that was
renamed in one place. The request succeeds with finish reason `tool_calls`; the agent behind it loops, or gives up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.answer_documents import tool_calls
from chaos.faults.base import Call, Example, Fault
from chaos.json_places import Address
from chaos.units import format_share

SUFFIX = "_v2"


class BrokenToolCall(Fault):
    """Tool calls of selected answers have arguments that do not parse, or name a tool that nobody has. Answers without any stay."""

    acts_on = "answer"
    works_on = "text"
    semantic = True
    changes_bytes = True
    edits_documents = True
    family = "language models"
    must = "share of tool calls that are valid"
    quiet = "request error rate, finish-reason mix"
    examples: ClassVar = (
        Example(
            "{fault: broken_tool_call, target: assistant, duration: 60s}",
            does="100% of the treatment arm's tool calls of assistant have arguments without a closing brace",
        ),
        Example(
            "{fault: broken_tool_call, target: assistant, how: unknown_tool, duration: 60s}",
            does="100% of the treatment arm's tool calls of assistant name a tool that nobody has",
        ),
        Example("{fault: broken_tool_call, target: assistant, how: wrong, duration: 60s}", refused="unknown_tool"),
    )

    fault: Literal["broken_tool_call"] = "broken_tool_call"
    how: Literal["unparsable", "unknown_tool"] = Field("unparsable", description="what is wrong with the call")

    def explain(self) -> str:
        """One plain sentence."""
        how = "have arguments without a closing brace" if self.how == "unparsable" else "name a tool that nobody has"
        return f"{format_share(self.share)} of the treatment arm's tool calls of {self.target} {how}"

    def edit_document(self, document: object, call: Call) -> Mapping[Address, object]:  # noqa: ARG002
        """Piece by piece, where calls are streamed; the pieces join to the same as a whole call becomes."""
        made: dict[Address, object] = {}
        for one in tool_calls(document):
            if self.how == "unknown_tool":
                if one.name is not None and one.name[1]:
                    made[one.name[0]] = one.name[1] + SUFFIX
            elif one.arguments is not None and "}" in one.arguments[1]:
                made[one.arguments[0]] = one.arguments[1].replace("}", "")
        return made
