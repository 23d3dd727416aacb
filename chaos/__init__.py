"""Chaos engineering for systems that contain machine-learning models.

`load`, `plan`, `run`, `judge` and `past` are the Python API; see `chaos.api`. Importing this is cheap: what they need is imported when
they are called.
"""

from chaos.api import judge, load, past, plan, run
from chaos.version import VERSION as __version__  # noqa: N811 - the name that Python programs look for

__all__ = ["__version__", "judge", "load", "past", "plan", "run"]
