"""The notification sink: a receiver that only remembers. A process of its own, with a log that lasts.

    Alertmanager ── POST / ──▶ sink ──▶ log, one JSON object a line      GET /notifications?after=N

Put it on a `continue: true` route beside the real receiver: then a run can prove that one alert was delivered, and when.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

from aiohttp import web

MOST = 10_000
"""Notifications kept in memory; the log keeps all."""
LARGEST = 4_000_000


class Memory:
    """Everything that arrived, in order, ids from 1; read back from the log at the start."""

    def __init__(self, log: Path) -> None:
        self._kept: deque[dict[str, Any]] = deque(maxlen=MOST)
        self.last = 0
        if log.exists():
            for row in log.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    note = json.loads(row)
                    self.last = int(note["id"])
                    self._kept.append(note)
                except (ValueError, KeyError, TypeError):
                    continue  # a line that a crash cut
        self._log = log.open("a", encoding="utf-8")
        if log.stat().st_size and not log.read_bytes().endswith(b"\n"):
            self._log.write("\n")  # what a crash cut must not swallow the next notification

    def keep(self, body: dict[str, Any], received_at: float) -> None:
        """The notification is remembered and on its way to the disk."""
        self.last += 1
        wanted = ("status", "labels", "annotations", "startsAt", "endsAt", "fingerprint")
        note = {
            "id": self.last,
            "received_at": received_at,
            "receiver": body.get("receiver", ""),
            "status": body.get("status", ""),
            "groupKey": body.get("groupKey", ""),
            "alerts": [{key: alert.get(key) for key in wanted} for alert in body.get("alerts", [])],
        }
        self._kept.append(note)
        self._log.write(json.dumps(note) + "\n")
        self._log.flush()

    def after(self, last: int) -> list[dict[str, Any]]:
        """The notifications with an id above `last`."""
        return [note for note in self._kept if note["id"] > last]


def application(memory: Memory) -> web.Application:
    """The sink's HTTP interface."""

    async def take(request: web.Request) -> web.Response:
        received_at = time.time()
        try:
            body = await request.json()
        except ValueError:
            return web.json_response({"error": "this is no JSON"}, status=400)
        alerts = body.get("alerts", []) if isinstance(body, dict) else None
        if not isinstance(alerts, list) or not all(isinstance(alert, dict) for alert in alerts):
            return web.json_response({"error": "this is no Alertmanager notification"}, status=400)
        memory.keep(body, received_at)
        return web.json_response({"id": memory.last})

    async def give(request: web.Request) -> web.Response:
        try:
            after = int(request.query.get("after", "0"))
        except ValueError:
            return web.json_response({"error": "`after` must be a whole number"}, status=400)
        return web.json_response({"notifications": memory.after(after), "last": memory.last})

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"ok": True, "last": memory.last})

    made = web.Application(client_max_size=LARGEST)
    made.add_routes(
        [web.post("/", take), web.post("/alerts", take), web.get("/notifications", give), web.get("/healthz", health)]
    )
    return made


def main(arguments: list[str] | None = None) -> None:
    """Serves until it is told to stop."""
    from chaos.drivers.serving import serve_forever

    parser = argparse.ArgumentParser(
        prog="python -m chaos.sink", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--listen", default="127.0.0.1:9099")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--ports-file", type=Path)
    given = parser.parse_args(arguments)
    serve_forever(application(Memory(given.log)), given.listen, "sink", given.ports_file)


if __name__ == "__main__":
    main()
