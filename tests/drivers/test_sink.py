"""The notification sink lasts: over its own end, a crash, and a torn line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from chaos.drivers.webhook import SinkClient
from chaos.sink import MOST, Memory, main
from tests.drivers.loopback import eventually, module, now_wall_s

ALERT = {
    "status": "firing", "labels": {"alertname": "ModelAccuracyLow"}, "annotations": {"summary": "é"},
    "startsAt": "2024-01-02T03:04:05.123Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f00d",
}  # fmt: skip
NOTE = {"receiver": "oncall", "status": "firing", "groupKey": "{}", "alerts": [ALERT]}


def tell(url: str, receiver: str = "oncall") -> int:
    """The id that the sink gave the notification."""
    answer = requests.post(f"{url}/", json={**NOTE, "receiver": receiver}, timeout=5)
    answer.raise_for_status()
    return int(answer.json()["id"])


def test_a_log_that_cannot_be_kept_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--log", str(tmp_path / "nowhere" / "log")])
    assert left.value.code == 2
    assert "cannot be kept (No such file or directory); name another file" in capsys.readouterr().err


def test_what_arrived_before_a_restart_is_there_after_it_and_ids_go_on(tmp_path: Path) -> None:
    log = tmp_path / "notes.jsonl"
    with module("chaos.sink", "--log", str(log), folder=tmp_path) as ports:
        begun_wall_s = now_wall_s()
        assert [tell(f"http://{ports['sink']}", f"r{place}") for place in range(3)] == [1, 2, 3]
        before = SinkClient(f"http://{ports['sink']}").notifications()
        assert begun_wall_s <= before[0].received_at_wall_s <= before[-1].received_at_wall_s <= now_wall_s()
    with module("chaos.sink", "--log", str(log), folder=tmp_path) as ports:
        client = SinkClient(f"http://{ports['sink']}")
        assert client.notifications() == before
        assert tell(client.url, "later") == 4
        assert [note.receiver for note in client.notifications(3)] == ["later"]


def test_a_sigkill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    log, ports = tmp_path / "notes.jsonl", tmp_path / "ports.json"
    argv = [
        sys.executable,
        "-m",
        "chaos.sink",
        "--listen",
        "127.0.0.1:0",
        "--log",
        str(log),
        "--ports-file",
        str(ports),
    ]
    process = subprocess.Popen(argv)
    try:
        eventually(ports.exists, 20, "the sink listens")
        for _ in range(20):
            tell(f"http://{json.loads(ports.read_text())['sink']}")
    finally:
        process.kill()
        process.wait()
    memory = Memory(log)
    assert (memory.last, len(memory.after(0))) == (20, 20)


def test_a_line_that_a_crash_cut_swallows_neither_what_was_before_nor_what_comes_after(tmp_path: Path) -> None:
    log = tmp_path / "notes.jsonl"
    first = Memory(log)
    first.keep(NOTE, 1.0)
    first.keep(NOTE, 2.0)
    whole = log.read_text()
    log.write_text(whole[: len(whole) - 20])
    second = Memory(log)
    assert [note["received_at"] for note in second.after(0)] == [1.0]
    second.keep(NOTE, 3.0)
    second.keep(NOTE, 4.0)
    third = Memory(log)
    assert [note["received_at"] for note in third.after(0)] == [1.0, 3.0, 4.0]
    assert len({note["id"] for note in third.after(0)}) == 3, "no id names two notifications"


@pytest.mark.parametrize("line", ["", "null", "[]", "7", '{"id": null}', '{"id": []}', "{}", "\x00\x00", "{" * 100])
def test_a_line_that_is_no_notification_is_passed_over(tmp_path: Path, line: str) -> None:
    log = tmp_path / "notes.jsonl"
    Memory(log).keep(NOTE, 1.0)
    with log.open("a") as file:
        file.write(line + "\n")
    memory = Memory(log)
    memory.keep(NOTE, 2.0)
    assert [note["id"] for note in Memory(log).after(0)] == [1, 2]


def test_memory_is_bounded_and_the_log_is_not(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "notes.jsonl")
    for place in range(MOST + 5):
        memory.keep({"alerts": []}, float(place))
    assert len(memory.after(0)) == MOST
    assert memory.after(0)[0]["id"] == 6
    assert memory.after(MOST + 4) == [memory.after(0)[-1]]
    assert len((tmp_path / "notes.jsonl").read_text().splitlines()) == MOST + 5


def test_a_notification_larger_than_the_limit_is_refused_and_the_sink_goes_on(tmp_path: Path) -> None:
    with module("chaos.sink", "--log", str(tmp_path / "notes.jsonl"), folder=tmp_path) as ports:
        url = f"http://{ports['sink']}"
        assert requests.post(url, data=b"[" + b" " * 4_100_000 + b"]", timeout=5).status_code == 413
        assert tell(url) == 1
        assert requests.post(f"{url}/alerts", json=NOTE, timeout=5).json() == {"id": 2}, "both paths are taken"
