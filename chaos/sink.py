"""The notification sink: a receiver that only remembers. A process of its own, with a log that lasts.

    Alertmanager ── POST / ──▶ sink ──▶ log, one JSON object a line      GET /notifications?after=N

Put it on a `continue: true` route beside the real receiver: then a run can prove that one alert was delivered, and when.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

ABOUT = """\
The notification sink: a receiver that only remembers. It keeps every
notification of Alertmanager, and when it came, in a log that lasts.

Alertmanager can be asked what is active; only a receiver knows what was
delivered. You need one where an experiment expects `delivered_to:` a receiver,
or is to prove how long it took until somebody was told. The lab brings its own.
"""
EXAMPLE = """\
For instance:

  $ chaos sink --listen 127.0.0.1:9099 --log notifications.jsonl

Add it to Alertmanager beside the real receiver, with the same matchers and
grouping, on a route in front of it:

  routes:
    - {receiver: chaos-sink, continue: true}
  receivers:
    - name: chaos-sink
      webhook_configs: [{url: 'http://127.0.0.1:9099/', send_resolved: true}]

and name it in the system file, under the name of the receiver that it stands
beside; `chaos doctor --system FILE` looks whether it answers:

  receivers:
    oncall: {sink: 'http://127.0.0.1:9099'}

It ends with SIGTERM or Ctrl-C.
"""
MOST = 10_000
"""Notifications kept in memory; the log keeps all."""
MOST_BYTES = 64_000_000
"""Of all notifications in memory, as they stand in the log; the oldest are forgotten first."""
LARGEST = 4_000_000
"""Bytes of one notification."""


class Memory:
    """Everything that arrived, in order, ids from 1; read back from the log at the start."""

    def __init__(self, log: Path) -> None:
        self._kept: deque[tuple[dict[str, Any], int]] = deque()
        self._bytes = 0
        self.last = 0
        row = "\n"
        if log.exists():
            with log.open(encoding="utf-8", errors="replace", newline="\n") as rows:
                for row in rows:
                    self._read_back(row)
        self._log = os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a", encoding="utf-8")
        if not row.endswith("\n"):
            self._log.write("\n")  # what a crash cut must not swallow the next notification

    def _read_back(self, row: str) -> None:
        try:
            note = json.loads(row)
            self.last = int(note["id"])
            self._remember(note, len(row))
        except (ValueError, KeyError, TypeError, RecursionError):
            pass  # a line that a crash cut

    def _remember(self, note: dict[str, Any], size: int) -> None:
        self._kept.append((note, size))
        self._bytes += size
        while len(self._kept) > MOST or (self._bytes > MOST_BYTES and len(self._kept) > 1):
            self._bytes -= self._kept.popleft()[1]

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
            "groupLabels": body.get("groupLabels"),
            "alerts": [{key: alert.get(key) for key in wanted} for alert in body.get("alerts", [])],
        }
        row = json.dumps(note) + "\n"
        self._remember(note, len(row))
        self._log.write(row)
        self._log.flush()

    def after(self, last: int) -> list[dict[str, Any]]:
        """The notifications with an id above `last`."""
        return [note for note, _ in self._kept if note["id"] > last]


def application(memory: Memory) -> web.Application:
    """The sink's HTTP interface."""

    async def take(request: web.Request) -> web.Response:
        received_at = time.time()
        try:
            body = await request.json()
        except (ValueError, RecursionError):
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

    @web.middleware
    async def not_for_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
        """A page in somebody's browser must not be able to say that an alert was delivered."""
        if "Origin" in request.headers:
            return web.json_response({"error": "this interface is not for browsers"}, status=403)
        return await handler(request)

    made = web.Application(client_max_size=LARGEST, middlewares=[not_for_browsers])
    made.add_routes(
        [web.post("/", take), web.post("/alerts", take), web.get("/notifications", give), web.get("/healthz", health)]
    )
    return made


def main(arguments: list[str] | None = None) -> None:
    """Serves until it is told to stop."""
    from chaos.drivers.serving import serve_forever

    parser = argparse.ArgumentParser(
        prog="chaos sink", description=ABOUT, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--listen", default="127.0.0.1:9099", metavar="HOST:PORT", help="where notifications arrive (%(default)s)"
    )
    parser.add_argument(
        "--log", type=Path, required=True, metavar="FILE", help="where they are kept, one JSON object a line"
    )
    parser.add_argument("--ports-file", type=Path, metavar="FILE", help="written once it listens: where, as JSON")
    given = parser.parse_args(arguments)
    try:
        memory = Memory(given.log)
    except OSError as error:
        print(f"chaos sink: the log {given.log} cannot be kept ({error.strerror}); name another file", file=sys.stderr)
        sys.exit(2)
    serve_forever(application(memory), given.listen, "sink", given.ports_file)


if __name__ == "__main__":
    main()
