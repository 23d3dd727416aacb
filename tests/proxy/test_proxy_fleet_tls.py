"""Every replica behind a name over TLS: each must prove to be the name, whatever address it has, before it is told the token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from chaos.app.surveyor import drivers_of
from chaos.drivers.fleet import replicas
from chaos.drivers.proxy import Arming, ProxyFleet
from chaos.errors import Unreachable
from tests.proxy.loopback import TOKEN, Backend, Proxy, arming, infer, running_proxy, sized, talk, unused_port
from tests.proxy.test_proxy_tls import ClearText, SecureBackend
from tests.values import system

ERROR = {"fault": "http_error", "status": 503}
HOSTS = ("127.0.0.1", "127.0.0.2")


def certified(authority: trustme.CA, folder: Path, *names: str) -> list[str]:
    """The flags of a control API whose certificate is for these names."""
    folder.mkdir(exist_ok=True)
    issued, cert, key = authority.issue_cert(*names), folder / "cert.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    return [f"--control-cert={cert}", f"--control-key={key}"]


class Pods:
    """Proxies whose control APIs are at one port of several addresses, under TLS, and a name service that knows them."""

    def __init__(self, authority: trustme.CA, ca: Path, folder: Path, exits: ExitStack) -> None:
        self.backend, self.port = Backend(), unused_port()
        self.authority, self.ca, self.folder, self.exits = authority, ca, folder, exits
        self.ready = list(HOSTS)
        self.routes: dict[str, int] = {}
        for host in HOSTS:
            self.routes[host] = self.born(host, "proxies.ml").routes["model"]

    def born(self, host: str, *names: str) -> Proxy:
        """One more proxy, whose certificate is for these names."""
        flags = [f"--control={host}:{self.port}", *certified(self.authority, self.folder / host, *names)]
        return self.exits.enter_context(running_proxy(self.folder / host, *flags, model=self.backend.port))

    def names(self, name: str, port: int) -> list[str]:
        """What a resolver says."""
        assert (name, port) == ("proxies.ml", self.port)
        return list(self.ready)

    def fleet(self, ca: str | None = "trusted") -> ProxyFleet:
        """The client of them all."""
        known = str(self.ca) if ca == "trusted" else ca
        return ProxyFleet([f"dns+https://proxies.ml:{self.port}"], TOKEN, ca=known, resolve=self.names)

    def hurt(self) -> list[str]:
        """Whose traffic is hurt."""
        asked = {host: talk(port, infer("someone")) for host, port in self.routes.items()}
        return [host for host, said in asked.items() if said.startswith(b"HTTP/1.1 503")]


@pytest.fixture(scope="module")
def _pods(authority: trustme.CA, trusted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    with ExitStack() as exits:
        made = Pods(authority, trusted, tmp_path_factory.mktemp("secure-pods"), exits)
        yield made
        made.backend.close()


@pytest.fixture
def pods(_pods: Pods) -> Pods:
    """All are ready."""
    _pods.ready = list(HOSTS)
    return _pods


def test_every_replica_that_proves_to_be_the_name_is_armed_counted_and_disarmed(pods: Pods) -> None:
    fleet = pods.fleet()
    assert not fleet.look(fleet.addresses[0]).holders
    fleet.arm("all", Arming(arming(ERROR)))
    assert pods.hurt() == list(HOSTS)
    assert [one.run for one in fleet.look(fleet.addresses[0]).holders] == ["all"]
    fleet.renew("all")
    assert fleet.read("all", "model", 1.0).faults[0].injected == 2
    fleet.disarm("all")
    assert pods.hurt() == []


def test_a_certificate_for_the_address_alone_is_none_for_the_name_and_nobody_is_armed(
    pods: Pods, authority: trustme.CA
) -> None:
    host = "127.0.0.9"
    pods.born(host, host, "other.ml")
    pods.ready = [*HOSTS, host]
    with pytest.raises(Unreachable, match=r"127\.0\.0\.9.*not accepted: Hostname mismatch.*'proxies\.ml'"):
        pods.fleet().arm("none", Arming(arming(ERROR)))
    assert pods.hurt() == []


def test_authorities_that_nobody_named_are_not_trusted(pods: Pods) -> None:
    with pytest.raises(Unreachable, match="cannot be reached: its certificate is not accepted: unable to get"):
        pods.fleet(ca=None).arm("none", Arming(arming(ERROR)))
    assert pods.hurt() == []


def test_a_control_api_in_clear_text_is_not_told_the_token(pods: Pods) -> None:
    plain = ClearText()
    address = f"dns+https://proxies.ml:{plain.port}"
    fleet = ProxyFleet([address], TOKEN, ca=str(pods.ca), resolve=lambda *_: ["127.0.0.1"])
    with pytest.raises(Unreachable, match="cannot be reached: no TLS can be spoken with it"):
        fleet.look(address)
    plain.close()
    assert plain.seen.startswith(b"\x16\x03")  # a TLS handshake
    assert TOKEN.encode() not in plain.seen


def test_a_replica_is_asked_for_by_the_name_and_not_by_its_address(authority: trustme.CA, trusted: Path) -> None:
    backend = SecureBackend(authority, "proxies.ml")
    backend.replies["/version"] = sized(b'{"version": "1", "held_by": null}')
    address = f"dns+https://proxies.ml:{backend.port}"
    fleet = ProxyFleet([address], TOKEN, ca=str(trusted), resolve=lambda *_: ["127.0.0.1"])
    assert fleet.look(address).version == "1"
    backend.close()
    assert set(backend.names) == {"proxies.ml"}
    assert all(b"\r\nHost: proxies.ml:%d\r\n" % backend.port in one for one in backend.seen)


def test_a_fleet_may_be_behind_several_names_each_with_its_own_certificates(
    authority: trustme.CA, trusted: Path
) -> None:
    one, two = SecureBackend(authority, "one.ml"), SecureBackend(authority, "two.ml")
    for backend in (one, two):
        backend.replies["/version"] = sized(b'{"version": "1", "held_by": null}')
    addresses = [f"dns+https://one.ml:{one.port}", f"dns+https://two.ml:{two.port}"]
    fleet = ProxyFleet(addresses, TOKEN, ca=str(trusted), resolve=lambda *_: ["127.0.0.1"])
    for address in (*addresses, *addresses):
        assert fleet.look(address).version == "1"
    one.close()
    two.close()
    assert (set(one.names), set(two.names)) == ({"one.ml"}, {"two.ml"})


def test_a_replica_over_tls_that_dies_and_leaves_the_name_fails_no_undo(pods: Pods) -> None:
    fleet, host = pods.fleet(), "127.0.0.7"
    with ExitStack() as life:
        flags = [f"--control={host}:{pods.port}", *certified(pods.authority, pods.folder / host, "proxies.ml")]
        life.enter_context(running_proxy(pods.folder / host, *flags, model=pods.backend.port))
        pods.ready = [*HOSTS, host]
        fleet.arm("mourned", Arming(arming(ERROR)))
    pods.ready = list(HOSTS)
    fleet.renew("mourned")
    assert fleet.left("mourned") == (f"https://{host}:{pods.port}",)
    fleet.disarm("mourned")
    assert pods.hurt() == []


def test_the_system_file_names_the_fleet_and_its_authorities(
    authority: trustme.CA, trusted: Path, tmp_path: Path
) -> None:
    """With the machine's own resolver."""
    (tmp_path / "ca.pem").write_bytes(trusted.read_bytes())
    port = unused_port()
    flags = [f"--control=localhost:{port}", *certified(authority, tmp_path, "localhost")]
    lines = f"proxies: ['dns+https://localhost:{port}']\n    control_ca: ca.pem\n    token: {TOKEN}"
    made = system(("proxies: ['http://127.0.0.1:8474']", lines))
    with running_proxy(tmp_path, *flags, model=unused_port()):
        fleet = drivers_of(made, tmp_path).fleets["loan-model"]
        assert not fleet.look(fleet.addresses[0]).holders


def test_a_name_stands_for_one_address_over_tls_for_each_replica() -> None:
    found = replicas("dns+https://proxies:8474", lambda *_: ["10.0.0.7", "::1"])
    assert found == ("https://10.0.0.7:8474", "https://[::1]:8474")
