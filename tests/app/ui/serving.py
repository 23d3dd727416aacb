"""The page's server on loopback, in this process, for one test; and runs that seem to go on."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import uvicorn

from chaos.app.ui.handlers import Ui
from chaos.app.ui.kept import Kept
from chaos.app.ui.routes import app_of
from chaos.app.ui.server import Wish, bound, ui_of
from chaos.drivers.state import State
from chaos.undo_list import UndoList

JOURNAL = (Path(__file__).parents[2] / "judging" / "confirmed.jsonl").read_text()
RUN = json.loads(JOURNAL.split("\n", 1)[0])["record"]["run"]
FOLDER = f"20261128-171500-{RUN}"
DEADLINE_S = 20.0


def until(true: Callable[[], bool], what: str) -> None:
    """Waits for a condition."""
    end_s = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end_s, what
        time.sleep(0.02)


@dataclass
class Served:
    """A server with a browser that was let in."""

    address: str
    ui: Ui
    session: requests.Session
    said: list[str]

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(self.address + path, headers=headers, timeout=DEADLINE_S, allow_redirects=False)

    def post(self, path: str, headers: dict[str, str] | None = None, **form: str) -> requests.Response:
        """A form of our own page, as a browser sends it."""
        heads = {"Origin": self.address, "Sec-Fetch-Site": "same-origin"} | (headers or {})
        data = {"form": self.ui.access.form_token()} | form
        return self.session.post(
            self.address + path, data=data, headers=heads, timeout=DEADLINE_S, allow_redirects=False
        )

    def events(self, path: str, **headers: str) -> Iterator[dict[str, str]]:
        """Server-sent events, one after another; a comment is an event without a name."""
        with self.session.get(self.address + path, headers=headers, timeout=DEADLINE_S, stream=True) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            found: dict[str, str] = {}
            for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
                if not line and found:
                    yield found
                    found = {}
                name, _, value = line.partition(":")
                if line:
                    found[name] = found.get(name, "") + value.strip() + ("\n" if name == "data" else "")


@contextmanager
def served(folder: Path, *, beat_s: float = 0.2, enter: bool = True) -> Iterator[Served]:
    """A server whose runs, experiments and state are below this folder."""
    said: list[str] = []
    listener = bound("127.0.0.1", 0)
    made = ui_of(Wish(folder / "runs", folder / "experiments", folder / ".chaos"), listener, said.append)
    ui = Ui(
        made.access,
        Kept(folder / "runs", State(folder / "state")),
        made.experiments,
        made.starts,
        made.entered,
        beat_s=beat_s,
    )
    server = uvicorn.Server(uvicorn.Config(app_of(ui), log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    session = requests.Session()
    session.trust_env = False
    try:
        until(lambda: server.started, "the server does not start")
        it = Served(f"http://127.0.0.1:{listener.getsockname()[1]}", ui, session, said)
        if enter:
            assert it.get(f"/enter?token={ui.access.token()}").status_code == 303
        yield it
    finally:
        session.close()
        server.should_exit = True
        thread.join(DEADLINE_S)
        listener.close()


def lines() -> list[str]:
    """The lines of a real run's journal, with their ends."""
    return JOURNAL.splitlines(keepends=True)


def over(runs: Path, name: str = FOLDER, report: str = "<p>the report</p>") -> Path:
    """A folder of a run that is over."""
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_text(JOURNAL)
    (folder / "report.html").write_text(report)
    return folder


@contextmanager
def going_on(folder: Path, text: str) -> Iterator[Path]:
    """A run that lives, as far as anybody can see; its journal has this text."""
    runs = folder / "runs" / FOLDER
    runs.mkdir(parents=True)
    (runs / "journal.jsonl").write_text(text)
    lock = State(folder / "state").run(RUN).begin(UndoList(RUN, "x", str(runs), 10.0, 300.0))
    try:
        yield runs / "journal.jsonl"
    finally:
        lock.release()


def text_of(page: str) -> str:
    """What a person reads, roughly."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


__all__ = [
    "DEADLINE_S",
    "FOLDER",
    "JOURNAL",
    "RUN",
    "Served",
    "going_on",
    "lines",
    "over",
    "served",
    "text_of",
    "until",
]
