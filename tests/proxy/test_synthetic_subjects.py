"""Wrong answers for the run's own load alone: what proves it, on the wire, and what does not."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from tests.proxy.loopback import KEY, Backend, Proxy, infer, sized, talk
from tests.proxy.test_proxy_arms import ANSWER, PATH

OTHER_KEY = "00ff" * 16
BODY = b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.5, 2.5]}]}'


def mark(subject: str, run: str, key: str = KEY) -> str:
    """The header, by the documented rule, written down a second time."""
    signature = hmac.new(bytes.fromhex(key), f"{run}\x1f{subject}".encode(), hashlib.sha256).hexdigest()[:32]
    return f"X-Chaos-Synthetic: {run}:{signature}"


@pytest.fixture
def run(request: pytest.FixtureRequest, backend: Backend, proxy: Proxy) -> str:
    """A run that makes every answer to its own load wrong."""
    name = f"run-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")
    proxy.arm(name, {"fault": "wrong_predictions"}, subjects="synthetic", synthetic_key=KEY)
    return name


def hurt(proxy: Proxy, *headers: str) -> bool:
    """Whether the answer to `someone` is another than the model's."""
    return not talk(proxy.routes["model"], infer("someone", BODY, *headers)).endswith(ANSWER)


def test_the_runs_own_load_gets_wrong_answers(proxy: Proxy, run: str) -> None:
    assert hurt(proxy, mark("someone", run))


@pytest.mark.parametrize(
    "header",
    [
        "X-Nothing: at all",
        "X-Chaos-Synthetic: 1",
        "X-Chaos-Synthetic:",
        "X-Chaos-Synthetic: RUN:",
        "X-Chaos-Synthetic: RUN:00000000000000000000000000000000",
    ],
)
def test_whoever_is_not_signed_for_gets_the_models_own_answer(proxy: Proxy, run: str, header: str) -> None:
    assert not hurt(proxy, header.replace("RUN", run))


def test_a_signature_copied_from_another_subject_marks_nobody(proxy: Proxy, run: str) -> None:
    assert not hurt(proxy, mark("someone else", run))


def test_a_signature_of_another_run_marks_nobody(proxy: Proxy, run: str) -> None:
    assert not hurt(proxy, mark("someone", f"{run}-before"))


def test_a_signature_with_another_key_marks_nobody(proxy: Proxy, run: str) -> None:
    assert not hurt(proxy, mark("someone", run, OTHER_KEY))


def test_a_signature_is_stale_once_its_run_is_over(proxy: Proxy, run: str) -> None:
    proxy.ask("DELETE", f"/runs/{run}")
    later = f"{run}-later"
    proxy.arm(later, {"fault": "wrong_predictions"}, subjects="synthetic", synthetic_key=OTHER_KEY)
    assert not hurt(proxy, mark("someone", run))
    assert hurt(proxy, mark("someone", later, OTHER_KEY))


@pytest.mark.parametrize("signed", [True, False], ids=["the run's own", "somebody's"])
def test_the_mark_goes_on_to_the_model_as_it_came(backend: Backend, proxy: Proxy, run: str, *, signed: bool) -> None:
    header = mark("someone" if signed else "someone else", run)
    hurt(proxy, header)
    assert header.encode() in backend.seen[-1].split(b"\r\n")


def test_the_mark_goes_on_to_a_model_that_is_asked_otherwise(backend: Backend, proxy: Proxy, run: str) -> None:
    asked_otherwise = f"{run}-inputs"
    proxy.ask("DELETE", f"/runs/{run}")
    proxy.arm(
        asked_otherwise, {"fault": "unit_change", "feature": 0, "factor": 10}, subjects="synthetic", synthetic_key=KEY
    )
    header = mark("someone", asked_otherwise)
    hurt(proxy, header)
    assert b"15.0" in backend.seen[-1]
    assert header.encode() in backend.seen[-1].split(b"\r\n")
