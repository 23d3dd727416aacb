"""Who may reach the control API: nobody without the token, no page in a browser, and nobody may use it up."""

from __future__ import annotations

import inspect
import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

import chaos.proxy.api_server as api
from chaos.proxy.control import ControlApi
from chaos.proxy.counters import Counters
from chaos.proxy.registry import Registry
from tests.proxy.loopback import TOKEN, Backend, Proxy, arming, eventually, infer, running_proxy, talk

CLOSE = b"Connection: close\r\n"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    backend = Backend()
    with running_proxy(tmp_path_factory.mktemp("control"), "--workers=2", model=backend.port) as made:
        yield made
    backend.close()


def port_of(proxy: Proxy) -> int:
    return int(proxy.control.rpartition(":")[2])


def asked(method: str, path: str, *headers: str, body: bytes = b"", length: int | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n" + CLOSE + b"\r\n" + body


@pytest.mark.parametrize(
    "token", [[], ["Authorization: Bearer wrong"], [f"Authorization: Basic {TOKEN}"], ["Authorization:"]]
)
def test_whoever_has_no_token_is_refused_before_a_byte_of_the_body_is_read(token: list[str], proxy: Proxy) -> None:
    """The answer comes although the body never does."""
    answer = talk(port_of(proxy), asked("PUT", "/runs/x", "Host: 127.0.0.1", *token, length=900_000))
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_a_refused_body_that_is_small_does_not_end_the_connection_before_the_refusal_is_read(proxy: Proxy) -> None:
    body = json.dumps(arming()).encode()
    for _ in range(20):
        assert talk(port_of(proxy), asked("PUT", "/runs/x", "Host: 127.0.0.1", body=body)).startswith(b"HTTP/1.1 401 ")


def test_the_token_is_compared_in_constant_time() -> None:
    source = inspect.getsource(ControlApi)
    assert "hmac.compare_digest(given, self._wanted)" in source
    assert "== self._wanted" not in source


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8474", "127.0.0.1.evil.example", "localhost.evil.example:1", "[::1].evil"]
)
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/version", "/runs/x"])
def test_a_page_whose_name_was_made_to_point_here_reads_nothing(host: str, path: str, proxy: Proxy) -> None:
    answer = talk(port_of(proxy), asked("GET", path, f"Host: {host}", f"Authorization: Bearer {TOKEN}"))
    assert answer.startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8474", "localhost", "LOCALHOST:8474", "[::1]:8474", "[::1]", ""]
)
def test_whoever_asks_by_address_or_as_localhost_is_served(host: str, proxy: Proxy) -> None:
    assert talk(port_of(proxy), asked("GET", "/healthz", f"Host: {host}")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8474"])
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "OPTIONS"])
def test_no_page_in_a_browser_is_served_whatever_it_sends(origin: str, method: str, proxy: Proxy) -> None:
    given = ("Host: 127.0.0.1", f"Origin: {origin}", f"Authorization: Bearer {TOKEN}", "Content-Type: text/plain")
    answer = talk(port_of(proxy), asked(method, "/runs/x", *given, body=b"{}"))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"access-control" not in answer.lower()


def test_strangers_who_hold_connections_open_lock_nobody_out_and_cost_few_descriptors(proxy: Proxy) -> None:
    ours = socket.create_connection(("127.0.0.1", port_of(proxy)), 10)
    keep = f"GET /runs/none HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with ours, ExitStack() as strangers:
        ours.sendall(keep)
        assert ours.recv(65536).startswith(b"HTTP/1.1 404 ")
        for place in range(api.MOST_CONNECTIONS + 40):
            stranger = strangers.enter_context(socket.create_connection(("127.0.0.1", port_of(proxy)), 10))
            stranger.sendall(b"GET /metrics HTTP/1.1\r\n"[: place % 20])
        assert proxy.arm("in-between")["state"] == "armed"
        ours.sendall(keep)
        assert ours.recv(65536).startswith(b"HTTP/1.1 404 ")
        assert proxy.ask("DELETE", "/runs").status_code == 204
        assert psutil.Process(proxy.process.pid).num_fds() < api.MOST_CONNECTIONS + 60
        assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200 ")


def test_a_request_that_comes_drop_by_drop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    monkeypatch.setattr(api, "WHOLE_S", 0.3)

    async def scenario() -> None:
        control = ControlApi(Registry(lambda: 0.0), Counters(), TOKEN)
        server = api.ApiServer(control, control.gate)
        _, port = await server.listen("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def drip() -> None:
            while True:
                writer.write(b"G")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await asyncio.wait_for(reader.read(), 5) == b""
        dripping.cancel()
        writer.close()
        await server.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 900_000,
        b'{"a":' * 150_000,
        b'{"lease_s": ' + b"9" * 900_000 + b"}",
        b'{"lease_s": 1e999}',
        b'{"lease_s": NaN}',
        b"\xff",
    ],
)
def test_a_body_that_is_a_bomb_is_refused_and_the_proxy_goes_on(body: bytes, proxy: Proxy) -> None:
    assert proxy.ask("PUT", "/runs/bomb", data=body).status_code == 422
    assert proxy.ask("GET", "/healthz").json()["ok"]


@pytest.mark.parametrize("run", ["../x", "a/b", "%2e%2e%2fx", "a%00b", "a%0d%0aX-Y:z", "x" * 201])
def test_no_runs_name_leads_anywhere(run: str, proxy: Proxy) -> None:
    answer = talk(port_of(proxy), asked("GET", f"/runs/{run}", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}"))
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 422 "))
    assert b"\r\nX-Y:" not in answer


def test_no_token_is_on_the_command_line_or_in_the_environment_of_any_of_its_processes(proxy: Proxy) -> None:
    eventually(lambda: len(psutil.Process(proxy.process.pid).children()) == 2)
    for process in [psutil.Process(proxy.process.pid), *psutil.Process(proxy.process.pid).children()]:
        told = Path(f"/proc/{process.pid}")
        assert b"chaos" in (told / "cmdline").read_bytes()
        for name in ("cmdline", "environ"):
            assert TOKEN.encode() not in (told / name).read_bytes()
    assert TOKEN not in " ".join(os.environ.values())
