"""A run's metrics in a file, for node_exporter's textfile collector. Wiring."""

from __future__ import annotations

from pathlib import Path

from chaos.drivers.whole_file import write_whole
from chaos.history.exposition import text
from chaos.history.now import Now, families


class MetricsFile:
    """One file, which has the run's last moment in it at every moment: whole, or as it was before."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def follow(self, now: Now) -> None:
        """The file says how the run is now. Raises OSError."""
        write_whole(self._path, text(families(now)))

    def close(self) -> list[str]:
        """Nothing is left to be done: the run's end was its last moment."""
        return []
