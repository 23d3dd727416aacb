"""A Prometheus of our own for some seconds, over telemetry that never happened. Its own engine evaluates; nothing is imitated.

OpenMetrics text ─▶ promtool tsdb create-blocks-from openmetrics ─▶ prometheus (loopback, no scrapes) ─▶ queries
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.drivers.external import ExternalCommand
from chaos.drivers.ports import free_ports
from chaos.drivers.prometheus import PrometheusDriver
from chaos.errors import Unreachable

UP_S = 20.0
"""A server over some hundred megabytes is up in a tenth of a second; this is for a machine with other things to do."""
BACKFILL_S = 600.0
QUERY_S = 120.0
LABEL = "chaos_rehearsal"
"""The external label by which a server is known as ours."""
TRIES = 3
"""Ports that are tried: between the moment at which one is found free and that at which the server listens, somebody may take it."""
BLOCK = "8760h"
"""One block for all: the tool reads its input once for each block, and by default those are of two hours."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the server and its tool are."""

    prometheus: Path
    promtool: Path


class ThrowAway:
    """One server and its store; more may be put into the store, and then the server begins anew."""

    def __init__(self, programs: Programs, folder: Path, lookback_s: float, port: Callable[[], int]) -> None:
        self._programs, self._folder, self._lookback_s, self._port = programs, folder, lookback_s, port
        self._server: ExternalCommand | None = None
        self._ours = secrets.token_hex(16)
        (folder / "tsdb").mkdir()
        # No query shows an external label; the server's configuration does, and no other server has this one.
        (folder / "prometheus.yml").write_text(f"global: {{external_labels: {{{LABEL}: {self._ours}}}}}\n")

    def put(self, text: Iterable[str]) -> None:
        """The samples are in the store, and the server sees them. Raises Unreachable when they cannot be."""
        path = self._folder / "samples.om"
        with path.open("w") as file:
            file.writelines(text)
        argv = [
            str(self._programs.promtool), "tsdb", "create-blocks-from", "openmetrics", f"--max-block-duration={BLOCK}",
            "--quiet", str(path), str(self._folder / "tsdb"),
        ]  # fmt: skip
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=BACKFILL_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unreachable(f"promtool could not write a store of rehearsed telemetry: {error}") from error
        finally:
            path.unlink()
        if done.returncode != 0:
            raise Unreachable(f"promtool refuses rehearsed telemetry: {(done.stderr or done.stdout).strip()[-400:]}")
        self.close()

    def driver(self) -> PrometheusDriver:
        """The server, up, and no other one: whoever took its port in between is not asked. Raises Unreachable when it does not come."""
        for _ in range(TRIES):
            found = self._begun(self._port())
            _until_ready(found.ready)
            if self._is_ours(found):
                return found
            self.close()
        raise Unreachable(f"a Prometheus for the rehearsal found its port taken {TRIES} times; try again")

    def _begun(self, port: int) -> PrometheusDriver:
        self._server = ExternalCommand(
            [
                str(self._programs.prometheus), f"--config.file={self._folder}/prometheus.yml",
                f"--storage.tsdb.path={self._folder}/tsdb", "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}", f"--query.lookback-delta={round(self._lookback_s * 1000) - 1}ms",
                "--query.max-samples=500000000", "--log.level=warn",
            ],
            self._folder / "prometheus.log",
        )  # fmt: skip
        self._server.begin()
        return PrometheusDriver(f"http://127.0.0.1:{port}", timeout_s=QUERY_S)

    def _is_ours(self, server: PrometheusDriver) -> bool:
        """Whether the server that answers has our configuration."""
        try:
            return server.external_labels().get(LABEL) == self._ours
        except Unreachable:  # it is ready, and is no Prometheus
            return False

    def close(self) -> None:
        """The server has ended."""
        if self._server is not None:
            self._server.end()
            self._server = None


def _until_ready(ready: Callable[[], None]) -> None:
    until_s = time.monotonic() + UP_S
    while True:
        try:
            ready()
        except Unreachable as error:
            if time.monotonic() > until_s:
                raise Unreachable(
                    f"a Prometheus for the rehearsal did not come up within {UP_S:g}s: {error}"
                ) from error
            time.sleep(0.02)
        else:
            return


@contextmanager
def throwaway(
    programs: Programs, lookback_s: float, port: Callable[[], int] = lambda: free_ports(1)[0]
) -> Iterator[ThrowAway]:
    """A server with an empty store until the block ends; then nothing of it is left.

    `lookback_s` is for how long a series counts as there after its last sample, without the moment at which that time is over: what was
    recorded holds no marks of staleness. `port` finds a port that nobody listens on.
    """
    with tempfile.TemporaryDirectory(prefix="chaos-rehearsal-") as folder:
        made = ThrowAway(programs, Path(folder), lookback_s, port)
        try:
            yield made
        finally:
            made.close()
