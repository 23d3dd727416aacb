"""The proxy as a process of its own: it starts, says where it listens, and ends without cutting anybody off."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.proxy.loopback import Backend, Reply, eventually, infer, running_proxy, sized, talk


def test_told_to_end_it_lets_the_answers_under_way_go_out_and_hurts_nobody_any_more(tmp_path: Path) -> None:
    backend, gate = Backend(), threading.Event()
    backend.replies["/slow"] = Reply(sized(b"in time").pieces, gate=gate)
    answers: dict[str, bytes] = {}

    def ask(name: str, request: bytes) -> threading.Thread:
        asking = threading.Thread(target=lambda: answers.update({name: talk(proxy.routes["model"], request)}))
        asking.start()
        return asking

    with running_proxy(tmp_path, model=backend.port) as proxy:
        proxy.arm("run", {"fault": "delay", "by": "600s"})
        delayed = ask("delayed", infer("someone"))
        slow = ask("slow", b"GET /slow HTTP/1.1\r\nConnection: close\r\n\r\n")
        eventually(lambda: backend.seen and proxy.state("run")["faults"]["0"]["first_effect"])
        proxy.process.send_signal(signal.SIGTERM)
        eventually(lambda: "delayed" in answers)
        gate.set()
        delayed.join(5)
        slow.join(5)
        assert proxy.process.wait(5) == 0
    backend.close()
    assert answers["slow"].endswith(b"in time")
    assert answers["delayed"].startswith(b"HTTP/1.1 200 OK")


def test_http2_is_not_loaded_before_there_is_a_client_that_speaks_it() -> None:
    told = "import sys, chaos.proxy.process, chaos.proxy.worker; print(*sorted({'h2', 'hpack', 'aiohttp'} & {*sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    assert loaded.stdout.split() == []


def test_without_the_faster_event_loop_it_serves_and_ends_as_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    backend = Backend()
    with running_proxy(tmp_path, model=backend.port) as proxy:
        assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200 OK")
    backend.close()
    assert proxy.process.returncode == 0


def test_what_auto_takes_the_traffic_for_is_said_once_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    backend = Backend()
    backend.replies["/v2/models/model/infer"] = sized(b'{"outputs":[]}')
    with running_proxy(tmp_path, model=backend.port) as proxy:
        proxy.arm("run", {"fault": "wrong_predictions"})
        for subject in ("a", "b"):
            talk(proxy.routes["model"], infer(subject))
    backend.close()
    said = [line for line in capfd.readouterr().err.splitlines() if "taken for" in line]
    assert said == ["chaos proxy: route model: with `protocol: auto` this traffic is taken for oip"]


def test_large_answers_of_many_clients_hold_up_neither_the_kill_switch_nor_the_workers(tmp_path: Path) -> None:
    backend = Backend()
    rows = ",".join('{"label": "a", "scores": [0.5, 0.5]}' for _ in range(13_000))
    backend.replies["/v1/models/model:predict"] = sized(b'{"predictions": [%s]}' % rows.encode())
    whole = len(b"".join(backend.replies["/v1/models/model:predict"].pieces))
    ask = infer("someone").replace(b"/v2/models/model/infer", b"/v1/models/model:predict")
    got: list[int] = []
    with running_proxy(tmp_path, "--workers=2", model=backend.port) as proxy:
        proxy.arm("run", {"fault": "wrong_predictions"}, output={"classes": ["a", "b"]})
        asking = [threading.Thread(target=lambda: got.append(len(talk(proxy.routes["model"], ask)))) for _ in range(12)]
        for one in asking:
            one.start()
        assert proxy.ask("DELETE", "/runs").status_code == 204
        for one in asking:
            one.join(30)
        assert got == [whole] * 12  # a label is as long as the other
        assert "chaos_proxy_workers_replaced_total 0" in proxy.ask("GET", "/metrics").text
    backend.close()
