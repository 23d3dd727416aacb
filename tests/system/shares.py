"""Which lab runs which system tests: as many shares as there are workers, each about as long as the others.

Every worker has a lab of its own, and its tests come one after the other: what they take is nearly all waiting, for windows to fill and
for alerts to come and go. So it is known beforehand, and whoever deals it out as it comes ends with one lab at work and the others idle.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

FOLDER = "tests/system"
LASTS_S = {
    "test_tutorial.py": 385,
    "test_lab_in_docker.py": 255,
    "test_pytest_plugin.py": 140,
    "test_interrupts.py": 145,
    "test_quality_experiments.py::test_bias": 160,
    "test_quality_experiments.py::test_concept_drift": 110,
    "test_quality_experiments.py::test_wrong_predictions": 120,
    "test_resilience_experiments.py::test_a_slow_model": 115,
    "test_resilience_experiments.py::test_a_killed_replica": 85,
    "test_refusals.py": 65,
    "test_monitoring_experiments.py": 60,
    "test_ui.py": 45,
    "test_python_api.py": 45,
}
"""What belongs together, by how its names begin → roughly how long it takes. What is not here takes a minute, file by file."""
UNKNOWN_S = 60


def unit(name: str) -> str:
    """What this test must share a lab with: what it begins with in LASTS_S, or its file."""
    inside = name.removeprefix(f"{FOLDER}/")
    return next((known for known in LASTS_S if inside.startswith(known)), inside.partition("::")[0])


def shares(names: Sequence[str], labs: int) -> dict[str, int]:
    """Test → the share that it is in, of so many: the longest first, each to whoever has least."""
    load = [0] * labs
    of: dict[str, int] = {}
    for one in sorted({unit(name): None for name in names}, key=lambda one: -LASTS_S.get(one, UNKNOWN_S)):
        of[one] = load.index(min(load))
        load[of[one]] += LASTS_S.get(one, UNKNOWN_S)
    return {name: of[unit(name)] for name in names}


class Labs(LoadScopeScheduling):
    """xdist's scheduler of scopes, where a scope is a share."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self.share: dict[str, int] = {}

    def schedule(self) -> None:
        names = next(iter(self.registered_collections.values()))
        self.share = self.share or shares(names, len(self.nodes))
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return f"lab {self.share[nodeid]}"
