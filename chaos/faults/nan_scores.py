"""nan_scores: the scores are not numbers.

In real life: a division by zero in a normalisation, the logarithm of nothing, a half-precision overflow. Python writes a bare
NaN into JSON, which is none: some clients refuse the answer, others count it as zero, and an average over it is NaN for ever.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

from chaos.faults.base import Call, Example, Fault
from chaos.rows import Row
from chaos.units import format_share


class NanScores(Fault):
    """Selected rows have NaN in place of every score; a label of their own stays, and where scores decide nobody does.

    Tensors of decimals carry NaN as it is. JSON has no such number, and gets the bare NaN that many servers write: strict clients
    cannot read that answer. Rows without scores pass.
    """

    acts_on = "answer"
    works_on = "predictions"
    semantic = True
    changes_bytes = True
    inconsistent = True
    breaks_protocol = True
    family = "scores"
    must = "contract: scores are numbers; null share of scores; the clients' own errors"
    quiet = "the model server's error rate, latency"
    examples: ClassVar = (
        Example(
            "{fault: nan_scores, target: loan-model, share: 5%, duration: 60s}",
            does="5% of the treatment arm's predictions of loan-model get NaN in place of every score",
        ),
        Example("{fault: nan_scores, target: loan-model, share: 5, duration: 60s}", refused="write 5%"),
    )

    fault: Literal["nan_scores"] = "nan_scores"

    def explain(self) -> str:
        """One plain sentence."""
        whose = f"{format_share(self.share)} of the treatment arm's predictions of {self.target}"
        return f"{whose} get NaN in place of every score"

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:
        """Selected rows that have scores have none that is a number."""
        return [_without_numbers(row) if call.selected(row.index) else row for row in rows]


def _without_numbers(row: Row) -> Row:
    if not row.scores:
        return row
    return row.saying(row.label if row.rule is None else None, (math.nan,) * len(row.scores))
