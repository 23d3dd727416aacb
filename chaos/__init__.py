"""Chaos engineering for systems that contain machine-learning models.

`load`, `plan`, `run` and `judge` are the Python API; see `chaos.api`. Importing this is cheap: what they need is imported when
they are called.
"""

__version__ = "0.1.0"

from chaos.api import judge, load, plan, run

__all__ = ["__version__", "judge", "load", "plan", "run"]
