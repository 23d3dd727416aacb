"""What is looked for and found: containers by their labels, Alertmanager by Prometheus' word, proxies that are scraped."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from chaos.app.looking import Addresses, look
from chaos.drivers.docker_listing import running
from chaos.errors import Unreachable
from chaos.first_steps.found import ContainersFound
from tests.first_steps.servers import IDLE_PROXY, lab_monitoring, serving

CONTAINERS = [
    {"Names": ["/fraud-1"], "Labels": {"app": "fraud-model", "chaos.enabled": "true"}},
    {"Names": ["/fraud-2"], "Labels": {"app": "fraud-model"}},
    {"Names": ["/shop-db-1"], "Labels": {"com.docker.compose.service": "db"}},
    {"Names": ["/odd"], "Labels": None},
]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Docker engine that answers as one does which is asked for its version and its containers."""
    with serving(
        {"/version": {"ApiVersion": "1.44", "MinAPIVersion": "1.24"}, "/v1.44/containers/json": CONTAINERS}
    ) as address:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{urlsplit(address).netloc}")
        yield


@pytest.mark.usefixtures("engine")
def test_containers_that_serve_or_have_opted_in_are_found_by_what_they_share() -> None:
    with lab_monitoring() as (prometheus, _):
        found = look(Addresses(prometheus, docker=True))
    assert found.containers == (ContainersFound(("app", "fraud-model"), ("fraud-1", "fraud-2"), 1),)
    assert "Docker: 4 containers run, 1 of them carry chaos.enabled=true" in found.looked


def test_an_engine_that_must_be_there_and_is_not_ends_it_and_else_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(Unreachable, match="systemctl start docker"):
        running()
    with lab_monitoring() as (prometheus, _):
        with pytest.raises(Unreachable):
            look(Addresses(prometheus, docker=True))
        assert any("none runs here" in one for one in look(Addresses(prometheus)).looked)


def test_alertmanager_is_the_one_that_prometheus_tells_with_its_routes_and_receivers() -> None:
    with lab_monitoring() as (prometheus, alertmanager):
        found = look(Addresses(prometheus, docker=False))
    assert found.alertmanager == alertmanager
    assert found.route is not None
    assert found.route.receiver == "oncall"
    assert found.integrations == {"oncall": True}


def test_intervals_rules_jobs_and_meanings_come_from_prometheus() -> None:
    with lab_monitoring() as (prometheus, _):
        found = look(Addresses(prometheus, docker=False))
    assert (found.scrape_s, found.evaluation_s, len(found.rules)) == (1.0, 1.0, 45)
    assert found.jobs["loan-model"] == 2
    assert found.metric("ml_request_duration_seconds_bucket").type == "histogram"


def test_proxies_say_their_version_and_the_routes_that_had_requests() -> None:
    with lab_monitoring() as (prometheus, _), serving(IDLE_PROXY) as one, serving(IDLE_PROXY) as other:
        found = look(Addresses(prometheus, proxies=(one,), monitoring_proxies=(other,), docker=False))
    assert [(proxy.address, proxy.in_monitoring, proxy.routes) for proxy in found.proxies] == [
        (one, False, ("replica-1",)),
        (other, True, ("replica-1",)),
    ]
