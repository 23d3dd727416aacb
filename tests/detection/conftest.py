"""The programs that the tests of detection start."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.lab import monitoring
from chaos.lab.monitoring import Tools


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The programs, from PATH or unpacked below .chaos."""
    return monitoring.find(Path(__file__).parents[2] / ".chaos")
