"""What somebody who can reach the sink can do to it: fill it, up to a limit. A page in a browser can do nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import requests

from chaos.sink import MOST_BYTES, Memory
from tests.drivers.loopback import module

NOTE = {
    "receiver": "oncall",
    "status": "firing",
    "alerts": [{"labels": {"alertname": "A"}, "annotations": {"text": "x" * 1_000_000}}],
}


def test_memory_is_bounded_in_bytes_and_the_newest_is_kept(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "notes.jsonl")
    count = MOST_BYTES // 1_000_000 + 10
    for place in range(count):
        memory.keep(NOTE, float(place))
    kept = memory.after(0)
    assert MOST_BYTES // 1_100_000 < len(kept) <= MOST_BYTES // 1_000_000
    assert kept[-1]["id"] == count
    assert len(Memory(tmp_path / "notes.jsonl").after(0)) == len(kept)


def test_its_log_is_its_owners_alone(tmp_path: Path) -> None:
    Memory(tmp_path / "notes.jsonl")
    assert stat.S_IMODE((tmp_path / "notes.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"alerts": [' * 50_000, b'{"alerts": 1e999}', b"9" * 100_000, b"\xff", b""]
)
def test_what_is_no_notification_is_refused_and_nothing_is_kept(body: bytes, tmp_path: Path) -> None:
    with module("chaos.sink", "--log", str(tmp_path / "notes.jsonl"), folder=tmp_path) as ports:
        url = f"http://{ports['sink']}"
        assert requests.post(url, data=body, timeout=5).status_code == 400
        assert requests.get(f"{url}/notifications", timeout=5).json() == {"notifications": [], "last": 0}


def test_no_page_in_a_browser_can_say_that_an_alert_was_delivered_or_read_what_was(tmp_path: Path) -> None:
    with module("chaos.sink", "--log", str(tmp_path / "notes.jsonl"), folder=tmp_path) as ports:
        url, page = f"http://{ports['sink']}", {"Origin": "http://evil.example", "Content-Type": "text/plain"}
        assert requests.post(url, data=b'{"alerts": []}', headers=page, timeout=5).status_code == 403
        assert requests.get(f"{url}/notifications", headers=page, timeout=5).status_code == 403
        assert requests.get(f"{url}/notifications", timeout=5).json()["last"] == 0
