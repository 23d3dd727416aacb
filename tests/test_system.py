"""The system file: where things are. Strict, and its secrets are shown nowhere."""

from __future__ import annotations

import pytest

from chaos.errors import InvalidFile
from chaos.system import parse_system
from tests.values import SYSTEM, edited, system

SECRET = "hunter2-and-a-half"
WITH_SECRETS = edited(
    SYSTEM,
    ("    process:", "    token: ${TOKEN}\n    process:"),
    (
        "{prometheus: 'http://127.0.0.1:9090'}",
        "{prometheus: 'http://127.0.0.1:9090', headers: {Authorization: 'Bearer ${TOKEN}'}}",
    ),
)


def test_secrets_are_there_for_the_drivers_and_shown_nowhere():
    made, _ = parse_system(WITH_SECRETS, "system.yaml", {"TOKEN": SECRET})
    assert made.targets["loan-model"].token.get_secret_value() == SECRET
    assert made.telemetry.headers["Authorization"].get_secret_value() == f"Bearer {SECRET}"
    for shown in (repr(made), str(made), made.model_dump_json(), str(made.model_dump())):
        assert SECRET not in shown


def test_a_wrong_system_file_does_not_tell_its_secrets_in_the_message():
    wrong = edited(WITH_SECRETS, ("environment: lab", "environment: nowhere"))
    with pytest.raises(InvalidFile) as refused:
        parse_system(wrong, "system.yaml", {"TOKEN": SECRET})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "edit",
    [
        ("{app: loan-model}", "'${TOKEN}'"),
        ("'http://127.0.0.1:9099'", "'${TOKEN}'"),
        ("environment: lab", "environment: ${TOKEN}"),
        ("name: lab", "name: lab\nopt_in: ${TOKEN}"),
        ("name: lab", "name: lab\nalerts: ${TOKEN}"),
    ],
)
def test_a_secret_that_was_put_in_the_wrong_place_is_not_repeated_in_the_message(edit):
    with pytest.raises(InvalidFile) as refused:
        parse_system(edited(SYSTEM, edit), "system.yaml", {"TOKEN": SECRET})
    assert SECRET not in str(refused.value)


def test_nothing_is_touched_without_the_opt_in_label():
    assert system().opt_in_label() == ("chaos.enabled", "true")
    assert system(("name: lab", "name: lab\nopt_in: team=risk=a")).opt_in_label() == ("team", "risk=a")


def test_probes_get_the_variables_as_text_and_a_window_by_default():
    assert system(("{job: loan, window: 30s}", "{replicas: 3, share: 0.5}")).probe_variables() == {
        "window": "30s",
        "replicas": "3",
        "share": "0.5",
    }
    assert system(("window: 30s", "window: 1m")).probe_variables()["window"] == "1m"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9090", "https://prometheus.example/path"])
def test_addresses_are_kept_without_a_trailing_slash(address):
    made = system(("prometheus: 'http://127.0.0.1:9090'", f"prometheus: '{address}/'"))
    assert made.telemetry.prometheus.rstrip("/") == address


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:9090", "ftp://host", "http://", "/metrics", "http:///path", "http://[::1", "http://host:port"],
)
def test_what_is_no_address_is_refused_with_what_to_write(address):
    with pytest.raises(InvalidFile, match=r"is no address; write something like http://127\.0\.0\.1:9090"):
        system(("prometheus: 'http://127.0.0.1:9090'", f"prometheus: '{address}'"))


@pytest.mark.parametrize(
    ("known", "line", "said"),
    [
        (
            "prometheus: 'http://127.0.0.1:9090'",
            "prometheus: 'dns+https://prometheus:9090'",
            "write http:// or https://",
        ),
        (
            "prometheus: 'http://127.0.0.1:9090'",
            "prometheus: 'dns+http://prometheus:9090'",
            "write http:// or https://",
        ),
        ("proxies: ['http://127.0.0.1:8474']", "proxies: ['dns+http://proxies']", "write dns[+]http://NAME:PORT"),
        ("proxies: ['http://127.0.0.1:8474']", "proxies: ['dns+https://proxies/a']", "write dns[+]https://NAME:PORT"),
        ("proxies: ['http://127.0.0.1:8474']", "proxies: ['dns+ftp://proxies:1']", "is no address"),
        ("proxies: ['http://127.0.0.1:8474']", "proxies: ['http+unix://run/it.sock']", "with three slashes"),
    ],
)
def test_an_address_that_no_driver_can_look_up_is_refused(known, line, said):
    with pytest.raises(InvalidFile, match=said):
        system((known, line))


@pytest.mark.parametrize(
    "address",
    [
        "dns+http://proxies.ml:8474",
        "dns+https://proxies.ml:8474",
        "http+unix:///run/chaos.sock",
        "https://proxy:8474",
    ],
)
def test_proxies_may_be_behind_a_name_a_socket_or_tls(address):
    made = system(("proxies: ['http://127.0.0.1:8474']", f"proxies: ['{address}']"))
    assert next(iter(made.targets.values())).proxies == [address]


@pytest.mark.parametrize("address", ["ftp://me:PASSWORD@host", "http://me:PASS/WORD@host", "me:PASSWORD@host"])
def test_the_password_of_a_wrong_address_is_not_repeated_in_the_message(address):
    with pytest.raises(InvalidFile, match="is no address; write something like") as refused:
        system(("prometheus: 'http://127.0.0.1:9090'", f"prometheus: '{address}'"))
    assert "WORD" not in str(refused.value)


def test_production_is_only_what_says_so():
    assert system().environment == "lab"
    with pytest.raises(InvalidFile, match="'lab', 'staging' or 'production'"):
        system(("environment: lab", "environment: Production"))


def test_a_target_says_what_its_features_are_called_and_where_its_rows_are():
    made = system(("    process:", "    input: {features: [age, income], rows: '$.rows[*]'}\n    process:"))
    target = next(iter(made.targets.values()))
    assert (target.input.features, target.input.rows) == (["age", "income"], "$.rows[*]")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{features: [age, age]}", "'age' is named twice; write each name once"),
        ("{features: ['']}", "at least 1 character"),
        ("{rows: rows}", "is no path; write something like"),
        ("{names: [age]}", "names"),
    ],
)
def test_features_and_rows_that_say_nothing_are_refused(said, why):
    with pytest.raises(InvalidFile, match=why):
        system(("    process:", f"    input: {said}\n    process:"))
