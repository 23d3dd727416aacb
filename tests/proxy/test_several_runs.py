"""Several runs at one proxy: each hurts its own slice and nobody else, and each ends alone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from chaos.arms import sign_synthetic
from chaos.drivers.proxy import ProxyFleet
from chaos.survey import Holder
from tests.proxy.grpc_loopback import INFER, Model
from tests.proxy.loopback import KEY, TOKEN, Backend, Proxy, arming, eventually, infer, running_proxy, sized, talk
from tests.proxy.test_beside import x
from tests.proxy.test_proxy_workers import metric

ANSWER = b'{"outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":[0]}]}'
CHANGED = ANSWER.replace(b"[0]", b"[1]")
WRONG: dict[str, Any] = {"fault": "wrong_predictions"}
PATH = "/v2/models/model/infer"


def error(status: int) -> dict[str, Any]:
    return {"fault": "http_error", "status": status}


def within(where: str | None, traffic: float = 1.0) -> dict[str, Any]:
    """Everybody in this slice is in the treatment arm."""
    return {"arms": {"traffic": traffic, "by": "header:x-request-id", "where": where}}


def said(proxy: Proxy, value: str | None = None, body: bytes = b'{"inputs":[]}', *more: str) -> bytes:
    """What somebody with this header hears."""
    return talk(proxy.routes["model"], infer("someone", body, *([f"X: {value}"] if value else []), *more))


def status(proxy: Proxy, value: str | None = None, body: bytes = b'{"inputs":[]}', *more: str) -> int:
    return int(said(proxy, value, body, *more).split()[1])


def held(proxy: Proxy) -> list[str]:
    """The runs that hold the proxy."""
    return [one["run"] for one in proxy.ask("GET", "/healthz").json()["holders"]]


def requests(proxy: Proxy, run: str) -> tuple[int, int, int]:
    """What the run has counted: treatment, control, outside."""
    arms = proxy.state(run)["arms"]
    return arms["treatment"]["requests"], arms["control"]["requests"], arms["outside"]["requests"]


# --- side by side -----------------------------------------------------------------------------------------------------


def test_each_run_hurts_its_own_slice_and_nobody_elses(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("side-a", error(503), **within(x("a")))
    proxy.arm("side-b", error(500), **within(x("b")))
    proxy.arm("side-c", error(502), **within(x("c"), traffic=0.0))
    assert [status(proxy, value) for value in ("a", "b", "b", "c", "d", None)] == [503, 500, 500, 200, 200, 200]
    assert len(backend.seen) == 3
    assert [requests(proxy, run) for run in ("side-a", "side-b", "side-c")] == [(1, 0, 5), (2, 0, 4), (0, 1, 5)]
    a, b = proxy.state("side-a"), proxy.state("side-b")
    assert [one["faults"]["0"]["injected"] for one in (a, b)] == [1, 2]
    assert [one["arms"]["treatment"]["errors"] for one in (a, b)] == [1, 2]
    assert [one["arms"]["outside"]["latency_buckets"]["+Inf"] for one in (a, b)] == [5, 4]
    assert sum(row.get("outside", {}).get("errors", 0) for row in a["by_second"]) == 2


def test_a_slice_over_bodies_and_everything_that_it_leaves_can_be_two_runs(proxy: Proxy, backend: Backend) -> None:
    north = 'json:$.region == "north"'
    proxy.arm("body-north", error(503), **within(north))
    proxy.arm("body-rest", error(429), **within(north.replace("==", "!=")))
    asked = [b'{"region": "north"}', b'{"region": "south"}', b'{"region": 1}', b"{}", b"no json"]
    assert [status(proxy, None, body) for body in asked] == [503, 429, 429, 200, 200]


def test_real_people_and_a_runs_own_load_can_be_hurt_at_a_time(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("own-load", error(503), subjects="synthetic", synthetic_key=KEY, **within(x("a")))
    proxy.arm("people", error(429), **within(x("b")))
    mark = f"X-Chaos-Synthetic: {sign_synthetic(bytes.fromhex(KEY), 'own-load', 'someone')}"
    assert [status(proxy, "a"), status(proxy, "a", b"{}", mark), status(proxy, "b")] == [200, 503, 429]


def test_one_may_hurt_copies_while_another_hurts_answers(proxy: Proxy, backend: Backend) -> None:
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")
    output = {"classes": [0, 1]}
    proxy.arm("copies", WRONG, mode="shadow", output=output, **within(x("a")))
    proxy.arm("answers", WRONG, output=output, **within(x("b")))
    assert said(proxy, "a").endswith(ANSWER)
    assert said(proxy, "b").endswith(CHANGED)
    assert said(proxy, "c").endswith(ANSWER)
    eventually(lambda: proxy.state("copies")["faults"]["0"]["changed_rows"])
    for run, shadow in (("copies", True), ("answers", None)):
        (change,) = proxy.ask("GET", f"/runs/{run}/changes").json()["changes"]
        assert (change["id"], change.get("shadow")) == (1, shadow)


def test_calls_of_grpc_belong_to_the_run_whose_slice_their_metadata_are_in(tmp_path: Path) -> None:
    model = Model()
    with running_proxy(tmp_path, model=model.port) as proxy:
        proxy.arm("calls-a", error(503), **within(x("a")))
        proxy.arm("calls-b", error(500), **within(x("b")))

        def code(value: str) -> grpc.StatusCode:
            try:
                channel.unary_unary(INFER)(b"", metadata=(("x-request-id", "someone"), ("x", value)), timeout=10)
            except grpc.RpcError as failed:
                return failed.code()
            return grpc.StatusCode.OK

        with grpc.insecure_channel(f"127.0.0.1:{proxy.routes['model']}") as channel:
            found = {value: code(value) for value in "abc"}
        codes = grpc.StatusCode
        assert found == {"a": codes.UNAVAILABLE, "b": codes.INTERNAL, "c": codes.OK}
        states = proxy.state("calls-a"), proxy.state("calls-b")
        assert [one["faults"]["0"]["injected"] for one in states] == [1, 1]
        assert [one["arms"]["outside"]["requests"] for one in states] == [2, 2]
    model.gone()


# --- who is refused ---------------------------------------------------------------------------------------------------


def test_a_run_that_could_meet_another_is_refused_with_who_why_and_what_to_do(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("first", error(503), **within(x("a")))
    proxy.arm("second", error(429), **within('header:X == "b"'))
    answer = proxy.ask("PUT", "/runs/third", json=arming(error(500), **within('header:x != "a"')))
    assert answer.status_code == 409
    assert answer.json() == {
        "error": 'this proxy is held by the run second, and one request can be in that one\'s slice `header:x == "b"` and in '
        'this one\'s, `header:x != "a"`; wait for it to end, or write `where: header:x == VALUE` with another value '
        "(a lease ends within 30s of its runner's death)",
        "problems": [answer.json()["error"]],
        "held_by": "first",
        "holders": [{"run": "first", "where": x("a")}, {"run": "second", "where": 'header:X == "b"'}],
    }
    assert [status(proxy, value) for value in ("a", "b", "c")] == [503, 429, 200]
    assert proxy.ask("GET", "/runs/third").status_code == 404


def test_a_fault_is_among_the_metrics_while_it_is_on_and_goes_with_its_run(proxy: Proxy) -> None:
    def active() -> list[str]:
        text = proxy.ask("GET", "/metrics", headers={"Authorization": None}).text
        return [line for line in text.splitlines() if line.startswith("chaos_proxy_fault_active{")]

    proxy.arm("held-only", **within(x("a")))
    assert active() == []
    proxy.arm("hurts", {"fault": "http_error", "target": "model", "duration": "60s"}, **within(x("b")))
    assert active() == ['chaos_proxy_fault_active{run="hurts",fault="http_error"} 1']
    proxy.ask("DELETE", "/runs/hurts")
    assert active() == []


def test_everybody_can_see_who_holds_the_proxy_and_what_for(proxy: Proxy) -> None:
    proxy.arm("seen-a", **within(x("a")))
    proxy.arm("seen-b", **within(x("b")))
    for path in ("/healthz", "/version"):
        told = proxy.ask("GET", path, headers={"Authorization": None}).json()
        assert told["held_by"] == "seen-a"
        assert told["holders"] == [{"run": "seen-a", "where": x("a")}, {"run": "seen-b", "where": x("b")}]
    assert ProxyFleet([proxy.control], TOKEN).look(proxy.control).holders == (
        Holder("seen-a", x("a")),
        Holder("seen-b", x("b")),
    )
    assert metric(proxy, "chaos_proxy_armed") == 2
    proxy.ask("DELETE", "/runs/seen-a")
    assert metric(proxy, "chaos_proxy_armed") == 1
    assert proxy.ask("GET", "/healthz").json()["held_by"] == "seen-b"
    proxy.ask("DELETE", "/runs/seen-b")
    proxy.arm("seen-all")
    assert proxy.ask("GET", "/healthz").json()["holders"] == [{"run": "seen-all", "where": None}]


def test_rearming_into_the_slice_of_another_is_refused_and_hurts_who_was_hurt_before(
    proxy: Proxy, backend: Backend
) -> None:
    proxy.arm("stays-a", error(503), **within(x("a")))
    proxy.arm("stays-b", error(429), **within(x("b")))
    assert proxy.ask("PUT", "/runs/stays-b", json=arming(error(500), **within(x("a")))).status_code == 409
    assert [status(proxy, value) for value in ("a", "b")] == [503, 429]
    assert proxy.state("stays-b")["generation"] == 1
    proxy.arm("stays-b", error(500), **within(x("c")))
    assert [status(proxy, value) for value in ("a", "b", "c")] == [503, 200, 500]


# --- each ends alone --------------------------------------------------------------------------------------------------


def test_disarming_one_run_leaves_the_other_and_the_kill_switch_ends_both(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("alone-a", error(503), **within(x("a")))
    proxy.arm("alone-b", error(429), **within(x("b")))
    assert proxy.ask("DELETE", "/runs/alone-a").status_code == 204
    assert [status(proxy, value) for value in ("a", "b")] == [200, 429]
    proxy.arm("alone-c", error(500), **within(x("a")))
    assert proxy.ask("DELETE", "/runs").status_code == 204
    assert [status(proxy, value) for value in ("a", "b")] == [200, 200]
    assert [proxy.state(f"alone-{name}")["state"] for name in "abc"] == ["disarmed"] * 3


def test_a_lease_that_nobody_renews_ends_its_run_and_no_other(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("silent-a", error(503), lease_s=0.3, **within(x("a")))
    proxy.arm("spoken-b", error(429), **within(x("b")))
    eventually(lambda: status(proxy, "a") == 200, within_s=3)
    assert status(proxy, "b") == 429
    assert (proxy.state("silent-a")["state"], proxy.state("spoken-b")["state"]) == ("expired", "armed")
    assert held(proxy) == ["spoken-b"]


def test_whoever_waits_for_one_run_is_let_go_with_it_and_whoever_waits_for_another_waits_on(
    proxy: Proxy, backend: Backend
) -> None:
    heard: list[str] = []

    def wait(value: str) -> None:
        said(proxy, value)
        heard.append(value)

    for value in "ab":
        proxy.arm(f"waits-{value}", {"fault": "delay", "by": "600s"}, **within(x(value)))
    asking = [threading.Thread(target=wait, args=(value,)) for value in "ab"]
    for thread in asking:
        thread.start()
    eventually(lambda: all(proxy.state(f"waits-{value}")["faults"]["0"]["first_effect"] for value in "ab"))
    proxy.ask("DELETE", "/runs/waits-a")
    asking[0].join(10)
    assert heard == ["a"]
    assert proxy.state("waits-b")["faults"]["0"]["delayed_s"] == 0
    proxy.ask("DELETE", "/runs/waits-b")
    asking[1].join(10)
    assert heard == ["a", "b"]


@pytest.mark.parametrize(("first", "second"), [(x("a"), x("b")), ('json:$.x == "a"', 'json:$.x == "b"')])
def test_the_removal_of_a_run_is_proven_by_traffic_while_another_goes_on(
    first: str, second: str, proxy: Proxy, backend: Backend
) -> None:
    name = first.partition(":")[0]
    proxy.arm(f"{name}-gone", error(503), **within(first))
    proxy.arm(f"{name}-here", error(429), **within(second))
    proxy.ask("DELETE", f"/runs/{name}-gone")
    for value in "aabac":
        status(proxy, value, b'{"x": "%s"}' % value.encode())
    arms = proxy.state(f"{name}-gone")["arms"]
    assert arms["treatment"]["untouched_since_disarm"] == 3
    assert arms["outside"]["untouched_since_disarm"] == 1  # c; what b gets is a fault, and proves nothing
    assert proxy.state(f"{name}-here")["arms"]["treatment"]["untouched_since_disarm"] == 0


def test_what_another_run_hurts_proves_no_removal_and_what_it_spares_does(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("removed", error(503), **within(x("a")))
    proxy.ask("DELETE", "/runs/removed")

    def proven() -> int:
        return int(proxy.state("removed")["arms"]["treatment"]["untouched_since_disarm"])

    proxy.arm("successor", error(429))
    assert status(proxy, "a") == 429
    assert proven() == 0
    proxy.arm("successor", error(429), **within(None, traffic=0.0))
    assert status(proxy, "a") == 200
    assert proven() == 1
