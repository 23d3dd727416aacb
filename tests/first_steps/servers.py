"""Loopback servers that answer as the lab's Prometheus, its Alertmanager and an idle fault proxy did."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LAB: Mapping[str, Any] = json.loads((Path(__file__).parent / "captures" / "lab.json").read_text())
IDLE_PROXY = {
    "/version": {"version": "0.1.0", "held_by": None, "holders": []},
    "/metrics": 'chaos_proxy_requests_total{route="replica-1",arm="none",code_class="2xx"} 7\n',
}


@contextmanager
def serving(answers: Mapping[str, Any]) -> Iterator[str]:
    """A server that answers these paths; its address. What it was asked otherwise than by reading is an error."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            found = answers.get(path)
            body = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def lab_monitoring(rules: Any = None) -> Iterator[tuple[str, str]]:
    """(Prometheus, Alertmanager) as the lab's; with other rules when they are given."""
    with serving({**LAB, "/-/ready": "ok"}) as alertmanager:
        told = {"status": "success", "data": {"activeAlertmanagers": [{"url": f"{alertmanager}/api/v2/alerts"}]}}
        nothing = {"status": "success", "data": {"resultType": "vector", "result": []}}
        own = {} if rules is None else {"/api/v1/rules": rules}
        with serving(
            {**LAB, "/-/ready": "ok", "/api/v1/alertmanagers": told, "/api/v1/query": nothing, **own}
        ) as prometheus:
            yield prometheus, alertmanager
