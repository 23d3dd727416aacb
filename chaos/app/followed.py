"""Who looks on at a run: its live view, a file of metrics, the Grafana that its system file names. Wiring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chaos.app.annotating import Annotations
from chaos.app.following import Follower, Following
from chaos.app.metrics_file import MetricsFile
from chaos.drivers.grafana import GrafanaClient
from chaos.engine import Run
from chaos.system import System


def followed(
    system: System, run_id: str, metrics_file: Path | None, view: Callable[[Run, float], None] | None
) -> Following:
    """All of them, beside each other; none of them can harm the run."""
    followers: list[Follower] = [MetricsFile(metrics_file)] if metrics_file is not None else []
    said = system.announce.grafana if system.announce is not None else None
    if said is not None:
        client = GrafanaClient(said.url, said.token.get_secret_value())
        followers.append(Annotations(client, said.dashboard, said.panel))
    return Following(run_id, followers, view)
