"""Bodies of any size and kind through the idle proxy: every captured answer, compressed ones, 100 MB each way, slow readers."""

from __future__ import annotations

import re
import socket
import threading
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import psutil
import pytest

from tests.proxy.loopback import DEADLINE_S, Backend, Proxy, Reply, eventually, running_proxy, sized, talk

CAPTURES = Path(__file__).parents[1] / "captures"
RECORDED = sorted(str(path.relative_to(CAPTURES)) for path in CAPTURES.glob("*/*.http"))
CLOSE = b"Connection: close\r\n\r\n"
HUGE = 100_000_000
GROWTH = 30_000_000
"""Bytes by which a proxy may grow while a body of HUGE passes: some buffers of the kernel's and its own."""
# "hello" in one metablock, as RFC 7932 has it: nobody here reads it, and so nobody may touch it.
BROTLI = bytes.fromhex("0b028068656c6c6f03")


def recorded(name: str) -> bytes:
    """The answer of a real server, head and body, as it was recorded (one line feed at the end is the recorder's).

    The recorder took chunks apart: they are put back, one for each event.
    """
    whole = (CAPTURES / name).read_bytes()
    whole = whole[whole.index(b"HTTP/1.") :].removesuffix(b"\n")
    head, _, body = whole.partition(b"\r\n\r\n")
    if not re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        return whole
    events = re.findall(rb"(?s).+?(?:\n\n|$)", body)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events)
    return head + b"\r\n\r\n" + chunks + b"0\r\n\r\n"


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_answer_reaches_the_client_as_the_server_said_it(
    name: str, backend: Backend, proxy: Proxy
) -> None:
    answer = recorded(name)
    backend.replies["/x"] = Reply((answer,), close=True)
    post = b"POST /x HTTP/1.1\r\nHost: model\r\nContent-Length: 2\r\n" + CLOSE + b"{}"
    assert talk(backend.port, post) == answer
    wanted = answer
    sized_as = re.search(rb"(?i)\r\ncontent-length: *(\d+)", answer)
    if sized_as is not None:  # what a server says beyond its length is nobody's answer
        wanted = answer[: answer.index(b"\r\n\r\n") + 4 + int(sized_as[1])]
    assert talk(proxy.routes["model"], post) == wanted
    assert backend.seen == [post, post]


def test_a_brotli_answer_passes_as_it_is_idle_and_armed(backend: Backend, proxy: Proxy) -> None:
    answer = sized(BROTLI, "Content-Encoding: br", "Content-Type: application/json")
    backend.replies["/v2/models/m/infer"] = answer
    post = b"POST /v2/models/m/infer HTTP/1.1\r\nX-Request-Id: a\r\nContent-Length: 2\r\n" + CLOSE + b"{}"
    assert talk(proxy.routes["model"], post) == b"".join(answer.pieces)
    proxy.arm("run", {"fault": "wrong_predictions"})
    assert talk(proxy.routes["model"], post) == b"".join(answer.pieces)
    assert proxy.state("run")["faults"]["0"]["undecodable"] == 1


def _memory(proxy: Proxy) -> int:
    return int(psutil.Process(proxy.process.pid).memory_info().rss)


class _Highest:
    """The most memory that the proxy had between two moments."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.bytes = _memory(proxy)

    def look(self) -> None:
        self.bytes = max(self.bytes, _memory(self._proxy))


def _read(connection: socket.socket, look: _Highest) -> tuple[int, str]:
    """How much came, and what it hashes to."""
    digest, size = sha256(), 0
    while data := connection.recv(1 << 20):
        digest.update(data)
        size += len(data)
        look.look()
    return size, digest.hexdigest()


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_of_100_mb_passes_in_bounded_memory(chunked: bool, backend: Backend, proxy: Proxy) -> None:
    body = bytes(range(256)) * (HUGE // 256)
    head = b"HTTP/1.1 200 OK\r\n"
    if chunked:
        piece = body[: 1 << 20]
        wire = (b"100000\r\n" + piece + b"\r\n") * (HUGE >> 20) + b"0\r\n\r\n"
        backend.replies["/x"] = Reply((head + b"Transfer-Encoding: chunked\r\n\r\n", wire), close=True)
    else:
        wire = body
        backend.replies["/x"] = Reply((head + b"Content-Length: %d\r\n\r\n" % len(body), body), close=True)
    before, look = _memory(proxy), _Highest(proxy)
    with socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=DEADLINE_S) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\n" + CLOSE)
        size, digest = _read(connection, look)
    said = b"".join(backend.replies["/x"].pieces)
    assert (size, digest) == (len(said), sha256(said).hexdigest())
    assert look.bytes - before < GROWTH


def test_a_request_of_100_mb_passes_in_bounded_memory(backend: Backend, proxy: Proxy) -> None:
    body = bytes(range(256)) * (HUGE // 256)
    head = b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n" % len(body) + CLOSE
    before, look = _memory(proxy), _Highest(proxy)
    with socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=DEADLINE_S) as connection:
        connection.sendall(head)
        for place in range(0, len(body), 1 << 20):
            connection.sendall(body[place : place + (1 << 20)])
            look.look()
        assert _read(connection, look)[0]
    assert backend.seen == [head + body]
    assert look.bytes - before < GROWTH


def test_a_client_that_does_not_read_stops_its_model_and_not_the_proxy(backend: Backend, proxy: Proxy) -> None:
    body = bytes(50_000_000)
    backend.replies["/slow"] = sized(body)
    before = _memory(proxy)
    with socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=DEADLINE_S) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\n" + CLOSE)
        eventually(lambda: backend.seen)
        # Others are answered meanwhile, however often they ask, and nothing piles up.
        for _ in range(20):
            assert talk(proxy.routes["model"], b"GET /y HTTP/1.1\r\n" + CLOSE).endswith(b"ok")
        assert _memory(proxy) - before < GROWTH
        look = _Highest(proxy)
        assert _read(connection, look)[0] == len(b"".join(sized(body).pieces))
    assert look.bytes - before < GROWTH


def test_a_model_that_does_not_read_stops_its_client_and_not_the_proxy(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as model,
        running_proxy(tmp_path, model=model.getsockname()[1]) as proxy,
    ):
        before = _memory(proxy)
        client = socket.create_connection(("127.0.0.1", proxy.routes["model"]), timeout=0.5)
        client.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n")
        upstream, _ = model.accept()
        sent = 0
        with suppress(TimeoutError):
            while sent < 50_000_000:
                sent += client.send(bytes(1 << 16))
        assert sent < 50_000_000
        assert _memory(proxy) - before < GROWTH
        got = threading.Event()

        def drain() -> None:
            size = 0
            while size < 50_000_000 and (data := upstream.recv(1 << 20)):
                size += len(data)
            if size >= 50_000_000:
                got.set()

        threading.Thread(target=drain, daemon=True).start()
        client.settimeout(DEADLINE_S)
        client.sendall(bytes(50_000_000 - sent))
        assert got.wait(DEADLINE_S)
        client.close()
        upstream.close()
