"""The stand that runs die at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.lab import monitoring
from tests.safety.stand import Stand, standing

STATE = Path(__file__).parents[2] / ".chaos"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """One stand for every run of a file that leaves it as it was."""
    with standing(tmp_path_factory.mktemp("stand"), monitoring.find(STATE)) as found:
        yield found


@pytest.fixture
def own_stand(tmp_path: Path) -> Iterator[Stand]:
    """A stand of whose parts the test may end some."""
    with standing(tmp_path, monitoring.find(STATE)) as found:
        yield found
