"""The run's own load: Locust as a subprocess, open loop, with labelled rows. See `driver.py`."""

from chaos.drivers.load.driver import LoadDriver
from chaos.drivers.load.plan import LoadPlan

__all__ = ["LoadDriver", "LoadPlan"]
