"""The blast radius is a promise: counted at the backend and at the client, from the bytes that they sent and got.

The proxy's own counts are asked for one thing alone: that the fault was on, and how many it could have hurt.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaos.arms import Arms, sign_synthetic
from chaos.faults import catalogue
from chaos.proxy.arming import parse_arming
from chaos.proxy.registry import Registry
from tests.faults.test_fault_contract import WITH_SHARES, made
from tests.fuzzing import examples
from tests.proxy.loopback import KEY, Backend, Proxy, Reply, arming, eventually, running_proxy, sized, talk
from tests.proxy.test_proxy_workers import whole, workers

VALUES = "abc"
SUBJECTS = [f"subject-{place}" for place in range(12)]
OUTPUT = {"label": "label", "classes": ["good", "bad"]}
NUMBERS = count()
"""Every request of this file has its own: it is found by it at the backend."""
ON_PROXIES = [
    (name, text)
    for name, text in WITH_SHARES
    if catalogue()[name].acts_on in ("request", "answer") and not catalogue()[name].whole_target
]


@dataclass(frozen=True)
class Asked:
    """One request, told by what it says where. None: it says nothing there."""

    header: str | None
    cookie: str | None
    query: str | None
    json: str | None
    who: tuple[str | None, str | None, str | None, str | None]
    """The subject that its header, its cookie, its query and its body name."""
    mark: str
    """run: signed as the run's own for all its subjects · other: signed with another key · none"""
    chunked: bool
    number: int = field(default_factory=lambda: next(NUMBERS))

    @property
    def path(self) -> str:
        return f"/v2/models/m{self.number}/infer"

    def subject(self, by: str) -> str | None:
        return self.who[["header", "cookie", "query", "json"].index(by.partition(":")[0])]

    def raw(self, run: str, by: str) -> bytes:
        """Its bytes."""
        said = {"region": self.json} if self.json is not None else {}
        said |= {"who": self.who[3]} if self.who[3] is not None else {}
        body = json.dumps({"inputs": [], "number": self.number, **said}).encode()
        parameters = [("first", "1"), ("q", self.query), ("who", self.who[2])]
        cookies = [("theme", "dark"), ("plan", self.cookie), ("who", self.who[1])]
        target = "&".join(f"{name}={value}" for name, value in parameters if value is not None)
        lines = [f"POST {self.path}?{target} HTTP/1.1", "Host: model", "Content-Type: application/json"]
        lines += ["Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies if value is not None)]
        lines += [f"X-Group: {self.header}"] if self.header is not None else []
        lines += [f"X-Who: {self.who[0]}"] if self.who[0] is not None else []
        key = {"run": KEY, "other": "a5" * 16}.get(self.mark)
        if key is not None:
            lines += [f"X-Chaos-Synthetic: {sign_synthetic(bytes.fromhex(key), run, self.subject(by) or '')}"]
        if self.chunked:
            body = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
        lines += ["Transfer-Encoding: chunked"] if self.chunked else [f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "Connection: close"]).encode() + b"\r\n\r\n" + body

    def reply(self) -> Reply:
        """What the model says to it, in either framing."""
        labels = ["good", "bad"][self.number % 2 :] * 2
        outputs = [{"name": "label", "shape": [len(labels)], "datatype": "BYTES", "data": labels}]
        body = json.dumps({"model_name": f"m{self.number}", "outputs": outputs}, indent=self.number % 3).encode()
        if self.number % 4:
            return sized(body, "Content-Type: application/json", f"X-Number: {self.number}")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        return Reply((head, b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(body), body)))


@dataclass(frozen=True)
class Radius:
    """Whom a run may hurt; `place` is where its slice looks."""

    place: str | None
    equal: bool
    value: str
    by: str
    traffic: float
    subjects: str

    def arms(self) -> dict[str, Any]:
        places = {"header": "header:x-group", "cookie": "cookie:plan", "query": "query:q", "json": "json:$.region"}
        where = f'{places[self.place]} {"==" if self.equal else "!="} "{self.value}"' if self.place else None
        return {"traffic": self.traffic, "by": self.by, "where": where}

    def has(self, asked: Asked, seed: str) -> bool:
        """Whether this request may be hurt, told without a parser: from what the test itself put where."""
        subject = asked.subject(self.by)
        said = getattr(asked, self.place) if self.place else ""
        sliced = self.place is None or (said is not None and (said == self.value) is self.equal)
        marked = self.subjects == "users" or asked.mark == "run"
        return subject is not None and sliced and marked and Arms(seed, self.traffic).arm_of(subject) == "treatment"


SAID = st.sampled_from([*VALUES, None])
WHO = st.sampled_from([*SUBJECTS, None])
ASKED = st.builds(
    Asked, SAID, SAID, SAID, SAID, st.tuples(WHO, WHO, WHO, WHO), st.sampled_from(["run", "run", "other", "none"]), st.booleans()
)  # fmt: skip
RADIUS = st.builds(
    Radius,
    st.sampled_from(["header", "cookie", "query", "json", None]), st.booleans(), st.sampled_from(VALUES),
    st.sampled_from(["header:x-who", "cookie:who", "query:who", "json:$.who"]), st.sampled_from([0.01, 0.3, 0.7, 1.0]),
    st.sampled_from(["users", "synthetic"]),
)  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, tuple[Proxy, ...]]]:
    """A backend, a proxy of one process and one of two workers before it."""
    backend = Backend()
    with ExitStack() as stack:
        made_ones = [
            stack.enter_context(running_proxy(tmp_path_factory.mktemp("radius"), flags, model=backend.port))
            for flags in ("--workers=1", "--workers=2")
        ]
        yield backend, tuple(made_ones)
    backend.close()


def at_backend(backend: Backend, asked: Asked) -> list[bytes]:
    """Every request that the backend got with this one's number."""
    needle = f" {asked.path}?".encode()
    return [raw for raw in backend.seen if needle in raw.split(b"\r\n", 1)[0]]


def promise(
    backend: Backend, proxies: tuple[Proxy, ...], run: str, radius: Radius, asked: list[Asked], fault: dict[str, Any]
) -> int:
    """Everybody outside the radius is untouched at both ends; how many were inside."""
    backend.forget()
    body = arming(fault, arms=radius.arms(), subjects=radius.subjects, synthetic_key=KEY, output=OUTPUT)
    for proxy in proxies:
        answer = proxy.ask("PUT", f"/runs/{run}", json=body)
        assert answer.status_code == 200, answer.text
    inside = [one for one in asked if radius.has(one, body["seed"])]
    with ExitStack() as open_ones:
        for place, one in enumerate(asked):
            backend.replies[one.path] = one.reply()
            port = proxies[place % len(proxies)].routes["model"]
            sent = one.raw(run, radius.by)
            if one in inside:  # whatever happens to it may take for ever: nobody waits for it
                client = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), 10))
                client.sendall(sent)
            else:
                got = talk(port, sent)
                assert got == b"".join(one.reply().pieces)
                assert at_backend(backend, one) == [sent]

        def reached() -> int:
            states = [proxy.state(run) for proxy in proxies]
            return sum(state["arms"]["treatment"]["requests"] for state in states)

        eventually(lambda: reached() == len(inside))
        for proxy in proxies:
            assert proxy.ask("DELETE", f"/runs/{run}").status_code == 204
    return len(inside)


@settings(max_examples=examples(12), deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(RADIUS, st.lists(ASKED, min_size=8, max_size=24), st.sampled_from(["wrong_predictions", "http_error"]))
def test_whoever_is_outside_the_radius_is_untouched_at_the_backend_and_at_the_client(
    both: tuple[Backend, tuple[Proxy, ...]], radius: Radius, asked: list[Asked], fault: str
) -> None:
    backend, proxies = both
    promise(backend, proxies, f"radius-{next(NUMBERS)}", radius, asked, {"fault": fault})


@pytest.mark.parametrize(("name", "text"), ON_PROXIES)
def test_no_fault_reaches_beyond_its_radius(name: str, text: str, both: tuple[Backend, tuple[Proxy, ...]]) -> None:
    backend, proxies = both
    radius = Radius("cookie", True, "a", "header:x-who", 0.5, "synthetic")
    asked = [
        Asked(None, plan, None, None, (subject, None, None, None), mark, chunked=False)
        for subject in SUBJECTS[:6]
        for plan, mark in (("a", "run"), ("a", "none"), ("b", "run"), (None, "run"))
    ]
    fault = json.loads(made(text).model_dump_json(exclude_none=True))
    inside = promise(backend, proxies, f"of-{name}-{next(NUMBERS)}", radius, asked, fault)
    assert 0 < inside < 6


def test_an_answer_inside_the_radius_is_hurt_as_the_client_sees_it(both: tuple[Backend, tuple[Proxy, ...]]) -> None:
    """What keeps the tests above honest: their backend's answers are ones that a fault can change."""
    backend, (proxy, _) = both
    backend.forget()
    asked = [Asked("a", None, None, None, (subject, None, None, None), "run", chunked=False) for subject in SUBJECTS]
    radius = Radius("header", True, "a", "header:x-who", 0.5, "synthetic")
    proxy.arm(
        "hurts",
        {"fault": "wrong_predictions"},
        arms=radius.arms(),
        subjects="synthetic",
        synthetic_key=KEY,
        output=OUTPUT,
    )
    hurt = set()
    for one in asked:
        backend.replies[one.path] = one.reply()
        sent = one.raw("hurts", radius.by)
        if talk(proxy.routes["model"], sent) != b"".join(one.reply().pieces):
            hurt.add(one)
        assert at_backend(backend, one) == [sent]
    proxy.ask("DELETE", "/runs/hurts")
    assert hurt == {one for one in asked if radius.has(one, "a seed")}
    assert 0 < len(hurt) < len(asked)


# --- stickiness -------------------------------------------------------------------------------------------------------


def hurt_subjects(proxy: Proxy, by: str, attempt: int) -> set[str]:
    """The subjects whose request is answered with an error."""
    hurt = set()
    for subject in (f"sticky-{place}" for place in range(24)):
        who: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
            "header:x-who": (subject, None, None, None), "cookie:who": (None, subject, None, None),
            "query:who": (None, None, subject, None), "json:$.who": (None, None, None, subject),
        }  # fmt: skip
        raw = Asked(None, None, None, None, who[by], "none", chunked=False).raw("sticky", by)
        answer = talk(proxy.routes["model"], raw.replace(b"\r\n", b"\r\nX-Attempt-Number: %d\r\n" % attempt, 1))
        hurt |= {subject} if answer.startswith(b"HTTP/1.1 503") else set()
    return hurt


@pytest.mark.parametrize("by", ["header:x-who", "cookie:who", "query:who", "json:$.who"])
def test_a_subject_keeps_its_fate_across_retries_proxies_workers_and_restarts(
    by: str, both: tuple[Backend, tuple[Proxy, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    backend, (one, several) = both
    arms = {"traffic": 0.6, "by": by, "where": None}
    fault = {"fault": "http_error", "share": 0.7}
    run = f"sticky-{by.partition(':')[0]}"
    for proxy in (one, several):
        proxy.arm(run, fault, arms=arms)
    fates = [hurt_subjects(proxy, by, attempt) for attempt in (1, 2) for proxy in (one, several)]
    os.kill(workers(several)[0], signal.SIGKILL)
    eventually(lambda: whole(several))
    fates.append(hurt_subjects(several, by, 1))
    with running_proxy(tmp_path_factory.mktemp("restarted"), model=backend.port) as restarted:
        restarted.arm(run, fault, arms=arms)
        fates.append(hurt_subjects(restarted, by, 1))
    for proxy in (one, several):
        proxy.ask("DELETE", f"/runs/{run}")
    assert 0 < len(fates[0]) < 24
    assert all(fate == fates[0] for fate in fates)


def test_every_arming_that_these_tests_make_is_one_that_a_proxy_takes() -> None:
    for place in ("header", "cookie", "query", "json", None):
        radius = Radius(place, False, "a", "cookie:who", 0.5, "users")
        state = Registry(lambda: 0.0).arm("run", parse_arming(arming(arms=radius.arms())))
        assert state.last_armed is not None
        assert (state.last_armed.slice is None) is (place is None)
