"""A fault that asks for the request's body gets it, and the model gets the very bytes that came."""

from __future__ import annotations

import json

import pytest

from tests.proxy.loopback import Backend, Proxy, sized, talk
from tests.proxy.test_proxy_arms import ANSWER, LABELS, PATH, SUBJECTS, ask, treated

BANDS = ["young", "old", "young", "old", "young"]
BODY = json.dumps({"instances": [{"band": band} for band in BANDS], "all": "young"}).encode()
HURT = [0 if band == "young" else label for band, label in zip(BANDS, LABELS, strict=True)]


def biased(by: str) -> dict[str, object]:
    return {"fault": "biased_outputs", "by": by, "group": "young", "decision": 0}


def labels(answer: bytes) -> list[int]:
    found: list[int] = json.loads(answer[answer.index(b"{") :])["outputs"][0]["data"]
    return found


@pytest.mark.parametrize(
    ("by", "hurt"),
    [("feature:band", HURT), ("json:$.instances[*].band", HURT), ("json:$.all", [0] * 5), ("feature:age", LABELS)],
)
def test_the_group_is_found_in_the_body_and_the_model_gets_what_was_sent(
    by: str, hurt: list[int], backend: Backend, proxy: Proxy
) -> None:
    backend.replies[PATH] = sized(ANSWER)
    proxy.arm("groups", biased(by), arms={"traffic": 0.5, "by": "header:x-request-id"})
    answers = ask(proxy.routes["model"], SUBJECTS[:20], BODY)
    for subject, (_, body) in answers.items():
        assert labels(body) == (hurt if treated(subject, 0.5) else LABELS)
        assert treated(subject, 0.5) or body == ANSWER
    assert len({treated(subject, 0.5) for subject in answers}) == 2
    assert all(seen.endswith(BODY) for seen in backend.seen)


def test_a_chunked_body_is_read_and_goes_on_as_it_came(backend: Backend, proxy: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER)
    proxy.arm("chunked", biased("feature:band"))
    head = (
        f"POST {PATH} HTTP/1.1\r\nX-Request-Id: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    chunks = b"%x;x=y\r\n%b\r\n" % (len(BODY) - 30, BODY[:-30]), b"1e\r\n%b\r\n0\r\nX-T: u\r\n\r\n" % BODY[-30:]
    assert labels(talk(proxy.routes["model"], head, *chunks)) == HURT
    assert backend.seen == [head + b"".join(chunks)]


def test_a_body_above_the_limit_says_nothing_and_goes_on(backend: Backend, proxy: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER)
    proxy.arm("large", biased("feature:band"))
    body = BODY[:-1] + b' , "more": "' + b"x" * 4_000_000 + b'"}'
    head = (
        f"POST {PATH} HTTP/1.1\r\nX-Request-Id: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    assert talk(proxy.routes["model"], head, body) == b"".join(sized(ANSWER).pieces)
    assert backend.seen == [head + body]


def test_once_it_is_off_no_body_is_needed_to_prove_that(backend: Backend, proxy: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER)
    proxy.arm("off", biased("feature:band"))
    assert proxy.ask("DELETE", "/runs/off").status_code == 204
    head = (
        f"POST {PATH} HTTP/1.1\r\nX-Request-Id: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    assert talk(proxy.routes["model"], head, b"2\r\n{}\r\n0\r\n\r\n") == b"".join(sized(ANSWER).pieces)
    assert proxy.state("off")["arms"]["treatment"]["untouched_since_disarm"] == 1
