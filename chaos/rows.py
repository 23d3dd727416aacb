"""Rows: what one prediction is, whichever protocol carried it.

A protocol decodes an answer into rows, a fault edits rows, the protocol encodes back what changed. Rows are values:
a fault returns a new row where it hurts and the very same object where it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

Label = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Row:
    """One prediction.

    `index` is its place in the answer, from 0. `label` is the decision. `scores` are per class and sum to one where the
    model gives probabilities; None where it gives none. `classes` are the labels that the scores belong to, in the same
    order; empty when nobody knows them.
    """

    index: int
    label: Label | None = None
    scores: tuple[float, ...] | None = None
    classes: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of one row's text, as a streamed answer brings it.

    `row` is the row's index, `text` the piece, and `start` how many characters of the row the model had said before it.
    """

    row: int
    text: str
    start: int
