"""A tool that breaks something, as far as Prometheus can see: it answers on a port for as long as it runs.

outsider.py PORT [--stubborn] [--child]

`--stubborn` lives on when it is asked to end; `--child` leaves a child of its group behind, which does the same.
"""

from __future__ import annotations

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Metrics(BaseHTTPRequestHandler):
    """An empty page of metrics."""

    def do_GET(self) -> None:
        """Prometheus asks."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is said of it."""


if __name__ == "__main__":
    print("the outsider is here", flush=True)
    if "--stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--child" in sys.argv and os.fork():
        sys.exit(7)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Metrics).serve_forever()
