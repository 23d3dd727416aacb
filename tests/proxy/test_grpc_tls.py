"""gRPC to upstreams over TLS: verified, as HTTP/2, addressed by their own name; or a status that says what to do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import trustme
from h2 import events
from hpack import NeverIndexedHeaderTuple

from chaos.proxy.counters import Counters
from chaos.proxy.grpc.frames import GoAway
from chaos.proxy.grpc.plane import Bridge
from chaos.proxy.grpc.reach import EndedAtOnce, addressed, connect
from chaos.proxy.registry import Registry
from chaos.proxy.route import Route
from chaos.proxy.upstream import UpstreamAddress, tls_context
from tests.proxy.grpc_loopback import (
    ANSWER_HEADERS,
    DEADLINE_S,
    INFER,
    STREAM_INFER,
    TRAILERS,
    Listener,
    Model,
    client,
    framed,
    prediction,
    request_headers,
)
from tests.proxy.loopback import Proxy, infer, running_proxy, talk, unused_port
from tests.proxy.test_grpc_calls import (
    ANSWER,
    LABELS,
    SCORES,
    SUBJECTS,
    UNLIMITED,
    WRONG,
    arms,
    ask,
    failed,
    message,
    unit,
)

SECRET = "Bearer hunter2-of-the-caller"
NO_COMMON_PROTOCOL = bytes([0x15, 3, 3, 0, 2, 2, 120])
"""The TLS record of the alert no_application_protocol."""


def issued(authority: trustme.CA, *names: str) -> grpc.ServerCredentials:
    """What a gRPC server needs to be these names."""
    made = authority.issue_cert(*names)
    chain = b"".join(one.bytes() for one in made.cert_chain_pems)
    return grpc.ssl_server_credentials([(made.private_key_pem.bytes(), chain)])


def context_of(authority: trustme.CA, *protocols: str) -> ssl.SSLContext:
    """How a server at localhost speaks TLS, with these protocols to choose from."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(made)
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


@dataclass
class Secured:
    """A proxy before gRPC servers that are to be found at localhost; all but `clear` and `dead` speak TLS."""

    model: Model
    stranger: Model
    """Its certificate is from an authority that the proxy does not trust."""
    misnamed: Model
    """Its certificate is for another name."""
    clear: Model
    dead: int
    listener: Listener
    """Taken by the test itself; speaks HTTP/2 and HTTP/1.1."""
    proxy: Proxy
    ports: dict[str, int] = field(default_factory=dict)
    """Where each of them listens, by the name above."""


@pytest.fixture(scope="module")
def _secured(authority: trustme.CA, trusted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    servers = {
        "model": Model(credentials=issued(authority, "localhost")),
        "stranger": Model(credentials=issued(trustme.CA(), "localhost")),
        "misnamed": Model(credentials=issued(authority, "other.example")),
        "clear": Model(),
    }
    listener, dead = Listener(context_of(authority, "h2", "http/1.1")), unused_port()
    ports = {name: server.port for name, server in servers.items()} | {"listener": listener.port, "dead": dead}
    routes = [f"--route={name}=127.0.0.1:0>https://localhost:{port}" for name, port in ports.items()]
    with running_proxy(tmp_path_factory.mktemp("grpc-tls"), *routes, f"--upstream-ca={trusted}") as proxy:
        yield Secured(**servers, dead=dead, listener=listener, proxy=proxy, ports=ports)
    for server in servers.values():
        server.gone()
    listener.socket.close()


@pytest.fixture
def secured(_secured: Secured) -> Secured:
    """As new, and nobody holds the proxy."""
    for server in (_secured.model, _secured.stranger, _secured.misnamed, _secured.clear):
        server.forget()
    assert _secured.proxy.ask("DELETE", "/runs").status_code == 204
    return _secured


@pytest.fixture
def channel(secured: Secured) -> Iterator[grpc.Channel]:
    """To the model, through the proxy."""
    with grpc.insecure_channel(f"127.0.0.1:{secured.proxy.routes['model']}", UNLIMITED) as made:
        yield made


# --- calls ------------------------------------------------------------------------------------------------------------


def test_exactly_the_selected_rows_of_the_treatment_arm_change(secured: Secured, channel: grpc.Channel) -> None:
    secured.model.answer = lambda request, context: ANSWER
    secured.proxy.arm("rows", WRONG, arms=arms(0.5))
    changed_rows = 0
    for subject in SUBJECTS[:60]:
        treated = unit("a seed", "arm", subject) < 0.5
        hurt = [treated and unit("a seed", "fault", 0, subject, row) < 0.3 for row in range(len(LABELS))]
        labels = [1 - label if one else label for label, one in zip(LABELS, hurt, strict=True)]
        scores = [pair[::-1] if one else pair for pair, one in zip(SCORES, hurt, strict=True)]
        assert message(channel, subject) == prediction(labels, scores, b"a field of tomorrow")
        changed_rows += sum(hurt)
    state = secured.proxy.state("rows")["faults"]["0"]
    assert changed_rows > 10
    assert (state["changed_rows"], state["undecodable"]) == (changed_rows, 0)
    assert secured.proxy.ask("DELETE", "/runs/rows").status_code == 204
    assert all(message(channel, subject) == ANSWER for subject in SUBJECTS[:10])


def test_a_stream_passes_message_by_message_while_a_fault_is_armed(secured: Secured, channel: grpc.Channel) -> None:
    secured.proxy.arm("streams", {**WRONG, "share": "100%"})
    turn = [threading.Event() for _ in range(4)]

    def questions() -> Iterator[bytes]:
        for place, event in enumerate(turn):
            assert event.wait(DEADLINE_S)
            yield b"%d" % place

    metadata = (("x-request-id", "s"),)
    answers = channel.stream_stream(STREAM_INFER)(questions(), metadata=metadata, timeout=DEADLINE_S)
    for place, event in enumerate(turn):
        event.set()
        assert next(answers) == b"%d" % place  # before the next question is asked
    assert list(answers) == []
    assert answers.code() == grpc.StatusCode.OK


def test_a_call_is_what_it_is_without_the_proxy(secured: Secured, channel: grpc.Channel, trusted: Path) -> None:
    """Message, metadata both ways, status, details, and metadata behind an error."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.send_initial_metadata((("x-first", "1"), ("x-raw-bin", b"\0\xff")))
        context.set_trailing_metadata((("x-last", "2"), ("x-raw-bin", b"\1")))
        if request == b"fail":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "100% of é")
        return request * 3

    secured.model.answer = answer
    credentials = grpc.ssl_channel_credentials(trusted.read_bytes())
    seen = []
    with grpc.secure_channel(f"localhost:{secured.model.port}", credentials, UNLIMITED) as direct:
        for each in (direct, channel):
            metadata = (("x-in-bin", b"\0\1"), ("authorization", SECRET))
            done = ask(each, "a", b"question", metadata=metadata)
            wrong = failed(lambda each=each: ask(each, "a", b"fail"))  # type: ignore[misc]
            seen.append(
                [done.initial_metadata(), done.trailing_metadata(), wrong.code(), wrong.details(), wrong.trailing_metadata(),
                 each.unary_unary(INFER)(b"q" * 3_000_000, timeout=DEADLINE_S)]
            )  # fmt: skip
    assert seen[0] == seen[1]
    asked = [(path, told, request) for path, told, request in secured.model.asked]
    assert asked[:3] == asked[3:]
    assert asked[3][1]["authorization"] == SECRET


def test_what_callers_authorize_themselves_with_is_neither_stored_nor_logged(
    authority: trustme.CA, trusted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = Model(credentials=issued(authority, "localhost"))
    model.answer = lambda request, context: ANSWER
    routes = [f"--route={n}=127.0.0.1:0>https://localhost:{p}" for n, p in (("model", model.port), ("dead", 1))]
    with running_proxy(tmp_path, *routes, f"--upstream-ca={trusted}") as proxy:
        proxy.arm("secrets", {**WRONG, "share": "100%"})
        for name in ("model", "dead"):
            with grpc.insecure_channel(f"127.0.0.1:{proxy.routes[name]}", UNLIMITED) as channel:
                call = channel.unary_unary(INFER).future(
                    b"", metadata=(("x-request-id", "s"), ("authorization", SECRET)), timeout=DEADLINE_S
                )
                assert (call.exception() is None) == (name == "model")
        assert model.asked[0][1]["authorization"] == SECRET
        told = [proxy.ask("GET", path).text for path in ("/runs/secrets", "/runs/secrets/changes", "/metrics")]
        assert '"changed_rows": 5' in told[0]
        assert not [text for text in told if "hunter2" in text]
    model.gone()
    said = capfd.readouterr()
    assert "hunter2" not in said.out + said.err


def test_workers_pass_grpc_on_over_tls_too(authority: trustme.CA, trusted: Path, tmp_path: Path) -> None:
    model = Model(credentials=issued(authority, "localhost"))
    flags = [f"--route=model=127.0.0.1:0>https://localhost:{model.port}", f"--upstream-ca={trusted}", "--workers=2"]
    with (
        running_proxy(tmp_path, *flags) as proxy,
        grpc.insecure_channel(f"127.0.0.1:{proxy.routes['model']}", UNLIMITED) as channel,
    ):
        assert channel.unary_unary(INFER)(b"hello", timeout=DEADLINE_S) == b"hello"
    model.gone()


# --- how the upstream is addressed ------------------------------------------------------------------------------------


def test_a_call_is_addressed_to_its_upstream_and_every_other_header_passes_untouched(secured: Secured) -> None:
    names: list[str | None] = []
    assert secured.listener.context is not None
    secured.listener.context.sni_callback = lambda _, name, __: names.append(name)
    more = [(b"x-b", b"2"), (b"x-raw-bin", b"AAECAw"), (b"x-b", b"3")]
    with client(secured.proxy.routes["listener"]) as caller:
        secretly = NeverIndexedHeaderTuple(b"authorization", SECRET.encode())
        caller.http2.send_headers(1, [*request_headers(*more), secretly])
        caller.http2.send_data(1, framed(b"question"), end_stream=True)
        caller.send()
        server = secured.listener.accept()
        asked = server.until(events.RequestReceived)
        own = {b":authority": b"localhost:%d" % secured.listener.port, b":scheme": b"https"}
        wanted = [(name, own.get(name, value)) for name, value in request_headers(*more)]
        assert asked.headers == [*wanted, (b"authorization", SECRET.encode())]
        assert isinstance((asked.headers or [])[-1], NeverIndexedHeaderTuple)
        assert server.socket.selected_alpn_protocol() == "h2"  # type: ignore[attr-defined]
        assert names == ["localhost"]
        server.http2.send_headers(1, ANSWER_HEADERS)
        server.http2.send_headers(1, TRAILERS, end_stream=True)
        server.send()
        assert caller.until(events.TrailersReceived).headers == TRAILERS


def test_http1_and_grpc_share_a_route_and_each_agrees_on_its_own_protocol(secured: Secured) -> None:
    with client(secured.proxy.routes["listener"]) as caller:
        caller.http2.send_headers(1, request_headers(), end_stream=True)
        caller.send()
        server = secured.listener.accept()
        server.until(events.RequestReceived)
        answered: list[bytes] = []
        plain = threading.Thread(
            target=lambda: answered.append(talk(secured.proxy.routes["listener"], infer("someone")))
        )
        plain.start()
        with secured.listener.connection() as other:
            assert other.selected_alpn_protocol() == "http/1.1"  # type: ignore[attr-defined]
            assert other.recv(65536).startswith(b"POST /v2/models/model/infer HTTP/1.1\r\n")
            other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            plain.join(DEADLINE_S)
        assert answered == [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]


HERE = UpstreamAddress("api.example", 8443, tls=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/"), (b"x", b"1")],
         [(b":scheme", b"https"), (b":authority", b"api.example:8443"), (b":path", b"/"), (b"x", b"1")]),
        ([(b":scheme", b"http"), (b":path", b"/"), (b"x", b"1"), (b"host", b"a"), (b"y", b"2")],
         [(b":scheme", b"https"), (b":path", b"/"), (b":authority", b"api.example:8443"), (b"x", b"1"), (b"y", b"2")]),
        ([(b":authority", b"a"), (b":scheme", b"http"), (b"host", b"a"), (b"x-host", b"a")],
         [(b":authority", b"api.example:8443"), (b":scheme", b"https"), (b"x-host", b"a")]),
    ],
)  # fmt: skip
def test_a_request_has_one_authority_before_its_other_headers(
    before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]]
) -> None:
    assert addressed(before, HERE) == after


# --- who is not spoken to ---------------------------------------------------------------------------------------------


def refused(port: int) -> tuple[str, str, str]:
    """How the proxy answers a call that carries a key: its status, why, and the message."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", UNLIMITED) as channel:
        calls = [failed(lambda: ask(channel, "s", b"secret", metadata=(("authorization", SECRET),))) for _ in range(2)]
    told = [(one.code().name, dict(one.trailing_metadata())["x-chaos-proxy"], one.details()) for one in calls]
    assert told[0] == told[1]  # the connection lives, and the next call tries again
    return told[0]


@pytest.mark.parametrize(
    ("name", "why", "said"),
    [
        ("stranger", "upstream-certificate", ["is not accepted: unable to get", "--upstream-ca"]),
        ("misnamed", "upstream-certificate", ["is not accepted: Hostname mismatch", "write its own name in --route"]),
        ("clear", "upstream-tls", ["cannot be spoken to over TLS", "write HOST:PORT without https://"]),
        ("dead", "upstream-unreachable", ["did not answer", "is it running, and its address right?"]),
    ],
)
def test_an_upstream_that_is_not_who_it_should_be_is_unavailable_and_told_nothing(
    name: str, why: str, said: list[str], secured: Secured
) -> None:
    code, told, details = refused(secured.proxy.routes[name])
    assert (code, told) == ("UNAVAILABLE", why)
    for part in (f"https://localhost:{secured.ports[name]}", *said):
        assert part in details
    assert not getattr(getattr(secured, name), "asked", [])
    assert f'chaos_proxy_upstream_unreachable_total{{route="{name}"}} ' in secured.proxy.ask("GET", "/metrics").text


@pytest.mark.parametrize("protocols", [(), ("http/1.1",)], ids=["without ALPN", "HTTP/1.1 alone"])
def test_an_upstream_that_does_not_agree_on_http2_is_unavailable_and_told_nothing(
    protocols: tuple[str, ...], authority: trustme.CA, trusted: Path, tmp_path: Path
) -> None:
    with ExitStack() as exits:
        listener = Listener(context_of(authority, *protocols))
        exits.enter_context(closing(listener.socket))
        heard: list[bytes] = []

        def serve() -> None:
            for _ in range(2):
                with listener.connection() as connection:
                    try:
                        heard.append(connection.recv(65536))
                    except OSError:
                        heard.append(b"")

        threading.Thread(target=serve, daemon=True).start()
        flags = [f"--route=model=127.0.0.1:0>https://localhost:{listener.port}", f"--upstream-ca={trusted}"]
        proxy = exits.enter_context(running_proxy(tmp_path, *flags))
        code, why, details = refused(proxy.routes["model"])
        assert (code, why) == ("UNAVAILABLE", "upstream-http2")
        assert (
            "does not agree on HTTP/2 (h2 in ALPN), which gRPC needs; is this the port of its gRPC server?" in details
        )
    assert heard == [b"", b""]


def plain_upstream(exits: ExitStack, answer: bytes) -> tuple[int, list[bytes]]:
    """A server that answers whatever comes first with these bytes and hangs up: its port, and what came."""
    server, heard = exits.enter_context(socket.create_server(("127.0.0.1", 0))), []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    threading.Thread(target=serve, daemon=True).start()
    return int(server.getsockname()[1]), heard


def test_a_server_that_refuses_every_protocol_it_is_offered_is_named_like_one_without_http2(
    trusted: Path, tmp_path: Path
) -> None:
    with ExitStack() as exits:
        port, heard = plain_upstream(exits, NO_COMMON_PROTOCOL)
        flags = [f"--route=model=127.0.0.1:0>https://localhost:{port}", f"--upstream-ca={trusted}"]
        proxy = exits.enter_context(running_proxy(tmp_path, *flags))
        assert refused(proxy.routes["model"])[:2] == ("UNAVAILABLE", "upstream-http2")
        assert all(one.startswith(b"\x16\x03") for one in heard)
        assert not any(b"secret" in one or b"hunter2" in one for one in heard)


def test_an_upstream_that_ends_the_connection_behind_the_handshake_is_unavailable_at_once(
    authority: trustme.CA, trusted: Path, tmp_path: Path
) -> None:
    with ExitStack() as exits:
        listener = Listener(context_of(authority, "h2"))
        exits.enter_context(closing(listener.socket))
        threading.Thread(target=lambda: [listener.connection().close() for _ in range(2)], daemon=True).start()
        flags = [f"--route=model=127.0.0.1:0>https://localhost:{listener.port}", f"--upstream-ca={trusted}"]
        proxy = exits.enter_context(running_proxy(tmp_path, *flags))
        code, why, details = refused(proxy.routes["model"])
    assert (code, why) == ("UNAVAILABLE", "upstream-closed")
    assert "ended the connection before it said anything" in details
    assert "does it want certificates of its clients?" in details


def test_a_goaway_that_comes_with_the_handshake_reaches_the_client(
    authority: trustme.CA, trusted: Path, tmp_path: Path
) -> None:
    """It may be there before anybody has had time to notice that the upstream is connected to."""
    with ExitStack() as exits:
        listener = Listener(context_of(authority, "h2"))
        exits.enter_context(closing(listener.socket))
        flags = [f"--route=model=127.0.0.1:0>https://localhost:{listener.port}", f"--upstream-ca={trusted}"]
        proxy = exits.enter_context(running_proxy(tmp_path, *flags))
        with client(proxy.routes["model"]) as caller:
            caller.http2.send_headers(1, request_headers(), end_stream=True)
            caller.send()
            with listener.connection() as connection:
                connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + GoAway(0, 0, b"full").frame())
                data = b""
                while b"full" not in data:
                    data += caller.socket.recv(65536)
    assert bytes([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7]) in data  # the call is refused: it may be sent again


def test_without_a_context_for_http2_a_route_over_tls_is_never_spoken_to_in_clear_text() -> None:
    async def reach(port: int) -> None:
        route = Route("model", "127.0.0.1", port, Registry(lambda: 0.0), Counters(), tls=tls_context(None))
        await connect(Bridge(route).client, route)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.0)
        with pytest.raises(OSError, match="clear text is never spoken instead"):
            asyncio.run(reach(server.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_link_that_is_over_by_the_time_it_is_connected_is_no_connection() -> None:
    """The event loop may hear of the end before the task that waits for the connection runs again."""

    async def reach(port: int) -> None:
        route = Route("model", "127.0.0.1", port, Registry(lambda: 0.0), Counters())
        link = Bridge(route).client
        link.over = True
        await connect(link, route)

    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(EndedAtOnce):
        asyncio.run(reach(server.getsockname()[1]))


def test_an_upstream_in_clear_text_that_speaks_no_http2_is_unavailable_and_the_connection_lives(tmp_path: Path) -> None:
    with ExitStack() as exits:
        port, _ = plain_upstream(exits, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        proxy = exits.enter_context(running_proxy(tmp_path, model=port))
        code, why, details = refused(proxy.routes["model"])
    assert (code, why) == ("UNAVAILABLE", "upstream-http2")
    assert details == (
        "the model behind this proxy does not speak HTTP/2, which gRPC needs; is this the port of its gRPC server?"
    )


def test_an_upstream_in_clear_text_that_hangs_up_before_it_speaks_is_unavailable(tmp_path: Path) -> None:
    with ExitStack() as exits:
        port, _ = plain_upstream(exits, b"")
        proxy = exits.enter_context(running_proxy(tmp_path, model=port))
        assert refused(proxy.routes["model"])[:2] == ("UNAVAILABLE", "upstream-closed")
