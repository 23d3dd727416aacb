"""What faults on a language model's text share: one rewriting for whole and for streamed answers, and what must follow it.

A rewriting looks at where a piece stands in the text, and never at how the text was cut: however an answer is streamed, its pieces
join to what the whole answer would have become. Where a server counts tokens, the counts follow the length of the text; where it
says why it ended, that follows, too. Log probabilities stay as they were, and so do the names of Responses' events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from chaos.faults.answer_documents import choices, usages, wholes
from chaos.faults.base import Call, Fault
from chaos.json_places import Address
from chaos.rows import KEPT_BEGINNING, Piece, Row

LATEST_CHARACTER = KEPT_BEGINNING - 12
"""The latest place in a text that a rewriting may ask about afterwards."""
_MASK = (1 << 64) - 1


class TextFault(Fault):
    """Says something else than the model said, in selected answers. Subclasses say what."""

    acts_on = "answer"
    works_on = "text"
    semantic = True
    changes_bytes = True
    edits_text = True
    edits_documents = True
    family = "language models"
    quiet = "request error rate, first-token time"
    ends_at_length: ClassVar[bool] = False
    """Whether a model that says this would have ended because it ran out of tokens."""

    def rewritten(self, text: str, start: int, beginning: str, row: int, call: Call) -> str:
        """What the client gets instead of `text`, which the model said after `start` characters that begin with `beginning`."""
        raise NotImplementedError

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows say something else; a row without a text has nothing to say."""
        return [self._edited(row, call) if call.selected(row.index) else row for row in rows]

    def _edited(self, row: Row, call: Call) -> Row:
        if not isinstance(row.label, str) or not row.label:
            return row
        fresh = self.rewritten(row.label, 0, "", row.index, call)
        return row if fresh == row.label else replace(row, label=fresh)

    def edit_text(self, piece: Piece, call: Call) -> str:
        """What the client gets instead of this piece, so that all pieces together say what the whole answer would."""
        so_far = call.texts.get(piece.row)
        return self.rewritten(piece.text, piece.start, so_far.beginning if so_far else "", piece.row, call)

    def edit_document(self, document: object, call: Call) -> Mapping[Address, object]:
        """Token counts follow the text, and so does the reason why it ended."""
        if not any(text.changed for text in call.texts.values()):
            return {}
        ended = _ended(document, call) if self.ends_at_length else {}
        return {**_counted(document, call), **ended}


def _counted(document: object, call: Call) -> Mapping[Address, object]:
    """As many tokens a character as the model took, for the characters that the client got."""
    said = sum(text.said for text in call.texts.values())
    got = sum(text.got for text in call.texts.values())
    made: dict[Address, object] = {}
    for usage in usages(document):
        seen = usage.generated - usage.hidden
        made |= usage.with_generated(usage.hidden + max(int(got > 0), round(seen * got / max(1, said))))
    return made


def _ended(document: object, call: Call) -> Mapping[Address, object]:
    """`length` where a changed choice says that it was finished, and `incomplete` where Responses says that it was completed."""
    made: dict[Address, object] = {}
    for address, row, choice in choices(document):
        if choice.get("finish_reason") == "stop" and row in call.texts and call.texts[row].changed:
            made[*address, "finish_reason"] = "length"
    for address, whole in wholes(document):
        if whole.get("object") == "response" and whole.get("status") == "completed":
            made[*address, "status"] = "incomplete"
            if "incomplete_details" in whole:
                made[*address, "incomplete_details"] = {"reason": "max_output_tokens"}
    return made


def seed_of(call: Call, row: int, what: str) -> int:
    """What `mixed` draws a row's numbers from."""
    return int(call.chance(row, what) * _MASK)


def mixed(base: int, place: int) -> float:
    """A number in [0, 1) for each place, as if drawn; thousands of them cost little.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014 (SplitMix64).
    """
    number = (base + place * 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((number ^ (number >> 31)) >> 11) / (1 << 53)
