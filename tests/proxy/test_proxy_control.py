"""The control API: who may use it, who holds the proxy, and that nothing is touched once nobody renews."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chaos.drivers.proxy import Arming, ProxyFleet
from chaos.errors import Unreachable
from chaos.survey import Holder
from tests.proxy.loopback import KEY, TOKEN, Backend, Proxy, Reply, arming, eventually, infer, sized, talk

ERROR = {"fault": "http_error", "status": 503}
RUN_CALLS = [
    ("PUT", "/runs/r"),
    ("POST", "/runs/r/lease"),
    ("DELETE", "/runs/r"),
    ("GET", "/runs/r"),
    ("GET", "/runs/r/changes"),
    ("DELETE", "/runs"),
]


@pytest.mark.parametrize(("method", "path"), RUN_CALLS)
@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", TOKEN, f"Bearer {TOKEN}x", f"bearer {TOKEN[:-1]}"]
)
def test_every_call_on_runs_needs_the_token(method: str, path: str, given: str | None, proxy: Proxy) -> None:
    answer = proxy.ask(method, path, json=arming(ERROR), headers={"Authorization": given})
    assert answer.status_code == 401
    assert proxy.ask("GET", "/healthz").json() == {"ok": True, "held_by": None, "holders": []}


def test_a_browser_is_refused_even_with_the_token(proxy: Proxy) -> None:
    for method, path in [*RUN_CALLS, ("GET", "/metrics")]:
        assert proxy.ask(method, path, json=arming(ERROR), headers={"Origin": "http://evil.example"}).status_code == 403
    assert proxy.ask("GET", "/healthz").json()["held_by"] is None


@pytest.mark.parametrize("path", ["/healthz", "/version", "/metrics"])
def test_health_version_and_metrics_need_no_token(path: str, proxy: Proxy) -> None:
    assert proxy.ask("GET", path, headers={"Authorization": None}).status_code == 200


def test_arming_hurts_and_disarming_heals_at_once(backend: Backend, proxy: Proxy) -> None:
    port = proxy.routes["model"]
    told = proxy.arm("on-and-off", ERROR)
    assert (told["state"], told["generation"]) == ("armed", 1)
    hurt = talk(port, infer("someone"))
    assert hurt.startswith(b"HTTP/1.1 503 ")
    assert b'{"error": "the model is not available"}' in hurt
    assert not backend.seen
    assert proxy.ask("DELETE", "/runs/on-and-off").status_code == 204
    assert talk(port, infer("someone")).startswith(b"HTTP/1.1 200 OK")
    state = proxy.state("on-and-off")
    assert state["state"] == "disarmed"
    assert state["arms"]["treatment"]["untouched_since_disarm"] == 1
    assert state["faults"]["0"]["injected"] == 1


def test_a_proxy_that_a_run_holds_is_refused_to_another_and_stays_as_it_was(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("holder", ERROR)
    answer = proxy.ask("PUT", "/runs/other", json=arming())
    assert answer.status_code == 409
    assert answer.json()["held_by"] == "holder"
    assert "holder" in answer.json()["error"]
    assert proxy.ask("DELETE", "/runs/other").status_code == 204
    assert proxy.ask("POST", "/runs/other/lease").status_code == 404
    assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 503 ")
    proxy.ask("DELETE", "/runs/holder")
    assert proxy.arm("other")["state"] == "armed"


def test_the_kill_switch_disarms_whoever_holds_the_proxy(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("anyone", ERROR)
    assert proxy.ask("DELETE", "/runs").status_code == 204
    assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200 OK")


def test_a_run_without_a_name_disarms_nobody(proxy: Proxy) -> None:
    proxy.arm("held", ERROR)
    assert proxy.ask("DELETE", "/runs/").status_code == 422
    assert proxy.ask("GET", "/healthz").json()["held_by"] == "held"


@pytest.mark.parametrize("after", ["-1", "x", "1" * 5000, "\u0663"])
def test_changes_after_what_is_no_number_are_refused(after: str, proxy: Proxy) -> None:
    proxy.arm("held", ERROR)
    assert proxy.ask("GET", "/runs/held/changes", params={"after": after}).status_code == 404


def test_whoever_asks_for_heads_alone_hears_that_it_lives(proxy: Proxy) -> None:
    assert proxy.ask("HEAD", "/healthz").status_code == 200


def test_a_lease_that_nobody_renews_expires_and_traffic_is_untouched_afterwards(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("silent", ERROR, lease_s=1)  # a busy machine takes a third of a second for a request
    assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 503 ")
    eventually(lambda: talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200 OK"), within_s=10)
    assert proxy.state("silent")["state"] == "expired"
    assert proxy.ask("POST", "/runs/silent/lease").status_code == 404
    assert proxy.ask("PUT", "/runs/silent", json=arming(ERROR)).status_code == 409
    assert proxy.ask("GET", "/healthz").json()["held_by"] is None


def test_a_renewed_lease_holds_for_longer_than_one_lease(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("renewed", ERROR, lease_s=1)
    began = time.monotonic()
    statuses: list[bytes] = []

    def renewed() -> bool:
        assert proxy.ask("POST", "/runs/renewed/lease").status_code == 200
        statuses.append(talk(proxy.routes["model"], infer("someone"))[:12])
        return time.monotonic() - began > 1.5

    eventually(renewed)
    assert set(statuses) == {b"HTTP/1.1 503"}


def test_no_renewal_outlives_the_deadline(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("ends", ERROR, lease_s=30, deadline_s=0.5)
    eventually(lambda: proxy.ask("POST", "/runs/ends/lease").status_code == 404, within_s=3)
    assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200 OK")
    assert proxy.state("ends")["state"] == "expired"


@pytest.mark.parametrize("how", ["DELETE /runs/waits", "PUT /runs/waits", "lease"])
def test_whoever_waits_in_a_delay_is_let_go_when_the_fault_ends(how: str, proxy: Proxy, backend: Backend) -> None:
    run = {"DELETE /runs/waits": "waits-delete", "PUT /runs/waits": "waits-put", "lease": "waits-lease"}[how]
    proxy.arm(run, {"fault": "delay", "by": "600s"}, lease_s=0.5 if how == "lease" else 30)
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(talk(proxy.routes["model"], infer("someone"))))
    asking.start()
    eventually(lambda: proxy.state(run)["faults"]["0"]["first_effect"] is not None or answers)
    if how.startswith("DELETE"):
        proxy.ask("DELETE", f"/runs/{run}")
    elif how.startswith("PUT"):
        proxy.arm(run)
    asking.join(10)
    assert answers[0].startswith(b"HTTP/1.1 200 OK")
    assert len(backend.seen) == 1
    delayed = proxy.state(run)["faults"]["0"]["delayed_s"]
    assert 0 <= delayed < 10


@pytest.mark.parametrize("ending", ["DELETE", "PUT without the fault", "another run"])
def test_an_answer_that_comes_after_its_fault_has_ended_is_untouched(
    ending: str, proxy: Proxy, backend: Backend
) -> None:
    run = f"late-{ending.split(maxsplit=1)[0]}"
    body = b'{"outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[0]}]}'
    gate = threading.Event()
    backend.replies["/v2/models/model/infer"] = Reply(sized(body).pieces, gate=gate)
    wrong: dict[str, Any] = {"fault": "wrong_predictions"}
    output = {"classes": [0, 1]}
    proxy.arm(run, wrong, output=output)
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(talk(proxy.routes["model"], infer("someone"))))
    asking.start()
    eventually(lambda: backend.seen)
    if ending.startswith("PUT"):
        proxy.arm(run)
    else:
        proxy.ask("DELETE", f"/runs/{run}")
    if ending == "another run":
        proxy.arm("the-next-one", wrong, output=output)
    gate.set()
    asking.join(10)
    assert answers[0].endswith(body)
    assert proxy.state(run)["faults"]["0"]["changed_rows"] == 0


def test_arming_again_without_a_fault_keeps_the_hold_and_the_counts(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("twice", ERROR)
    talk(proxy.routes["model"], infer("a"))
    assert proxy.arm("twice")["generation"] == 2
    assert talk(proxy.routes["model"], infer("b")).startswith(b"HTTP/1.1 200 OK")
    state = proxy.state("twice")
    assert state["arms"]["treatment"]["requests"] == 2
    assert state["faults"]["0"]["injected"] == 1


REFUSED: dict[str, dict[str, Any]] = {
    "an unknown fault": arming({"fault": "meteor"}),
    "a container fault": arming({"fault": "kill"}),
    "a fault of the load": arming({"fault": "label_loss", "target": "m"}),
    "a fault that is wrong": arming({"fault": "http_error", "status": 200}),
    "a negative delay": arming({"fault": "delay", "by": -1}),
    "an unknown protocol": arming(protocol="telepathy"),
    "a slice that is none": arming(arms={"traffic": 1, "by": "request", "where": "region = north"}),
    "a subject that is nowhere": arming(arms={"traffic": 1, "by": "session:user", "where": None}),
    "more than all traffic": arming(arms={"traffic": 1.5, "by": "request", "where": None}),
    "synthetic subjects without a key": arming(subjects="synthetic"),
    "a key that is too short": arming(subjects="synthetic", synthetic_key="5a5a"),
    "a key that is no hexadecimal": arming(subjects="synthetic", synthetic_key="z" * 64),
    "no lease": arming(lease_s=0),
    "an endless deadline": arming(deadline_s=1e9),
    "an unknown field": arming(colour="red"),
    "one index twice": {**arming(), "faults": [{"index": 1, "fault": {"target": "model", **ERROR}}] * 2},
}


@pytest.mark.parametrize("why", REFUSED)
def test_an_arming_that_is_wrong_is_refused_whole_and_changes_nothing(why: str, proxy: Proxy, backend: Backend) -> None:
    answer = proxy.ask("PUT", "/runs/wrong", json=REFUSED[why])
    assert answer.status_code == 422, answer.text
    assert answer.json()["problems"]
    assert proxy.ask("GET", "/healthz").json()["held_by"] is None
    assert proxy.ask("GET", "/runs/wrong").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_arming_is_refused(body: bytes, proxy: Proxy) -> None:
    assert proxy.ask("PUT", "/runs/wrong", data=body).status_code == 422


def test_the_metrics_page_is_prometheus_text_and_counts_what_happened(proxy: Proxy, backend: Backend) -> None:
    def read() -> dict[tuple[str, str], float]:
        families = text_string_to_metric_families(proxy.ask("GET", "/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        return {
            (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
            for sample in samples
        }

    before = read()
    proxy.arm("metrics", ERROR)
    for subject in ("a", "b", "c"):
        talk(proxy.routes["model"], infer(subject))
    talk(proxy.routes["model"], infer(None))
    after = read()

    def grown(name: str, labels: str) -> float:
        return after[name, labels] - before.get((name, labels), 0.0)

    assert grown("chaos_proxy_requests_total", "arm=treatment,code_class=5xx,route=model") == 3
    assert grown("chaos_proxy_requests_total", "arm=outside,code_class=2xx,route=model") == 1
    assert grown("chaos_proxy_injected_errors_total", "fault=http_error") == 3
    assert grown("chaos_proxy_upstream_seconds_count", "route=model") == 1
    assert (before["chaos_proxy_armed", ""], after["chaos_proxy_armed", ""]) == (0, 1)
    buckets = [
        value
        for (name, labels), value in after.items()
        if name == "chaos_proxy_upstream_seconds_bucket" and "model" in labels
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == after["chaos_proxy_upstream_seconds_count", "route=model"]


def test_a_fleet_is_armed_whole_or_not_at_all(proxy: Proxy, backend: Backend) -> None:
    fleet = ProxyFleet([proxy.control, "http://127.0.0.1:9"], TOKEN)
    with pytest.raises(Unreachable):
        fleet.arm("fleet", Arming(arming(ERROR)))
    assert proxy.ask("GET", "/healthz").json()["held_by"] is None


def test_a_fleet_sums_what_its_proxies_counted(proxy: Proxy, backend: Backend) -> None:
    fleet = ProxyFleet([proxy.control], TOKEN)
    fleet.arm("summed", Arming(arming(ERROR, subjects="users")))
    assert fleet.look(proxy.control).holders == (Holder("summed"),)
    talk(proxy.routes["model"], infer("a"))
    fleet.renew("summed")
    state = fleet.read("summed", "model", 1.0)
    assert (state.state, state.treatment.requests, state.treatment.errors, state.faults[0].injected) == (
        "armed",
        1,
        1,
        1,
    )
    fleet.disarm("summed")
    fleet.disarm("summed")
    assert fleet.read("summed", "model", 1.0).state == "disarmed"
    with pytest.raises(Unreachable):
        fleet.renew("summed")


def test_a_wrong_token_shows_at_the_first_look(proxy: Proxy) -> None:
    with pytest.raises(Unreachable, match="token"):
        ProxyFleet([proxy.control], "not the token of this proxy").look(proxy.control)
    assert KEY not in proxy.ask("GET", "/metrics").text
