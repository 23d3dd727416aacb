"""Streamed answers through the real proxy: each event at once, disarming in mid-stream, and the same end as the upstream's."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import pytest

from tests.proxy.loopback import DEADLINE_S, Backend, Proxy, Reply, eventually, running_proxy
from tests.proxy.test_event_streams import ASK, END, ENDLESS, HEAD, chunk, said

CLOSING = ASK.replace(b"Host", b"Connection: close\r\nHost")


def test_each_event_reaches_the_client_before_the_model_says_the_next(backend: Backend, proxy: Proxy) -> None:
    spoken = threading.Event()
    backend.replies["/v1/chat/completions"] = Reply((chunk(said("b")), END), early=HEAD + chunk(said("a")), gate=spoken)
    got = bytearray()
    with socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=DEADLINE_S) as connection:
        connection.sendall(CLOSING)
        while said("a") not in got:
            got += connection.recv(65536)
        assert said("b") not in got
        spoken.set()
        while data := connection.recv(65536):
            got += data
    assert bytes(got) == HEAD + chunk(said("a")) + chunk(said("b")) + END


def test_a_proxy_is_disarmed_while_a_stream_is_open(backend: Backend, proxy: Proxy) -> None:
    spoken = threading.Event()
    proxy.arm("run", {"fault": "delay", "by": "1ms"})
    backend.replies["/v1/chat/completions"] = Reply((chunk(said("b")), END), early=HEAD + chunk(said("a")), gate=spoken)
    with socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=DEADLINE_S) as connection:
        connection.sendall(CLOSING)
        while said("a") not in connection.recv(65536):
            pass
        assert proxy.ask("DELETE", "/runs/run").status_code == 204
        spoken.set()
        while connection.recv(65536):
            pass
    labels = 'route="model",arm="treatment",end="whole"'
    eventually(lambda: f"chaos_proxy_streams_total{{{labels}}} 1\n" in proxy.ask("GET", "/metrics").text)


def test_what_an_upstream_said_before_it_broke_all_arrives_at_a_slow_client_and_then_the_same_end(
    backend: Backend, proxy: Proxy
) -> None:
    answer = HEAD + chunk(said("x" * 1_000_000)) + chunk(said("last")[:15])
    backend.replies["/v1/chat/completions"] = Reply((answer,), close=True)
    got = bytearray()
    with socket.socket() as client:
        client.settimeout(DEADLINE_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", proxy.routes["model"]))
        client.sendall(ASK)
        while data := client.recv(4096):
            got += data
    assert bytes(got) == answer


def test_an_answer_that_ends_with_the_connection_does_not_look_whole_when_its_upstream_was_cut(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        running_proxy(tmp_path, cut=server.getsockname()[1]) as own,
        socket.create_connection(("127.0.0.1", own.routes["cut"]), timeout=DEADLINE_S) as client,
    ):
        client.sendall(ASK)
        upstream, _ = server.accept()
        upstream.settimeout(DEADLINE_S)
        assert upstream.recv(65536)
        upstream.sendall(ENDLESS + said("a"))
        got = bytearray()
        while said("a") not in got:
            got += client.recv(65536)
        upstream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        upstream.close()
        with pytest.raises(ConnectionResetError):
            client.recv(65536)
