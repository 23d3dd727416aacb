"""What a system file names answers, or is missing with the command that mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.doctor import Finding
from chaos.app.doctor_system import examine_system
from tests.drivers.loopback import module
from tests.first_steps.servers import serving
from tests.proxy.loopback import running_proxy

NOBODY = "http://127.0.0.1:9"
OTHER = {"/": "hello", "/healthz": "ok", "/version": "1"}


def examined(
    folder: Path,
    *,
    environment: str = "staging",
    proxies: str = "",
    token: str = "",
    sink: str = "",
    state: Path | None = None,
) -> dict[str, Finding]:
    """What is found of a system with one target and one receiver, by what it is of."""
    target = f"{{proxies: ['{proxies}'], token: '{token}'}}" if proxies else "{}"
    path = folder / "system.yaml"
    path.write_text(
        f"name: s\nenvironment: {environment}\ntargets: {{model: {target}}}\ntelemetry: {{prometheus: '{NOBODY}'}}\n"
        + (f"receivers: {{oncall: {{sink: '{sink}'}}}}\n" if sink else "")
    )
    return {one.what: one for one in examine_system(str(path), {}, state or folder)}


def test_a_proxy_that_answers_says_its_version_and_who_holds_it(tmp_path: Path) -> None:
    with running_proxy(tmp_path, a=9) as proxy:
        token = (tmp_path / "token").read_text()
        found = examined(tmp_path, proxies=proxy.control, token=token)["proxy of model"]
        assert found.condition == "ok"
        assert "answers and accepts the token, version" in found.says
        assert "held by" not in found.says
        proxy.arm("run-1a", {"fault": "delay", "by": "10ms"})
        assert "held by run-1a" in examined(tmp_path, proxies=proxy.control, token=token)["proxy of model"].says


def test_a_proxy_that_does_not_accept_the_token_is_missing_with_where_to_write_the_right_one(tmp_path: Path) -> None:
    with running_proxy(tmp_path, a=9) as proxy:
        found = examined(tmp_path, proxies=proxy.control, token="another")["proxy of model"]
    assert found.condition == "missing"
    assert "does not accept the token" in found.says
    assert (
        found.mend == f"write what its --token-file holds as `token:` of `targets.model` in {tmp_path / 'system.yaml'}"
    )


@pytest.mark.parametrize(
    ("address", "mend"),
    [
        (NOBODY, "chaos proxy --route 'NAME=LISTEN>UPSTREAM' --control 127.0.0.1:9 --token-file token"),
        (
            "http+unix:///nowhere.sock",
            "chaos proxy --route 'NAME=LISTEN>UPSTREAM' --control unix:/nowhere.sock --token-file token",
        ),
        ("https://127.0.0.1:9", "begin `chaos proxy` there"),
        ("dns+http://nobody.invalid:8474", "mend `proxies:`"),
    ],
)
def test_a_proxy_at_which_nothing_answers_is_missing_with_how_to_begin_it(
    address: str, mend: str, tmp_path: Path
) -> None:
    found = examined(tmp_path, proxies=address)["proxy of model"]
    assert (found.condition, found.mend.startswith(mend)) == ("missing", True), found


def test_a_sink_that_answers_is_well_and_one_that_does_not_comes_with_how_to_begin_it(tmp_path: Path) -> None:
    with module("chaos.sink", "--log", str(tmp_path / "log"), folder=tmp_path) as ports:
        assert examined(tmp_path, sink=f"http://{ports['sink']}")["sink of oncall"].condition == "ok"
    found = examined(tmp_path, sink=NOBODY)["sink of oncall"]
    assert (found.condition, found.mend) == ("missing", "chaos sink --listen 127.0.0.1:9 --log notifications.jsonl")


def test_where_something_else_answers_the_address_is_what_is_to_be_mended(tmp_path: Path) -> None:
    with serving(OTHER) as other:
        found = examined(tmp_path, proxies=other, sink=other)
    assert "mend `proxies:`" in found["proxy of model"].mend
    assert f"mend `receivers.oncall.sink` in {tmp_path}" in found["sink of oncall"].mend


def test_a_lab_is_brought_up_anew_under_its_own_name(tmp_path: Path) -> None:
    lab = tmp_path / "labs" / "lab-2"
    lab.mkdir(parents=True)
    found = examined(lab, environment="lab", proxies=NOBODY, sink=NOBODY, state=tmp_path)
    assert found["proxy of model"].mend == "chaos lab down --name lab-2; chaos lab up --name lab-2"
    assert found["sink of oncall"].mend == found["proxy of model"].mend


def test_a_system_of_ones_own_that_calls_itself_a_lab_is_none_of_ours(tmp_path: Path) -> None:
    found = examined(tmp_path, environment="lab", proxies=NOBODY, sink=NOBODY)
    assert str(found["proxy of model"].mend).startswith("chaos proxy --route")
    assert str(found["sink of oncall"].mend).startswith("chaos sink --listen")


def test_no_password_in_an_address_is_shown(tmp_path: Path) -> None:
    found = examined(tmp_path, proxies="http://me:hunter2@127.0.0.1:9", sink="http://me:hunter2@127.0.0.1:9")
    assert "hunter2" not in str(found)


def test_a_systems_monitoring_that_does_not_answer_is_missing(tmp_path: Path) -> None:
    with serving({"/api/v1/query": {"status": "success", "data": {"result": [0, "1.0"]}}}) as prometheus:
        (tmp_path / "system.yaml").write_text(
            f"name: s\nenvironment: staging\ntargets: {{}}\ntelemetry: {{prometheus: '{prometheus}', alertmanager: 'http://127.0.0.1:9'}}\n"
        )
        found = {one.what: one for one in examine_system(str(tmp_path / "system.yaml"), {}, tmp_path)}
    assert [found[name].condition for name in ("Prometheus", "clock", "Alertmanager")] == ["ok", "missing", "missing"]
    assert found["clock"].mend == "sudo timedatectl set-ntp true"
