"""What is seen from outside of a run: who holds a proxy, when something was as before; and the gauge that its guard watches."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.offswitch.results import LOOK_MS

LONGEST_S = 30.0
"""What is not undone by then is not waited for any more."""
JOB = """\
  - {{job_name: switch, scrape_interval: 100ms, scrape_timeout: 100ms, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}
"""


class Door:
    """One proxy's control API, asked over a connection that stays."""

    def __init__(self, control: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(control.removeprefix("http://"), timeout=LONGEST_S)
        self._headers = {"Authorization": f"Bearer {token}"}

    def held(self) -> bool:
        """Whether a run holds it; one that does not answer may be held."""
        try:
            self._connection.request("GET", "/version", headers=self._headers)
            return bool(json.loads(self._connection.getresponse().read())["holders"])
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return True


def seconds_until_back(hurt: Mapping[str, Callable[[], object]], begun_wall_s: float) -> dict[str, float]:
    """Name → how long after `begun_wall_s` it was not hurt any more, each watched by a thread of its own; infinity, when it stayed so."""
    found: dict[str, float] = {}

    def watched(name: str, look: Callable[[], object]) -> None:
        while look():
            if time.time() - begun_wall_s > LONGEST_S:
                found[name] = float("inf")
                return
            time.sleep(LOOK_MS / 1000)
        found[name] = time.time() - begun_wall_s

    threads = [threading.Thread(target=watched, args=one) for one in hurt.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


class Gauge:
    """What Prometheus scrapes for the guard: 1 while all is calm, 0 from `break_it` on."""

    def __init__(self) -> None:
        self._calm = True
        self._told = threading.Event()
        self._told_wall_s = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = self._server.server_address[1]

    def _handler(gauge) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                """Prometheus asks."""
                calm = gauge._calm
                body = f"calm {int(calm)}\n".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if not calm and not gauge._told.is_set():
                    gauge._told_wall_s = time.time()
                    gauge._told.set()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is said of it."""

        return Handler

    def serve(self) -> None:
        """Answers until `close`."""
        self._server.serve_forever(poll_interval=0.05)

    def calm_down(self) -> None:
        """The guard is kept again."""
        self._calm = True
        self._told.clear()

    def break_it(self) -> float:
        """The guard is broken; the wall clock when Prometheus was told so."""
        self._calm = False
        if not self._told.wait(LONGEST_S):
            raise TimeoutError("Prometheus did not ask for the gauge")
        return self._told_wall_s

    def close(self) -> None:
        """Nobody is answered any more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def gauge() -> Iterator[Gauge]:
    """The gauge, until the block ends."""
    made = Gauge()
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def burning(processes: int) -> Iterator[None]:
    """So many processes do nothing but burn processor time."""
    with ExitStack() as stack:
        for _ in range(processes):
            burner = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        yield
