"""Every replica behind a name: all are armed or none, and what is born or dies meanwhile is reported and fails no undo."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chaos.drivers.fleet import NoAddress, addresses_of, replicas
from chaos.drivers.proxy import Arming, ProxyFleet
from chaos.errors import Unreachable
from chaos.survey import Holder
from tests.proxy.loopback import DEADLINE_S, TOKEN, Backend, Proxy, arming, infer, running_proxy, talk, unused_port

ERROR = {"fault": "http_error", "status": 503}
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


class Pods:
    """Three proxies that listen at one port of three addresses, and a name service that says which of them are ready."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self.backend, self.port = Backend(), unused_port()
        self.ready = list(HOSTS)
        self.proxies: dict[str, Proxy] = {}
        for host in HOSTS:
            (folder / host).mkdir()
            flags = f"--control={host}:{self.port}"
            self.proxies[host] = exits.enter_context(running_proxy(folder / host, flags, model=self.backend.port))

    def names(self, name: str, port: int) -> list[str]:
        """What a resolver says."""
        assert (name, port) == ("proxies.ml", self.port)
        return list(self.ready)

    def fleet(self) -> ProxyFleet:
        """The client of them all."""
        return ProxyFleet([f"dns+http://proxies.ml:{self.port}"], TOKEN, resolve=self.names)

    def hurt(self) -> list[str]:
        """Whose traffic is hurt."""
        ports = {host: proxy.routes["model"] for host, proxy in self.proxies.items()}
        return [host for host, port in ports.items() if talk(port, infer("someone")).startswith(b"HTTP/1.1 503")]

    def url(self, host: str) -> str:
        """The address that the host's proxy is known by."""
        return f"http://{host}:{self.port}"


@pytest.fixture(scope="module")
def _pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    with ExitStack() as exits:
        made = Pods(tmp_path_factory.mktemp("pods"), exits)
        yield made
        made.backend.close()


@pytest.fixture
def pods(_pods: Pods) -> Pods:
    """All are ready, and nobody holds them."""
    _pods.ready = list(HOSTS)
    for proxy in _pods.proxies.values():
        assert proxy.ask("DELETE", "/runs").status_code == 204
    return _pods


def test_every_replica_behind_a_name_is_armed_renewed_counted_and_disarmed(pods: Pods) -> None:
    fleet = pods.fleet()
    assert fleet.look(fleet.addresses[0]).holders == ()
    fleet.arm("all", Arming(arming(ERROR)))
    assert pods.hurt() == list(HOSTS)
    assert fleet.look(fleet.addresses[0]).holders == (Holder("all"),)
    fleet.renew("all")
    read = fleet.read("all", "model", 1.0)
    assert (read.state, read.treatment.requests, read.faults[0].injected) == ("armed", 3, 3)
    fleet.disarm("all")
    assert pods.hurt() == []


def test_when_one_replica_refuses_none_is_armed(pods: Pods) -> None:
    pods.proxies[HOSTS[2]].arm("another", {"fault": "delay", "by": "1ms"})
    with pytest.raises(Unreachable, match="another"):
        pods.fleet().arm("none", Arming(arming(ERROR)))
    assert pods.hurt() == []
    assert pods.proxies[HOSTS[2]].ask("GET", "/healthz").json()["held_by"] == "another"
    assert pods.fleet().look(pods.fleet().addresses[0]).holders == (Holder("another"),)


def test_a_name_is_held_by_everybody_who_holds_one_of_its_replicas(pods: Pods) -> None:
    north, south = (
        {"traffic": 1.0, "by": "request", "where": f'header:x == "{place}"'} for place in ("north", "south")
    )
    pods.proxies[HOSTS[0]].arm("north", arms=north)
    pods.proxies[HOSTS[1]].arm("south", arms=south)
    pods.proxies[HOSTS[2]].arm("north", arms=north)
    assert pods.fleet().look(pods.fleet().addresses[0]).holders == (
        Holder("north", 'header:x == "north"'),
        Holder("south", 'header:x == "south"'),
    )


def test_when_one_replica_does_not_answer_none_is_armed(pods: Pods) -> None:
    pods.ready = [*HOSTS, "127.0.0.4"]
    with pytest.raises(Unreachable, match=r"127\.0\.0\.4"):
        pods.fleet().arm("none", Arming(arming(ERROR)))
    assert pods.hurt() == []


def test_a_replica_that_is_born_later_stays_idle_and_is_reported_once(
    pods: Pods, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = pods.fleet()
    pods.ready = list(HOSTS[:2])
    fleet.arm("older", Arming(arming(ERROR)))
    pods.ready = list(HOSTS)
    with caplog.at_level(logging.WARNING):
        fleet.renew("older")
        fleet.arm("older", Arming(arming(ERROR)))
        fleet.renew("older")
    assert pods.hurt() == list(HOSTS[:2])
    assert fleet.joined("older") == (pods.url(HOSTS[2]),)
    assert [record.getMessage() for record in caplog.records] == [
        f"the fault proxy at {pods.url(HOSTS[2])} was born after the run older began; it stays idle"
    ]
    fleet.disarm("older")
    assert pods.hurt() == []


def test_a_replica_that_dies_and_leaves_the_name_is_reported_and_fails_no_undo(
    pods: Pods, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    fleet, host = pods.fleet(), "127.0.0.9"
    with running_proxy(tmp_path, f"--control={host}:{pods.port}", model=pods.backend.port) as mortal:
        pods.ready = [*HOSTS, host]
        fleet.arm("mourned", Arming(arming(ERROR)))
        assert mortal.ask("GET", "/healthz").json()["held_by"] == "mourned"
    pods.ready = list(HOSTS)
    fleet.renew("mourned")
    assert fleet.left("mourned") == (pods.url(host),)
    assert fleet.read("mourned", "model", 1.0).state == "armed"
    fleet.disarm("mourned")
    assert pods.hurt() == []
    assert f"the fault proxy at {pods.url(host)} has gone in the middle of the run mourned" in caplog.text


def test_a_replica_that_dies_between_the_last_renewal_and_the_undo_does_not_fail_it(pods: Pods, tmp_path: Path) -> None:
    fleet, host = pods.fleet(), "127.0.0.9"
    with running_proxy(tmp_path, f"--control={host}:{pods.port}", model=pods.backend.port):
        pods.ready = [host, *HOSTS]
        fleet.arm("late", Arming(arming(ERROR)))
    pods.ready = list(HOSTS)
    fleet.disarm("late")
    assert pods.hurt() == []
    assert fleet.left("late") == (pods.url(host),)


def test_a_replica_that_is_silent_and_still_named_fails_the_undo_after_the_others_were_disarmed(
    pods: Pods, tmp_path: Path
) -> None:
    fleet, host = pods.fleet(), "127.0.0.9"
    with running_proxy(tmp_path, f"--control={host}:{pods.port}", model=pods.backend.port):
        pods.ready = [host, *HOSTS]
        fleet.arm("silent", Arming(arming(ERROR)))
    with pytest.raises(Unreachable, match=r"127\.0\.0\.9"):
        fleet.renew("silent")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.9"):
        fleet.disarm("silent")
    assert pods.hurt() == []


def test_another_client_disarms_whoever_is_behind_the_name_now(pods: Pods) -> None:
    pods.fleet().arm("orphaned", Arming(arming(ERROR)))
    pods.fleet().disarm("orphaned")
    assert pods.hurt() == []


def test_when_the_whole_fleet_is_gone_a_renewal_fails_and_the_undo_does_not(pods: Pods, tmp_path: Path) -> None:
    fleet, host = pods.fleet(), "127.0.0.9"
    with running_proxy(tmp_path, f"--control={host}:{pods.port}", model=pods.backend.port):
        pods.ready = [host]
        fleet.arm("extinct", Arming(arming(ERROR)))
    pods.ready = []
    with pytest.raises(Unreachable, match=r"every fault proxy of dns.*proxies\.ml.* is gone"):
        fleet.renew("extinct")
    fleet.disarm("extinct")
    assert fleet.left("extinct") == (pods.url(host),)


def test_a_name_without_an_address_arms_nothing_and_says_so() -> None:
    nobody = ProxyFleet(["dns+http://proxies.ml:9"], TOKEN, resolve=lambda *_: [])
    with pytest.raises(NoAddress, match=r"proxies\.ml has no address"):
        nobody.arm("r", Arming(arming(ERROR)))
    with pytest.raises(NoAddress):
        nobody.look("dns+http://proxies.ml:9")


def test_an_ill_resolver_is_no_proof_that_anybody_died(tmp_path: Path) -> None:
    ill = False

    def names(name: str, port: int) -> list[str]:
        if ill:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return ["127.0.0.1"]

    with running_proxy(tmp_path, model=unused_port()) as proxy:
        port = proxy.control.rpartition(":")[2]
        fleet = ProxyFleet([f"dns+http://proxies.ml:{port}"], TOKEN, resolve=names)
        fleet.arm("doubted", Arming(arming(ERROR)))
        ill = True
        fleet.renew("doubted")
        proxy.process.terminate()
        proxy.process.wait(DEADLINE_S)
    with pytest.raises(Unreachable):
        fleet.disarm("doubted")
    assert fleet.left("doubted") == ()


def test_names_are_looked_up_with_the_machines_own_resolver() -> None:
    assert "127.0.0.1" in addresses_of("localhost", 80)
    assert addresses_of("127.0.0.7", 80) == ["127.0.0.7"]
    assert replicas("dns+http://127.0.0.7:8474") == ("http://127.0.0.7:8474",)
    assert replicas("dns+http://proxies:8474", lambda *_: ["::1"]) == ("http://[::1]:8474",)
    assert replicas("http+unix:///run/a b.sock") == ("http+unix://%2Frun%2Fa%20b.sock",)
    assert replicas("https://proxy:8474") == ("https://proxy:8474",)
