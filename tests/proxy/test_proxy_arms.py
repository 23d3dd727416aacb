"""Who is hurt: exactly the treatment arm's selected rows, counted by the client and the backend, never by the proxy alone."""

from __future__ import annotations

import hmac
import json
import math
from collections import Counter
from hashlib import blake2b
from http.client import HTTPConnection
from typing import Any

import pytest

from chaos.faults.wrong_predictions import WrongPredictions
from tests.proxy.loopback import KEY, Backend, Proxy, Reply, arming, eventually, infer, sized, talk

ROWS = 5
LABELS = [0, 1, 1, 0, 1]
SCORES = [[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.7, 0.30], [1e-3, 0.999]]
ANSWER = (
    b'{"model_name":"model", "outputs" : [{"name":"predict","shape":[5,1],"datatype":"INT64","data":[0, 1,1,0,1]},'
    b'{"name":"predict_proba","shape":[5,2],"datatype":"FP64","data":[0.9,0.1,0.2,0.8,0.45,0.55,0.7,0.30,1e-3,0.999]}]}'
)
WRONG = {"fault": "wrong_predictions", "share": "30%"}
PATH = "/v2/models/model/infer"


def unit(*parts: str | int) -> float:
    """The documented hash, written down a second time."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") / 2**64


def treated(subject: str, traffic: float) -> bool:
    return unit("a seed", "arm", subject) < traffic


def ask(port: int, subjects: list[str], body: bytes = b"{}", **headers: str) -> dict[str, tuple[int, bytes]]:
    """Each subject's answer, over one connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=15)
    found: dict[str, tuple[int, bytes]] = {}
    for subject in subjects:
        sent = {
            "X-Request-Id": subject,
            **{name.replace("_", "-"): value.replace("SUBJECT", subject) for name, value in headers.items()},
        }
        connection.request("POST", PATH, body, sent)
        answer = connection.getresponse()
        found[subject] = answer.status, answer.read()
    connection.close()
    return found


def arms(traffic: float = 1.0, where: str | None = None, by: str = "header:x-request-id") -> dict[str, Any]:
    return {"traffic": traffic, "by": by, "where": where}


SUBJECTS = [f"applicant-{number}" for number in range(400)]


def test_exactly_the_selected_rows_of_the_treatment_arm_change(backend: Backend, proxy: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")
    proxy.arm("rows", WRONG, arms=arms(0.25))
    answers = ask(proxy.routes["model"], SUBJECTS)
    changed_rows = changed_requests = 0
    for subject, (status, body) in answers.items():
        assert status == 200
        selected = [treated(subject, 0.25) and unit("a seed", "fault", 0, subject, row) < 0.3 for row in range(ROWS)]
        if not any(selected):
            assert body == ANSWER
            continue
        changed_requests += 1
        changed_rows += sum(selected)
        labels, scores = (output["data"] for output in json.loads(body)["outputs"])
        assert labels == [1 - label if hurt else label for label, hurt in zip(LABELS, selected, strict=True)]
        wanted = [pair[::-1] if hurt else pair for pair, hurt in zip(SCORES, selected, strict=True)]
        assert scores == [number for pair in wanted for number in pair]
        if not selected[3]:
            assert b"0.7,0.30" in body
    state = proxy.state("rows")
    fault = state["faults"]["0"]
    assert (fault["selected_rows"], fault["changed_rows"], fault["selected_requests"]) == (
        changed_rows,
        changed_rows,
        changed_requests,
    )
    in_treatment = sum(treated(subject, 0.25) for subject in SUBJECTS)
    assert state["arms"]["treatment"]["requests"] == in_treatment
    assert state["arms"]["control"]["requests"] == len(SUBJECTS) - in_treatment
    # 400 subjects and 5 rows each: four standard deviations around a quarter, and around 30 % of its rows.
    assert abs(in_treatment - 100) < 4 * math.sqrt(400 * 0.25 * 0.75)
    assert abs(changed_rows - 0.3 * ROWS * in_treatment) < 4 * math.sqrt(ROWS * in_treatment * 0.3 * 0.7)
    assert len(backend.seen) == len(SUBJECTS)


def test_a_fault_that_aims_at_an_accuracy_leaves_clients_with_that_accuracy(backend: Backend, proxy: Proxy) -> None:
    """The model is right in four of five rows, and the treatment arm alone is to be at 60 %."""
    truths = [*LABELS[:-1], 1 - LABELS[-1]]
    backend.replies[PATH] = sized(ANSWER, "Content-Type: application/json")
    written = WrongPredictions.model_validate({"fault": "wrong_predictions", "target": "model", "to_accuracy": "60%"})
    proxy.arm("aimed", json.loads(written.aimed(0.8, 2).model_dump_json(exclude_none=True)), arms=arms(0.5))
    right: Counter[bool] = Counter()
    rows: Counter[bool] = Counter()
    for subject, (_, body) in ask(proxy.routes["model"], SUBJECTS).items():
        labels = json.loads(body)["outputs"][0]["data"]
        right[treated(subject, 0.5)] += sum(said == true for said, true in zip(labels, truths, strict=True))
        rows[treated(subject, 0.5)] += ROWS
    # The share is a third: of each row, whether it is hurt is a draw of its own.
    assert abs(right[True] - 0.6 * rows[True]) < 4 * math.sqrt(rows[True] * (1 / 3) * (2 / 3))
    assert right[False] == 0.8 * rows[False]


def test_a_subject_is_counted_by_its_first_request_alone_however_often_it_comes(backend: Backend, proxy: Proxy) -> None:
    """By these the arms are compared: a user who comes back is no new evidence, and neither is a retry."""
    backend.replies[PATH] = sized(ANSWER)
    proxy.arm("met", {"fault": "http_error", "share": "50%"}, arms=arms(0.5))
    first = ask(proxy.routes["model"], SUBJECTS[:80])
    ask(proxy.routes["model"], SUBJECTS[:80])
    ask(proxy.routes["model"], SUBJECTS[:80], X_Attempt_Number="2")
    ask(proxy.routes["model"], SUBJECTS[80:100], X_Attempt_Number="2")
    first |= ask(proxy.routes["model"], SUBJECTS[80:90])
    counted = proxy.state("met")["arms"]
    for arm, hurt in (("treatment", True), ("control", False)):
        mine = [answer for subject, (answer, _) in first.items() if treated(subject, 0.5) is hurt]
        assert counted[arm]["subjects"] == len(mine)
        assert counted[arm]["subjects_failed"] == sum(status == 503 for status in mine)
        assert counted[arm]["subjects_slow"] == 0
        assert counted[arm]["first_attempts"] > counted[arm]["subjects"]


def test_a_retried_request_meets_the_same_fault_and_only_first_attempts_count(backend: Backend, proxy: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER)
    proxy.arm("retries", {"fault": "http_error", "share": "50%"})
    first = ask(proxy.routes["model"], SUBJECTS[:60], X_Attempt_Number="1")
    second = ask(proxy.routes["model"], SUBJECTS[:60], X_Attempt_Number="2")
    assert first == second
    errors = sum(status == 503 for status, _ in first.values())
    assert 10 < errors < 50
    counted = proxy.state("retries")["arms"]["treatment"]
    assert (counted["requests"], counted["first_attempts"], counted["errors"]) == (120, 60, errors)
    assert counted["latency_buckets"]["+Inf"] == 60
    seconds = proxy.state("retries")["by_second"]
    assert sum(row.get("treatment", {}).get("first_attempts", 0) for row in seconds) == 60
    assert len(backend.seen) == 2 * (60 - errors)


def test_nobody_without_a_subject_is_touched(backend: Backend, proxy: Proxy) -> None:
    proxy.arm("nobody", {"fault": "http_error"})
    assert talk(proxy.routes["model"], infer(None)).startswith(b"HTTP/1.1 200 ")
    outside = proxy.state("nobody")["arms"]["outside"]
    assert (outside["requests"], outside["subjects_unknown"]) == (1, 1)


def test_subjects_in_bodies_keep_their_arms_and_whoever_says_none_is_untouched(backend: Backend, proxy: Proxy) -> None:
    """Counted at the backend: an error of the treatment arm never reaches it, everything else does."""
    proxy.arm("bodies", {"fault": "http_error"}, arms=arms(0.4, by="json:$.card.number"))
    port = proxy.routes["model"]
    known = [f"card-{number}" for number in range(30)]
    for subject in known * 2:
        ask(port, ["request"], json.dumps({"card": {"number": subject}, "pad": "x" * (len(known) * 100)}).encode())
    reached = Counter(json.loads(raw.partition(b"\r\n\r\n")[2])["card"]["number"] for raw in backend.seen)
    assert reached == {subject: 2 for subject in known if not treated(subject, 0.4)}
    assert 5 < len(reached) < 25
    nobody = [
        b"",
        b"{}",
        b'{"card": "4"}',
        b'{"card": {"number": null}}',
        b"[" * 50_000,
        b'{"card": {"number": "\\ud800"}}',
    ]
    for body in nobody:
        assert {status for status, _ in ask(port, ["request"], body).values()} == {200}
    state = proxy.state("bodies")["arms"]
    assert state["outside"]["requests"] == state["outside"]["subjects_unknown"] == len(nobody)
    assert state["treatment"]["requests"] == 2 * (len(known) - len(reached))
    proxy.ask("DELETE", "/runs/bodies")
    for subject in known:
        ask(port, ["request"], json.dumps({"card": {"number": subject}}).encode())
    ask(port, ["request"], b"{}")
    eventually(lambda: proxy.state("bodies")["arms"]["outside"]["untouched_since_disarm"] == 1)
    assert proxy.state("bodies")["arms"]["treatment"]["untouched_since_disarm"] == len(known) - len(reached)


def test_an_aim_is_the_plans_and_no_proxy_takes_it(proxy: Proxy) -> None:
    answer = proxy.ask("PUT", "/runs/aim", json=arming({"fault": "wrong_predictions", "to_accuracy": "70%"}))
    assert answer.status_code == 422
    assert "a proxy knows no accuracy; write the `share` that a plan finds for `to_accuracy`" in answer.text


@pytest.mark.parametrize("where", ['json:$.region == "north"', 'header:x-region == "north"'])
def test_a_slice_confines_the_fault(where: str, backend: Backend, proxy: Proxy) -> None:
    run = f"slice-{where[:4]}"
    proxy.arm(run, {"fault": "http_error"}, arms=arms(where=where))
    port = proxy.routes["model"]
    north = ask(port, SUBJECTS[:5], b'{"region":"north"}', X_Region="north")
    south = ask(port, SUBJECTS[:5], b'{"region":"south"}', X_Region="south")
    neither = ask(port, SUBJECTS[:5], b"[" * 100_000)
    assert {status for status, _ in north.values()} == {503}
    assert {status for status, _ in (south | neither).values()} == {200}
    assert len(backend.seen) == 10
    assert proxy.state(run)["arms"]["outside"]["requests"] == 10


def test_a_slice_by_body_forwards_the_very_bytes_that_came(backend: Backend, proxy: Proxy) -> None:
    proxy.arm("sliced-bytes", {"fault": "http_error"}, arms=arms(where='json:$.region == "north"'))
    head = b"POST /v2/models/model/infer HTTP/1.1\r\nX-Request-Id: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b'12;x=y\r\n{"region":"south"}\r\n', b"0\r\nX-T: u\r\n\r\n"
    assert talk(proxy.routes["model"], head, *chunks).startswith(b"HTTP/1.1 200 ")
    assert backend.seen == [head + b"".join(chunks)]
    north = b'12\r\n{"region":"north"}\r\n0\r\n\r\n'
    assert talk(proxy.routes["model"], head, north).startswith(b"HTTP/1.1 503 ")


def test_synthetic_faults_touch_only_subjects_that_the_run_signed(backend: Backend, proxy: Proxy) -> None:
    proxy.arm("synthetic", {"fault": "http_error"}, subjects="synthetic", synthetic_key=KEY)

    def signed(subject: str, run: str = "synthetic", key: str = KEY) -> str:
        made = hmac.new(bytes.fromhex(key), f"{run}\x1f{subject}".encode(), "sha256").hexdigest()[:32]
        return f"X-Chaos-Synthetic: {run}:{made}"

    def status(*headers: str) -> bytes:
        return talk(proxy.routes["model"], infer("someone", b"{}", *headers))[9:12]

    assert status(signed("someone")) == b"503"
    assert status() == b"200"
    assert status(signed("someone else")) == b"200"
    assert status(signed("someone", run="another run")) == b"200"
    assert status(signed("someone", key="00" * 16)) == b"200"
    assert status("X-Chaos-Synthetic: synthetic:\xe4") == b"200"
    assert len([request for request in backend.seen if b"Synthetic" in request]) == 4


@pytest.mark.parametrize(
    ("name", "body", "header"),
    [
        ("gzip", b"\x1f\x8b\x08\x00rest", "Content-Encoding: gzip"),
        ("truncated", ANSWER[:-20], "Content-Type: application/json"),
        ("no outputs", b'{"predictions":[0,1]}', "Content-Type: application/json"),
        ("latin-1", ANSWER.replace(b"model_name", b"mod\xe8le"), "Content-Type: application/json"),
        ("binary tensors", ANSWER, "Inference-Header-Content-Length: 20"),
        ("too deep", b"[" * 5000 + b"]" * 5000, "Content-Type: application/json"),
    ],
)
def test_an_answer_that_cannot_be_decoded_passes_untouched_and_is_counted(
    name: str, body: bytes, header: str, backend: Backend, proxy: Proxy
) -> None:
    backend.replies[PATH] = sized(body, header)
    run = f"undecodable-{name.replace(' ', '-')}"
    proxy.arm(run, {"fault": "wrong_predictions"})
    assert talk(proxy.routes["model"], infer("a")) == b"".join(sized(body, header).pieces)
    assert proxy.state(run)["faults"]["0"]["undecodable"] == 1


def test_a_changed_answer_has_a_length_that_fits_and_every_other_header_as_it_was(
    backend: Backend, proxy: Proxy
) -> None:
    short = b'{"outputs":[{"name":"predict","shape":[1],"datatype":"BYTES","data":["no"]}]}'
    backend.replies[PATH] = sized(short, "X-First: 1", "x-SECOND:2", "Set-Cookie: a", "Set-Cookie: b")
    proxy.arm("lengths", {"fault": "wrong_predictions"}, output={"classes": ["no", "perhaps"]})
    head, _, body = talk(proxy.routes["model"], infer("a")).partition(b"\r\n\r\n")
    assert body == short.replace(b'"no"', b'"perhaps"')
    assert (
        head
        == b"HTTP/1.1 200 OK\r\nX-First: 1\r\nx-SECOND:2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: %d"
        % len(body)
    )


def test_a_changed_chunked_answer_is_one_message_with_a_length(backend: Backend, proxy: Proxy) -> None:
    reply = Reply(
        (
            b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(ANSWER), ANSWER),
        )
    )
    backend.replies[PATH] = reply
    proxy.arm("chunks", {"fault": "wrong_predictions"})
    head, _, body = talk(proxy.routes["model"], infer("a")).partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: %d" % len(body)
    assert json.loads(body)["outputs"][0]["data"] == [1 - label for label in LABELS]


def test_an_error_instead_of_the_model_reaches_a_client_that_is_still_sending_and_keeps_the_connection(
    backend: Backend, proxy: Proxy
) -> None:
    proxy.arm("still-sending", {"fault": "http_error"})
    head = b"POST /v2/models/model/infer HTTP/1.1\r\nX-Request-Id: a\r\nContent-Length: 1000000\r\n"
    said = talk(
        proxy.routes["model"],
        head + b"\r\n",
        *[b"z" * 100_000] * 10,
        head + b"Connection: close\r\n\r\n" + b"z" * 1_000_000,
    )
    assert said.count(b"HTTP/1.1 503 ") == 2
    assert said.count(b"connection: keep-alive") == 1
    assert not backend.seen


def test_a_delay_then_an_error_does_not_stop_the_connection(backend: Backend, proxy: Proxy) -> None:
    proxy.arm("both", {"fault": "delay", "by": "50ms"}, {"fault": "http_error"})
    head = b"POST /v2/models/model/infer HTTP/1.1\r\nX-Request-Id: a\r\nContent-Length: 700000\r\n"
    body = b"z" * 700_000
    said = talk(proxy.routes["model"], head + b"\r\n" + body, head + b"Connection: close\r\n\r\n" + body)
    assert said.count(b"HTTP/1.1 503 ") == 2
    faults = proxy.state("both")["faults"]
    assert 0.09 <= faults["0"]["delayed_s"] < 5
    assert faults["1"]["injected"] == 2


def test_the_changes_are_kept_as_ground_truth_without_subjects_or_bodies(backend: Backend, proxy: Proxy) -> None:
    backend.replies[PATH] = sized(ANSWER)
    proxy.arm("truth", WRONG)
    answers = ask(proxy.routes["model"], SUBJECTS[:40])
    told = proxy.ask("GET", "/runs/truth/changes").json()
    rows = Counter(change["request_id"] for change in told["changes"])
    for subject, (_, body) in answers.items():
        labels = json.loads(body)["outputs"][0]["data"]
        assert rows[subject] == sum(new != old for new, old in zip(labels, LABELS, strict=True))
    assert told["last"] == sum(rows.values())
    assert all(change["label_after"] == 1 - change["label_before"] for change in told["changes"])
    assert not any("body_before" in change or "subject" in change for change in told["changes"])
    later = proxy.ask("GET", f"/runs/truth/changes?after={told['last'] - 1}").json()
    assert [change["id"] for change in later["changes"]] == [told["last"]]
