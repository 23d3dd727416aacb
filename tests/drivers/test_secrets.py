"""Law 7: what a system file keeps secret is in no run's folder and in no message, whatever stands at its addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import yaml

from chaos.app.redacted import redacted
from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.base import Act, Container
from chaos.drivers.docker import DockerDriver
from chaos.drivers.http import without_secrets
from chaos.drivers.ports import free_ports
from chaos.drivers.prometheus import PrometheusDriver
from chaos.drivers.proxy import Arming, ProxyFleet
from chaos.drivers.webhook import SinkClient
from chaos.errors import ChaosError, Unreachable
from chaos.system import parse_system
from tests.drivers.container_contract import OPT_IN
from tests.drivers.loopback import Asked, Loopback, Said, serving

SECRET = "hunter2"
SYSTEM = """\
name: full-of-secrets
environment: staging
entry: https://me:hunter2-entry@entry.example/score
request:
  json: {application: $row.application}
  headers: {authorization: Bearer hunter2-header, x-api-key: hunter2-key, x-group: $row.group, x-mixed: hunter2-$row.x}
  answer: {decision: $.decision}
feedback: {post: 'http://hunter2-feedback@feedback.example/', json: {outcome: $label}}
targets:
  one:
    proxies: ['http://me:hunter2@proxy-1@first.example:8474', 'http://:hunter2-proxy-2@second.example:8474']
    token: hunter2-token
    driver: {use: nomad, address: 'http://nomad.example', token: hunter2-driver, deep: {token: [hunter2-deep]}}
  two:
    docker: {labels: {app: model}, host: 'tcp://me:hunter2-docker@engine.example:2375'}
telemetry:
  prometheus: https://me:hunter2-prometheus@prometheus.example
  rules: https://me:hunter2-rules@rules.example
  alertmanager: https://me:hunter2-alertmanager@alertmanager.example
  headers: {authorization: Bearer hunter2-telemetry}
receivers: {oncall: {sink: 'http://me:hunter2-sink@sink.example:9099'}}
"""


def test_the_system_file_in_a_runs_folder_has_no_secret_and_everything_else() -> None:
    made, _ = parse_system(SYSTEM, "system.yaml", {})
    text = redacted(made)
    assert SECRET not in text
    kept = yaml.safe_load(text)
    assert kept["entry"] == "https://**********@entry.example/score"
    assert kept["request"]["headers"]["x-group"] == "$row.group"
    assert set(kept["request"]["headers"]) == {"authorization", "x-api-key", "x-group", "x-mixed"}
    assert kept["targets"]["one"]["proxies"][0] == "http://**********@first.example:8474"
    assert kept["targets"]["one"]["driver"]["use"] == "nomad"
    assert set(kept["targets"]["one"]["driver"]) == {"use", "address", "token", "deep"}
    assert kept["targets"]["two"]["docker"]["host"] == "tcp://**********@engine.example:2375"
    assert kept["telemetry"]["prometheus"] == "https://**********@prometheus.example"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host:9090/a@b?c=d@e", "http://host:9090/a@b?c=d@e"),
        ("http://me:hunter2@host", "http://**********@host"),
        ("http://hunter2@host/path", "http://**********@host/path"),
        ("http://me:hun@ter2 @host?a@b", "http://**********@host?a@b"),
    ],
)
def test_an_address_is_shown_without_its_login_and_otherwise_as_it_is(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


BEFORE = Container("model-1", "f00d" * 16, {}, "running")
CALLS: dict[str, Callable[[str], object]] = {
    "prometheus.ready": lambda url: PrometheusDriver(url, timeout_s=0.3).ready(),
    "prometheus.query": lambda url: PrometheusDriver(url, timeout_s=0.3).query("up"),
    "prometheus.rules": lambda url: PrometheusDriver(url, timeout_s=0.3).rules(),
    "alertmanager.ready": lambda url: AlertmanagerDriver(url, timeout_s=0.3).ready(),
    "alertmanager.alerts": lambda url: AlertmanagerDriver(url, timeout_s=0.3).alerts(),
    "alertmanager.route": lambda url: AlertmanagerDriver(url, timeout_s=0.3).route(),
    "sink.notifications": lambda url: SinkClient(url, timeout_s=0.3).notifications(),
    "proxy.look": lambda url: ProxyFleet([url], "hunter2-token", timeout_s=0.3).look(url),
    "proxy.arm": lambda url: ProxyFleet([url], "hunter2-token", timeout_s=0.3).arm("run", Arming({})),
}
DOCKER: dict[str, Callable[[str], object]] = {  # the SDK asks no address with a login: it says so, with the address
    "docker.find": lambda url: DockerDriver({"app": "model"}, OPT_IN, url).find(),
    "docker.apply": lambda url: DockerDriver({"app": "model"}, OPT_IN, url, apply_s=0.5).apply(Act("kill"), BEFORE, {}),
}
ANSWERS: dict[str, Said] = {
    "unauthorized": Said(401, b"{}"),
    "error": Said(503, b"{}"),
    "no json": Said(200, b"<html>", "text/html"),
    "other json": Said(200, b'{"data": {"groups": [3]}, "config": {"original": "3"}}'),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
all_calls = pytest.mark.parametrize("call", (CALLS | DOCKER).values(), ids=CALLS | DOCKER)


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with serving(lambda asked: Said()) as here:
        yield here


def with_login(url: str) -> str:
    return url.replace("http://", "http://me:hunter2-of-the-address@")


@all_calls
def test_no_secret_is_in_the_message_about_an_address_where_nobody_is(call: Callable[[str], object]) -> None:
    with pytest.raises(Unreachable) as caught:
        call(with_login(f"http://127.0.0.1:{free_ports(1)[0]}"))
    assert SECRET not in str(caught.value)


@calls
@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS)
def test_no_secret_is_in_the_message_about_an_answer(
    call: Callable[[str], object], said: Said, server: Loopback
) -> None:
    server.answer = lambda asked: said
    server.asked.clear()
    try:
        found = call(with_login(server.url))
    except ChaosError as error:
        found = error
    assert SECRET not in str(found)
    assert server.asked


@calls
def test_no_secret_is_in_the_message_about_a_time_out(call: Callable[[str], object]) -> None:
    with serving(lambda asked: Said()) as slow:

        def never(_: Asked) -> Said:
            slow.released.wait(20)
            return Said()

        slow.answer = never
        with pytest.raises(Unreachable) as caught:
            call(with_login(slow.url))
        assert SECRET not in str(caught.value)


def test_the_command_by_hand_does_not_tell_the_engines_password() -> None:
    for host in ("tcp://me:hunter2@engine.example:2375", "ssh://me:hunter2@engine.example", "tcp://me:hunter2@[::1"):
        assert SECRET not in DockerDriver({}, OPT_IN, host).by_hand(Act("kill"), BEFORE, {})
