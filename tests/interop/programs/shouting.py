"""A fault as a plugin brings it: streamed text in capitals."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaos.faults.base import Call, Example, Fault
from chaos.rows import Piece


class Shouting(Fault):
    """Writes every piece of a selected row in capitals; nothing else about a stream could tell."""

    acts_on = "answer"
    changes_bytes = True
    edits_text = True
    family = "tone"
    must = "somebody who reads"
    quiet = "latency, error rate"
    examples: ClassVar = (Example("{fault: shouting, target: m, duration: 1s}", does="text is in capitals"),)
    fault: Literal["shouting"] = "shouting"

    def explain(self) -> str:
        """One plain sentence."""
        return f"streamed text of {self.target} is in capitals"

    def edit_text(self, piece: Piece, call: Call) -> str:
        """The piece in capitals; it keeps its length."""
        del call
        return piece.text.upper()
