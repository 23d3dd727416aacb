"""`mode: shadow`: clients get the model's own bytes, and everything that would have happened to them is counted, kept and posted."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest

from chaos.proxy.__main__ import main
from chaos.proxy.armed import MOST_UNTOUCHED
from chaos.proxy.arming import Refusal, parse_arming
from chaos.proxy.counters import Counters
from chaos.proxy.registry import REMEMBERED_S, Registry
from chaos.proxy.shadow import MOST_QUEUED, MOST_QUEUED_BYTES, Consumer, ShadowAnswer, parse_consumer, shadow_text
from tests.proxy.grpc_loopback import DEADLINE_S, INFER, Model, framed, prediction
from tests.proxy.loopback import Backend, Proxy, arming, eventually, infer, running_proxy, sized, talk, unused_port
from tests.proxy.test_event_streams import ASK, HEAD, arm, chunk, payload_of, said, shouting
from tests.proxy.test_plane_memory import Bench
from tests.proxy.test_registry import Clock

ROOT = Path(__file__).parents[2]
PATH = "/v2/models/model/infer"
ANSWER = (
    b'{"outputs":[{"name":"predict","shape":[2,1],"datatype":"INT64","data":[0, 1]},'
    b'{"name":"predict_proba","shape":[2,2],"datatype":"FP64","data":[0.90,0.1,0.2,0.8]}]}'
)
WRONG = {"fault": "wrong_predictions"}


@dataclass
class Monitor:
    """A consumer: what was posted to it. It says `status`, once `gate` is open."""

    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)
    status: int = 204
    gate: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def of(self, run: str) -> list[tuple[str, dict[str, str], bytes]]:
        """What a run's shadow posted; copies of the tests before may still come in."""
        return [post for post in list(self.posts) if post[1]["x-chaos-shadow"] == run]


@pytest.fixture(scope="module")
def _monitor() -> Iterator[Monitor]:
    made = Monitor()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.connections.add(self.client_address)
            made.posts.append((self.path, {name.lower(): told for name, told in self.headers.items()}, body))
            made.gate.wait(DEADLINE_S)
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    made.gate.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def monitor(_monitor: Monitor) -> Monitor:
    _monitor.posts.clear()
    _monitor.connections.clear()
    _monitor.status = 204
    _monitor.gate.set()
    return _monitor


@pytest.fixture(scope="module")
def _shadowing(_backend: Backend, _monitor: Monitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    to = f"--shadow-to=http://127.0.0.1:{_monitor.port}/canary?a=b"
    with running_proxy(tmp_path_factory.mktemp("shadow"), to, model=_backend.port) as made:
        yield made


@pytest.fixture
def shadowing(_shadowing: Proxy) -> Proxy:
    assert _shadowing.ask("DELETE", "/runs").status_code == 204
    return _shadowing


@pytest.fixture
def fresh(_backend: Backend, monitor: Monitor, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy of its own, whose consumer has got nothing yet."""
    with running_proxy(tmp_path, f"--shadow-to=http://127.0.0.1:{monitor.port}/", model=_backend.port) as made:
        yield made


def outcomes(proxy: Proxy) -> dict[str, int]:
    """What became of the copies so far."""
    lines = proxy.ask("GET", "/metrics").text.splitlines()
    named = [line for line in lines if line.startswith("chaos_proxy_shadow_answers_total{")]
    return {line.split('"')[1]: int(line.split()[-1]) for line in named}


async def told(counters: Counters) -> None:
    """Returns once something has become of a copy."""
    async with asyncio.timeout(DEADLINE_S):
        while not counters.shadow_answers:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


# --- the client -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
def test_the_client_gets_the_models_own_bytes(chunked: bool, backend: Backend, shadowing: Proxy) -> None:
    reply = sized(ANSWER, "Content-Type: application/json", "X-Odd:  two ")
    if chunked:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        body = b"5;a=b\r\n%s\r\n%X\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n" % (ANSWER[:5], len(ANSWER) - 5, ANSWER[5:])
        reply = type(reply)((head, body))
    backend.replies[PATH] = reply
    run = f"bytes-{chunked}"
    shadowing.arm(run, WRONG, mode="shadow")
    for number in range(20):
        assert talk(shadowing.routes["model"], infer(f"a-{number}")) == b"".join(reply.pieces)
    assert shadowing.state(run)["faults"]["0"]["changed_rows"] == 40


def test_what_would_have_changed_is_counted_and_kept_as_in_a_live_run(backend: Backend, shadowing: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")
    found: dict[str, Any] = {}
    for mode in ("live", "shadow"):
        shadowing.arm(f"twin-{mode}", {**WRONG, "share": "40%"}, mode=mode)
        for number in range(50):
            talk(shadowing.routes["model"], infer(f"twin-{number}"))
        state = shadowing.state(f"twin-{mode}")
        assert state["mode"] == mode
        assert state["faults"]["0"]["first_effect"] is not None
        changes = shadowing.ask("GET", f"/runs/twin-{mode}/changes").json()["changes"]
        assert all(change.pop("shadow", False) is (mode == "shadow") for change in changes)
        counts = {name: told for name, told in state["faults"]["0"].items() if "effect" not in name}
        found[mode] = counts, [{**change, "wall_s": 0} for change in changes]
        shadowing.ask("DELETE", "/runs")
    assert found["live"][0]["changed_rows"] > 10
    assert found["live"] == found["shadow"]


def test_metrics_do_not_call_what_happened_to_copies_treatment(backend: Backend, shadowing: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")

    def changed(arm: str) -> int:
        series = f'chaos_proxy_changed_rows_total{{fault="wrong_predictions",arm="{arm}"}} '
        lines = shadowing.ask("GET", "/metrics").text.splitlines()
        return sum(int(line.split()[-1]) for line in lines if line.startswith(series))

    before = changed("treatment"), changed("shadow")
    shadowing.arm("told", WRONG, mode="shadow")
    talk(shadowing.routes["model"], infer("a"))
    assert (changed("treatment"), changed("shadow")) == (before[0], before[1] + 2)


def test_a_streamed_answer_passes_as_it_came_and_its_copy_is_hurt(monitor: Monitor) -> None:
    async def scenario() -> None:
        bench = Bench()
        consumer = Consumer(f"http://127.0.0.1:{monitor.port}/", bench.counters, lambda run: True)
        bench.route.consumer = consumer
        arm(bench, shouting(), mode="shadow")
        bench.client.data_received(ASK)
        whole = HEAD
        bench.upstream.data_received(HEAD)
        for piece in [chunk(said("ab")[:20]), chunk(said("ab")[20:] + said("cd")), b"0\r\n\r\n"]:
            bench.upstream.data_received(piece)
            whole += piece
            assert bench.client_pipe.written == whole
        state = bench.registry.runs["run"]
        assert state.faults[0].changed_rows == 1
        assert [change["shadow"] for change in state.changes] == [True]
        await told(bench.counters)
        await consumer.close()
        ((_, headers, body),) = monitor.of("run")
        assert body == said("AB") + said("CD")
        assert headers["x-chaos-changed"] == "1"
        assert payload_of(whole)[0] == said("ab") + said("cd")

    asyncio.run(scenario())


def test_a_call_of_grpc_passes_as_it_came_and_its_copy_is_hurt(monitor: Monitor, tmp_path: Path) -> None:
    model = Model()
    message = prediction([0, 1], [(0.9, 0.1), (0.2, 0.8)])
    hurt = prediction([1, 0], [(0.1, 0.9), (0.8, 0.2)])
    model.answer = lambda told, context: message
    with running_proxy(tmp_path, f"--shadow-to=http://127.0.0.1:{monitor.port}/", model=model.port) as proxy:
        proxy.arm("calls", WRONG, mode="shadow")
        with grpc.insecure_channel(f"127.0.0.1:{proxy.routes['model']}") as channel:
            told = channel.unary_unary(INFER)(b"a", metadata=(("x-request-id", "a"),), timeout=DEADLINE_S)
        assert told == message
        assert proxy.state("calls")["faults"]["0"]["changed_rows"] == 2
        eventually(lambda: outcomes(proxy).get("delivered") == 1)
    model.gone()
    ((_, headers, body),) = monitor.of("calls")
    assert body == framed(hurt)
    assert headers["content-type"] == "application/grpc"


# --- the consumer -----------------------------------------------------------------------------------------------------


def test_the_consumer_gets_the_treatment_arms_answers_as_it_would_have_got_them(
    backend: Backend, shadowing: Proxy, monitor: Monitor
) -> None:
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json", "Set-Cookie: secret")
    half = {"traffic": 0.5, "by": "request", "where": None}
    names = [f"canary-{number}" for number in range(40)]

    def asked(mode: str) -> dict[str, bytes]:
        shadowing.arm(mode, {**WRONG, "share": "50%"}, mode=mode, arms=half)
        return {
            name: talk(shadowing.routes["model"], infer(name, b"{}", "Authorization: Bearer secret")) for name in names
        }

    live = {name: whole.partition(b"\r\n\r\n")[2] for name, whole in asked("live").items()}
    shadowing.ask("DELETE", "/runs")
    asked("shadow")
    treated = shadowing.state("shadow")["arms"]["treatment"]["requests"]
    eventually(lambda: len(monitor.of("shadow")) == treated)
    posts = monitor.of("shadow")
    assert 5 < len(posts) < 35
    assert not monitor.of("live")
    got = {headers["x-request-id"]: body for _, headers, body in posts}
    assert got == {name: live[name] for name in got}
    assert {name for name, body in live.items() if body != ANSWER} <= set(got)
    assert [headers["x-chaos-changed"] == "1" for _, headers, _ in posts] == [body != ANSWER for body in got.values()]
    path, headers, _ = posts[0]
    assert path == "/canary?a=b"
    assert (headers["x-chaos-path"], headers["x-chaos-route"]) == (PATH, "model")
    assert "secret" not in json.dumps([told for _, told, _ in posts])
    assert len(monitor.connections) == 1


def test_a_consumer_that_hangs_holds_nobody_up_and_a_disarming_drops_what_waits(
    backend: Backend, fresh: Proxy, monitor: Monitor
) -> None:
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")
    monitor.gate.clear()
    fresh.arm("hangs", WRONG, mode="shadow")
    for number in range(10):
        assert talk(fresh.routes["model"], infer(f"a-{number}")).endswith(ANSWER)
    eventually(lambda: len(monitor.of("hangs")) == 1)
    fresh.ask("DELETE", "/runs/hangs")
    monitor.gate.set()
    eventually(lambda: sum(outcomes(fresh).values()) == 10)
    assert outcomes(fresh)["dropped"] == 9
    assert len(monitor.of("hangs")) == 1


def test_a_consumer_that_refuses_or_is_gone_is_counted(backend: Backend, fresh: Proxy, monitor: Monitor) -> None:
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")
    monitor.status = 500
    fresh.arm("refuses", WRONG, mode="shadow")
    talk(fresh.routes["model"], infer("a"))
    eventually(lambda: outcomes(fresh) == {"failed": 1})

    async def gone() -> Counters:
        counters = Counters()
        consumer = Consumer(f"http://127.0.0.1:{unused_port()}/", counters, lambda run: True)
        consumer.send(ShadowAnswer("a", {}, b"a"))
        await told(counters)
        await consumer.close()
        return counters

    assert dict(asyncio.run(gone()).shadow_answers) | {"dropped": 0} == {"failed": 1, "dropped": 0}


@pytest.mark.parametrize(("size", "fit"), [(1, MOST_QUEUED), (MOST_QUEUED_BYTES // 4, 4)])
def test_a_full_queue_drops_and_counts(size: int, fit: int) -> None:
    async def scenario() -> None:
        counters = Counters()
        consumer = Consumer("http://127.0.0.1:1/", counters, lambda run: True)
        for _ in range(fit + 3):  # nothing is sent meanwhile: this never gives way
            consumer.send(ShadowAnswer("a", {}, b"x" * size))
        assert counters.shadow_answers == {"dropped": 3}
        await consumer.close()
        assert counters.shadow_answers == {"dropped": 3 + fit}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "text", ["127.0.0.1:80", "ftp://a/", "http://", "http://a:0/", "http://a:b/", "http://a b/", "http://a/#b"]
)
def test_a_consumer_that_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write http://HOST"):
        parse_consumer(text)


def test_a_consumers_password_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-that-is-long-enough")
    flags = [f"--token-file={token}", "--route=a=127.0.0.1:0>127.0.0.1:1", "--shadow-to=http://me:hunter2@a/"]
    assert main(flags) == 2
    told = capsys.readouterr().err
    assert "without a password" in told
    assert "hunter2" not in told


def test_the_page_names_the_consumers_metric() -> None:
    names = [line.split()[2] for line in shadow_text("http://a/", Counters()).splitlines() if line.startswith("# TYPE")]
    assert all(f"`{name}" in (ROOT / "docs" / "proxy.md").read_text() for name in names)
    assert shadow_text(None, Counters()) == ""


def test_the_copy_of_a_compressed_answer_is_compressed_and_says_so(
    backend: Backend, fresh: Proxy, monitor: Monitor
) -> None:
    packed = gzip.compress(ANSWER, mtime=0)
    backend.replies[PATH] = sized(packed, "Content-Type: application/json", "Content-Encoding: gzip")
    fresh.arm("gzip", WRONG, mode="shadow")
    assert talk(fresh.routes["model"], infer("a")).endswith(packed)
    eventually(lambda: monitor.of("gzip"))
    ((_, headers, body),) = monitor.of("gzip")
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["outputs"][0]["data"] == [1, 0]


# --- arming -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"fault": "delay", "by": "50ms"}, {"fault": "http_error"}])
def test_faults_of_requests_are_refused_in_one_sentence(fault: dict[str, Any], shadowing: Proxy) -> None:
    answer = shadowing.ask("PUT", "/runs/requests", json=arming(WRONG, fault, mode="shadow"))
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert (
        problem == f"{fault['fault']} hurts requests, and `mode: shadow` touches copies of answers alone; arm it live"
    )
    assert shadowing.ask("GET", "/healthz").json()["held_by"] is None


def test_a_run_is_live_or_shadow_as_a_whole() -> None:
    registry = Registry(Clock())
    registry.arm("a", parse_arming(arming(mode="shadow")))
    with pytest.raises(Refusal, match="armed shadow here"):
        registry.arm("a", parse_arming(arming(WRONG)))
    (armed,) = registry.active
    assert armed.shadow


def test_workers_shadow_as_one_process_does(backend: Backend, monitor: Monitor, tmp_path: Path) -> None:
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")
    to = f"--shadow-to=http://127.0.0.1:{monitor.port}/"
    with running_proxy(tmp_path, to, "--workers=2", model=backend.port) as proxy:
        proxy.arm("workers", WRONG, mode="shadow")
        for number in range(20):
            assert talk(proxy.routes["model"], infer(f"a-{number}")).endswith(ANSWER)
        state = proxy.state("workers")
        assert (state["mode"], state["faults"]["0"]["changed_rows"]) == ("shadow", 40)
        eventually(lambda: outcomes(proxy).get("delivered") == 20)


# --- after a run, idle is idle again ----------------------------------------------------------------------------------


def disarmed() -> tuple[Registry, Clock]:
    clock = Clock()
    registry = Registry(clock)
    registry.arm("a", parse_arming(arming(WRONG)))
    registry.disarm("a")
    return registry, clock


def test_removal_is_proven_for_a_while_and_then_requests_cost_nothing_any_more() -> None:
    registry, clock = disarmed()
    clock.now_s += REMEMBERED_S
    assert registry.lately() is registry.runs["a"]
    clock.now_s += 0.001
    assert registry.lately() is None
    clock.now_s -= 1.0
    assert registry.lately() is None


def test_removal_needs_no_more_proof_than_is_kept() -> None:
    registry, _ = disarmed()
    registry.runs["a"].untouched = MOST_UNTOUCHED
    assert registry.lately() is None


def test_the_removal_of_a_run_that_was_armed_again_is_proven_anew() -> None:
    registry, _ = disarmed()
    registry.runs["a"].untouched = MOST_UNTOUCHED
    registry.arm("a", parse_arming(arming(WRONG)))
    assert registry.lately() is None
    registry.disarm("a")
    assert registry.lately() is registry.runs["a"]
