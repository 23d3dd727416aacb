"""The order of the tests: those that bring up a lab take minutes, so they begin first and the quick ones fill what is left."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """System tests first; the order within each half stays."""
    items.sort(key=lambda item: item.get_closest_marker("system") is None)
