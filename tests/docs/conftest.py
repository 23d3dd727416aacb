"""Fixtures of the tests of README and docs."""

from tests.lab.conftest import tools

__all__ = ["tools"]
