"""What a model may answer while faults are on: too deep, too long, unfolding without end. It passes, and the proxy goes on."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.proxy.loopback import Backend, Proxy, Reply, infer, running_proxy, sized, talk

PATH = "/v2/models/model/infer"
OUTPUT = {"label": "label", "classes": ["good", "bad"]}


def answer(data: str, **more: Any) -> bytes:
    told = {
        "model_name": "m",
        "outputs": [{"name": "label", "shape": [1], "datatype": "BYTES", "data": "DATA"}],
        **more,
    }
    return json.dumps(told).replace('"DATA"', data).encode()


HOSTILE: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "deep": (answer("[" * 100_000 + "]" * 100_000), ()),
    "deep and open": (b'{"outputs":' * 50_000, ()),
    "deep beside the rows": (
        answer('["good"]').replace(b'"model_name"', b'"deep": ' + b"[" * 50_000 + b"]" * 50_000 + b', "model_name"'),
        (),
    ),
    "a number of many digits": (answer(f"[{'9' * 100_000}]"), ()),
    "an absurd exponent": (answer("[1e999999999]"), ()),
    "no numbers": (answer("[NaN, Infinity]"), ()),
    "a shape of more than there is": (answer('["good"]').replace(b"[1]", b"[999999999999, 999999999999]"), ()),
    "many rows": (answer(json.dumps(["good"] * 90_000)).replace(b"[1]", b"[90000]"), ()),
    "halves of pairs": (answer('["\\ud800"]'), ()),
    "the same key twice": (answer('["good"]').replace(b"{", b'{"outputs": 7, ', 1), ()),
    "nothing": (b"", ()),
    "no text": (b"\xff\xfe\x00", ()),
    "gzip without end": (gzip.compress(b" " * 100_000_000), ("Content-Encoding: gzip",)),
    "gzip in gzip": (gzip.compress(gzip.compress(b" " * 10_000_000)), ("Content-Encoding: gzip, gzip",)),
    "deflate without end": (zlib.compress(b'{"outputs": [' + b" " * 50_000_000), ("Content-Encoding: deflate",)),
    "cut gzip": (gzip.compress(answer('["good"]'))[:-9], ("Content-Encoding: gzip",)),
    "a coding that nobody knows": (answer('["good"]'), ("Content-Encoding: x-evil",)),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Backend]]:
    backend = Backend()
    with running_proxy(tmp_path_factory.mktemp("answers"), model=backend.port) as made:
        yield made, backend
    backend.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_reaches_the_client_and_the_proxy_goes_on_in_bounded_memory(
    name: str, served: tuple[Proxy, Backend]
) -> None:
    proxy, backend = served
    body, headers = HOSTILE[name]
    proxy.arm("hostile", {"fault": "wrong_predictions"}, output=OUTPUT)
    before = psutil.Process(proxy.process.pid).memory_info().rss
    for _ in range(3):
        backend.replies[PATH] = sized(body, "Content-Type: application/json", *headers)
        got = talk(proxy.routes["model"], infer("someone"))
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        changed = got.partition(b"\r\n\r\n")[2]
        assert changed == body or b"bad" in changed
    backend.replies[PATH] = sized(answer('["good"]'), "Content-Type: application/json")
    assert b'"bad"' in talk(proxy.routes["model"], infer("someone"))
    assert proxy.state("hostile")["state"] == "armed"
    assert psutil.Process(proxy.process.pid).memory_info().rss - before < 120_000_000


@pytest.mark.parametrize("length", ["99999999999999999999", "-1", "0x10", "1e3", "5, 6"])
def test_an_absurd_length_of_an_answer_is_a_refusal_and_not_an_end(length: str, served: tuple[Proxy, Backend]) -> None:
    proxy, backend = served
    backend.replies[PATH] = Reply((f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello".encode(),), close=True)
    talk(proxy.routes["model"], infer("someone"))
    backend.replies[PATH] = sized(answer('["good"]'), "Content-Type: application/json")
    assert talk(proxy.routes["model"], infer("someone")).startswith(b"HTTP/1.1 200 OK\r\n")
