"""TLS on both sides: upstreams that are verified and never spoken to in clear text, and a control API under TLS or in a file."""

from __future__ import annotations

import json
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from chaos.drivers.proxy import Arming, ProxyFleet
from chaos.errors import Unreachable
from chaos.proxy import wire
from chaos.proxy.__main__ import main
from chaos.proxy.process import parse_control
from chaos.proxy.upstream import UpstreamAddress, addressed, parse_upstream
from tests.proxy.loopback import (
    DEADLINE_S,
    TOKEN,
    Backend,
    arming,
    eventually,
    infer,
    running_proxy,
    sized,
    talk,
    unused_port,
)

ERROR = {"fault": "http_error", "status": 503}


class SecureBackend(Backend):
    """A backend under TLS. `names` has the server name that each client asked for, `protocols` what was agreed on."""

    def __init__(self, authority: trustme.CA, *names: str) -> None:
        self.names: list[str | None] = []
        self.protocols: list[str | None] = []
        self.failed = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.context.sni_callback = lambda _, name, __: self.names.append(name)
        authority.issue_cert(*names).configure_cert(self.context)
        super().__init__()

    def _serve(self, connection: socket.socket) -> None:
        try:
            secure = self.context.wrap_socket(connection, server_side=True)
        except OSError:
            self.failed += 1
            connection.close()
            return
        self.protocols.append(secure.selected_alpn_protocol())
        super()._serve(secure)


class ClearText:
    """A server without TLS, which answers whatever comes as an HTTP server does that cannot read it. `seen` has every byte."""

    def __init__(self) -> None:
        self.seen = b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self.seen += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        """Nobody is accepted any more."""
        self._server.close()


@dataclass
class Secured:
    """One proxy and the upstreams behind its routes; all but `clear` and `dead` speak TLS."""

    backend: SecureBackend
    stranger: SecureBackend
    """Its certificate is from an authority that the proxy does not trust."""
    misnamed: SecureBackend
    """Its certificate is for another name."""
    clear: ClearText
    dead: int
    ports: dict[str, int] = field(default_factory=dict)
    """The proxy's port before each of them, by the name above."""


@pytest.fixture(scope="module")
def secured(authority: trustme.CA, trusted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A proxy that trusts the authority alone, before upstreams that are to be found at localhost."""
    made = Secured(
        SecureBackend(authority, "localhost"),
        SecureBackend(trustme.CA(), "localhost"),
        SecureBackend(authority, "other.example"),
        ClearText(),
        unused_port(),
    )
    upstreams = {
        "backend": made.backend.port,
        "stranger": made.stranger.port,
        "misnamed": made.misnamed.port,
        "clear": made.clear.port,
        "dead": made.dead,
    }
    routes = [f"--route={name}=127.0.0.1:0>https://localhost:{port}" for name, port in upstreams.items()]
    with running_proxy(tmp_path_factory.mktemp("tls"), *routes, f"--upstream-ca={trusted}") as proxy:
        made.ports = proxy.routes
        yield made
    for backend in (made.backend, made.stranger, made.misnamed, made.clear):
        backend.close()


def test_an_upstream_is_asked_by_its_own_name_and_everything_else_passes_untouched(
    secured: Secured,
) -> None:
    port, backend = secured.ports["backend"], secured.backend
    backend.forget()
    backend.replies["/chat"] = sized(b"said", "X-Odd:   kept ")
    body = b'{"a": 1}'
    sent = (
        b"POST /chat?x=%%20y HTTP/1.1\r\nhost: 127.0.0.1:9000\r\nAuthorization: Bearer the-users-key\r\n"
        b"X-Odd:  two  spaces\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    )
    assert talk(port, sent + body) == b"".join(backend.replies["/chat"].pieces)
    assert backend.seen == [sent.replace(b"127.0.0.1:9000", b"localhost:%d" % backend.port) + body]
    assert set(backend.names) == {"localhost"}
    assert set(backend.protocols) == {"http/1.1"}


def test_every_request_of_a_client_goes_over_its_one_connection_over_tls(secured: Secured) -> None:
    port, backend = secured.ports["backend"], secured.backend
    talk(port, infer("warm"))
    before = backend.connections
    for place in range(5):
        assert (
            talk(port, infer(f"s{place}", close=False), b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").count(b"ok")
            == 2
        )
    assert backend.connections - before <= 5  # `Connection: close` is passed on, and ends one each


def test_a_large_answer_arrives_whole_over_tls(secured: Secured) -> None:
    port, backend = secured.ports["backend"], secured.backend
    body = bytes(range(256)) * 8192
    backend.replies["/large"] = sized(body)
    assert talk(port, b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").endswith(b"\r\n\r\n" + body)


def refused(port: int) -> tuple[str, str]:
    """Why the proxy answers 502 to a request with a key in it: the header, and the sentence."""
    said = talk(port, infer("someone", b"{}", "Authorization: Bearer secret"))
    assert said.startswith(b"HTTP/1.1 502 Bad Gateway")
    head, _, body = said.partition(b"\r\n\r\n")
    return head.partition(b"x-chaos-proxy: ")[2].partition(b"\r\n")[0].decode(), json.loads(body)["error"]


@pytest.mark.parametrize(("name", "reason"), [("stranger", "unable to get"), ("misnamed", "Hostname mismatch")])
def test_a_wrong_certificate_is_a_502_that_says_so_and_nothing_is_sent(
    name: str, reason: str, secured: Secured
) -> None:
    backend = getattr(secured, name)
    for _ in range(2):
        why, told = refused(secured.ports[name])
        assert why == "upstream-certificate"
        assert f"the certificate of https://localhost:{backend.port} is not accepted: {reason}" in told
    assert not backend.seen
    assert not backend.stray


def test_an_upstream_without_tls_is_a_502_and_never_spoken_to_in_clear_text(secured: Secured) -> None:
    why, told = refused(secured.ports["clear"])
    assert why == "upstream-tls"
    assert f"https://localhost:{secured.clear.port} cannot be spoken to over TLS" in told
    assert secured.clear.seen.startswith(b"\x16\x03")  # a TLS handshake
    assert b"secret" not in secured.clear.seen


def test_an_upstream_under_tls_that_nobody_serves_is_named(secured: Secured) -> None:
    why, told = refused(secured.ports["dead"])
    assert (why, f"https://localhost:{secured.dead}, did not answer" in told) == ("upstream-unreachable", True)


def test_without_other_authorities_the_systems_own_are_asked(authority: trustme.CA, tmp_path: Path) -> None:
    backend = SecureBackend(authority, "localhost")
    with running_proxy(tmp_path, f"--route=model=127.0.0.1:0>https://localhost:{backend.port}") as proxy:
        assert refused(proxy.routes["model"])[0] == "upstream-certificate"
    backend.close()


def test_workers_speak_tls_to_upstreams_too(authority: trustme.CA, trusted: Path, tmp_path: Path) -> None:
    backend = SecureBackend(authority, "localhost")
    flags = [f"--route=model=127.0.0.1:0>https://localhost:{backend.port}", f"--upstream-ca={trusted}", "--workers=2"]
    with running_proxy(tmp_path, *flags) as proxy:
        assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200 OK")
    backend.close()
    assert b"\r\nHost: localhost:%d\r\n" % backend.port in backend.seen[0]


# --- heads and addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("GET / HTTP/1.1\r\nA: 1\r\nHOST:  x \r\nB: 2", "GET / HTTP/1.1\r\nA: 1\r\nHOST: api.example\r\nB: 2"),
        ("GET / HTTP/1.0\r\nA: 1", "GET / HTTP/1.0\r\nHost: api.example\r\nA: 1"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b", "GET / HTTP/1.1\r\nHost: api.example"),
        ("GET / HTTP/1.1\r\nX-Host: a\r\nHost: b", "GET / HTTP/1.1\r\nX-Host: a\r\nHost: api.example"),
        ("GET http://evil/a?b=c HTTP/1.1\r\nHost: evil", "GET /a?b=c HTTP/1.1\r\nHost: api.example"),
        ("GET https://evil HTTP/1.1\r\nHost: evil", "GET / HTTP/1.1\r\nHost: api.example"),
        ("GET https://evil?a HTTP/1.1\r\nHost: evil", "GET /?a HTTP/1.1\r\nHost: api.example"),
        ("GET /a://b HTTP/1.1\r\nHost: c", "GET /a://b HTTP/1.1\r\nHost: api.example"),
        ("OPTIONS * HTTP/1.1\r\nHost: c", "OPTIONS * HTTP/1.1\r\nHost: api.example"),
    ],
)
def test_a_head_is_addressed_to_its_upstream_and_to_nobody_else(before: str, after: str) -> None:
    head = wire.parse_request(f"{before}\r\n\r\n".encode())
    assert addressed(head, b"api.example").raw.decode() == f"{after}\r\n\r\n"


@pytest.mark.parametrize(
    ("text", "address", "authority"),
    [
        ("127.0.0.1:80", UpstreamAddress("127.0.0.1", 80), b"127.0.0.1:80"),
        ("https://api.example.com", UpstreamAddress("api.example.com", 443, tls=True), b"api.example.com"),
        ("https://API.example.com:8443/", UpstreamAddress("api.example.com", 8443, tls=True), b"api.example.com:8443"),
        ("https://[::1]:8443", UpstreamAddress("::1", 8443, tls=True), b"[::1]:8443"),
        ("https://bücher.example", UpstreamAddress("xn--bcher-kva.example", 443, tls=True), b"xn--bcher-kva.example"),
    ],
)
def test_upstreams_are_read(text: str, address: UpstreamAddress, authority: bytes) -> None:
    assert parse_upstream(text) == address
    assert address.authority == authority


@pytest.mark.parametrize(
    "text",
    [
        "https://",
        "ftp://a",
        "https://a/path",
        "https://a?b",
        "https://a:0",
        "https://a:b",
        "https://[::1",
        "https://a..b",
        "a",
    ],
)
def test_an_upstream_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_upstream(text)


def test_the_password_of_an_upstream_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="without a path or a password") as refused:
        parse_upstream("https://me:hunter2@a")
    assert "hunter2" not in str(refused.value)


# --- the control API --------------------------------------------------------------------------------------------------


def control_of(folder: Path) -> str:
    """Where the ports file says that the control API is."""
    return str(json.loads((folder / "ports.json").read_text())["control"])


def test_the_control_api_in_a_unix_socket_is_for_this_user_alone_and_arms(tmp_path: Path) -> None:
    backend, path = Backend(), tmp_path / "control.sock"
    path.touch()
    path.unlink()
    with running_proxy(tmp_path, f"--control=unix:{path}", model=backend.port) as proxy:
        assert control_of(tmp_path) == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        address = f"http+unix://{path}"
        fleet = ProxyFleet([address], TOKEN)
        assert fleet.look(address).holders == ()
        fleet.arm("socket", Arming(arming(ERROR)))
        assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 503")
        assert fleet.read("socket", "model", 1.0).faults[0].injected == 1
        fleet.disarm("socket")
        assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200")
        with pytest.raises(Unreachable, match="token"):
            ProxyFleet([address], "not the token of this proxy").look(address)
    assert not path.exists()
    with pytest.raises(Unreachable, match="cannot be reached"):
        fleet.look(address)
    backend.close()


def test_a_socket_that_a_dead_proxy_left_is_taken_over_and_one_that_lives_is_not(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    token = tmp_path / "token"
    with running_proxy(tmp_path, f"--control=unix:{path}", model=unused_port()):
        flags = ["--route=a=127.0.0.1:0>127.0.0.1:9", f"--token-file={token}", f"--control=unix:{path}"]
        second = subprocess.run(
            [sys.executable, "-m", "chaos.proxy", *flags], check=False, capture_output=True, timeout=DEADLINE_S
        )
        assert (second.returncode, b"somebody listens" in second.stderr) == (1, True)
        assert path.exists()
    path.write_text("no socket")
    second = subprocess.run(
        [sys.executable, "-m", "chaos.proxy", *flags], check=False, capture_output=True, timeout=DEADLINE_S
    )
    assert (second.returncode, b"is no socket" in second.stderr) == (1, True)
    assert path.read_text() == "no socket"


def test_the_control_api_under_tls_arms_whoever_trusts_it(authority: trustme.CA, trusted: Path, tmp_path: Path) -> None:
    backend = Backend()
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    flags = [f"--control-cert={cert}", f"--control-key={key}"]
    with running_proxy(tmp_path, *flags, model=backend.port) as proxy:
        address = f"https://{control_of(tmp_path)}"
        fleet = ProxyFleet([address], TOKEN, ca=str(trusted))
        fleet.arm("tls", Arming(arming(ERROR)))
        assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 503")
        fleet.disarm("tls")
        with pytest.raises(Unreachable, match="cannot be reached"):
            ProxyFleet([address], TOKEN).look(address)
    backend.close()


@contextmanager
def said_by(folder: Path, *flags: str) -> Iterator[list[str]]:
    """What a proxy has said on its standard error once it listens."""
    (folder / "token").write_text(TOKEN)
    ports = folder / "ports.json"
    command = [sys.executable, "-m", "chaos.proxy", "--route=a=127.0.0.1:0>127.0.0.1:9", f"--ports-file={ports}"]
    process = subprocess.Popen(
        [*command, f"--token-file={folder / 'token'}", *flags], stderr=subprocess.PIPE, text=True
    )
    lines: list[str] = []
    assert process.stderr is not None
    reading = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
    reading.start()
    try:
        eventually(lambda: ports.exists() or process.poll() is not None)
    finally:
        process.terminate()
        process.wait(DEADLINE_S)
        reading.join(DEADLINE_S)
        process.stderr.close()
    yield lines


@pytest.mark.parametrize(("control", "warned"), [("0.0.0.0:0", True), ("127.0.0.1:0", False)])
def test_a_control_api_that_others_can_reach_is_warned_of(control: str, warned: bool, tmp_path: Path) -> None:
    with said_by(tmp_path, f"--control={control}") as lines:
        assert any("WARNING: the control API listens on 0.0.0.0" in line for line in lines) == warned
        assert bool(lines) == warned


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--control-cert=/dev/null"], "belong together"),
        (["--control-cert=/dev/null", "--control-key=/dev/null"], "cannot be used as certificate and key"),
        (["--control-cert=a", "--control-key=b", "--control=unix:/tmp/x"], "needs no certificate"),
        (["--upstream-ca=/dev/null"], "cannot be used as certificate authorities"),
        (["--upstream-ca=/nowhere"], "cannot be used as certificate authorities"),
        (["--control=unix:relative"], "write unix:/PATH"),
        (["--control=unix:/" + "x" * 120], "at most 100 bytes"),
        (["--workers=0"], "from 1 to 32"),
        (["--route=a=127.0.0.1:0>127.0.0.1:8"], "the same name"),
        (["--route=b=127.0.0.1:0>https://b/path"], "without a path"),
    ],
)
def test_flags_that_cannot_be_are_refused_with_what_to_write(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with suppress(SystemExit):
        assert main(["--route=a=127.0.0.1:0>127.0.0.1:9", f"--token-file={tmp_path / 'token'}", *flags]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("127.0.0.1:1", False),
        ("localhost:1", False),
        ("[::1]:1", False),
        ("unix:/a", False),
        ("[::]:1", True),
        ("10.0.0.1:1", True),
        ("pod:1", True),
    ],
)
def test_who_may_reach_the_control_api(text: str, others: bool) -> None:
    assert parse_control(text).open_to_others() == others
