"""embedding_noise: the vectors of an embedding model point somewhere else.

In real life: another model version than the one that the index was made with, a quantisation, a pooling or a prefix that changed.
Every request succeeds with vectors of the right size and length; a search over them finds something, only not the right thing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from chaos.faults.base import Call, Example, Fault
from chaos.faults.texts import mixed, seed_of
from chaos.rows import Row
from chaos.units import format_share


class EmbeddingNoise(Fault):
    """Gaussian noise is added to selected embeddings, and their length (mostly one) stays what it was."""

    acts_on = "answer"
    works_on = "text"
    semantic = True
    changes_bytes = True
    family = "language models"
    must = "similarity of known neighbours, retrieval quality"
    quiet = "request error rate, embedding norm, token usage"
    examples: ClassVar = (
        Example(
            "{fault: embedding_noise, target: assistant, noise: 0.5, duration: 60s}",
            does="100% of the treatment arm's embeddings of assistant are noisy: their cosine with the right ones is about 0.89",
        ),
        Example(
            "{fault: embedding_noise, target: assistant, noise: 0, duration: 60s}", refused="at least 0.01"
        ),
    )  # fmt: skip

    fault: Literal["embedding_noise"] = "embedding_noise"
    noise: float = Field(
        0.5, description="length of the noise, as a multiple of the embedding's own length", ge=0.01, le=100
    )

    def explain(self) -> str:
        """One plain sentence."""
        cosine = 1 / math.sqrt(1 + self.noise**2)
        whose = f"{format_share(self.share)} of the treatment arm's embeddings of {self.target}"
        return f"{whose} are noisy: their cosine with the right ones is about {cosine:.2g}"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected vectors are noisy; rows of text, and vectors of nothing but zeros, stay as they are."""
        return [self._noisy(row, call) if call.selected(row.index) else row for row in rows]

    def _noisy(self, row: Row, call: Call) -> Row:
        vector = row.scores
        if vector is None or row.label is not None:
            return row
        length = math.hypot(*vector)
        if not length or not math.isfinite(length):
            return row
        base = seed_of(call, row.index, "embedding_noise")
        spread = self.noise * length / math.sqrt(len(vector))
        moved = [value + spread * _normal(base, place) for place, value in enumerate(vector)]
        now = math.hypot(*moved)
        return replace(row, scores=tuple(value * length / now for value in moved)) if now else row


def _normal(base: int, place: int) -> float:
    """A standard normal from two uniforms (Box and Muller, 1958)."""
    first, second = 1.0 - mixed(base, 2 * place), mixed(base, 2 * place + 1)
    return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)
