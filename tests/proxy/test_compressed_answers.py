"""Answers that a real server compressed are hurt like any other, and stay compressed; an untouched one keeps every byte."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import pytest

from chaos.protocols.base import Undecodable
from chaos.proxy.coding import LARGEST_OPENED, closed, opened
from tests.proxy.loopback import Backend, Proxy, Reply, infer, sized, talk

PATH = "/v2/models/model/infer"
CAPTURED = Path(__file__).parents[1] / "captures" / "mlserver" / "infer_gzip.http"
ANSWER = CAPTURED.read_bytes().partition(b"\n")[2]


def plain(answer: bytes) -> dict[str, object]:
    """What a compressed answer says; its length is the one that its head promises."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    assert int(length.partition(b":")[2]) == len(body)
    return dict(json.loads(gzip.decompress(body)))


def test_a_captured_compressed_answer_has_the_wrong_class_and_is_still_compressed(
    backend: Backend, proxy: Proxy
) -> None:
    backend.replies[PATH] = Reply((ANSWER,))
    proxy.arm("compressed", {"fault": "wrong_predictions"})
    got = talk(proxy.routes["model"], infer("a", b"{}", "Accept-Encoding: gzip", close=True))
    assert b"\r\ncontent-encoding: gzip\r\n" in got
    before, after = plain(ANSWER), plain(got)
    assert [one["data"] for one in before["outputs"][:1]] == [[0, 2, 1, 0]]  # type: ignore[index]
    assert [one["data"] for one in after["outputs"][:1]] == [[1, 0, 2, 1]]  # type: ignore[index]
    assert proxy.state("compressed")["faults"]["0"]["undecodable"] == 0


def test_a_compressed_answer_in_which_nothing_is_selected_keeps_every_byte(backend: Backend, proxy: Proxy) -> None:
    backend.replies[PATH] = Reply((ANSWER,))
    proxy.arm("nothing-selected", {"fault": "wrong_predictions", "share": "0%"})
    assert talk(proxy.routes["model"], infer("a")) == ANSWER


def test_a_compressed_answer_that_unfolds_to_too_much_passes_untouched(backend: Backend, proxy: Proxy) -> None:
    bomb = sized(gzip.compress(b" " * (LARGEST_OPENED + 1), mtime=0), "Content-Encoding: gzip")
    backend.replies[PATH] = bomb
    proxy.arm("bomb", {"fault": "wrong_predictions"})
    assert talk(proxy.routes["model"], infer("a")) == b"".join(bomb.pieces)
    assert proxy.state("bomb")["faults"]["0"]["undecodable"] == 1


@pytest.mark.parametrize("coding", ["identity", "gzip", "x-gzip", "GZIP", "deflate"])
def test_what_is_closed_opens_to_the_same(coding: str) -> None:
    body = b'{"outputs":[]}' * 100
    assert opened(closed(body, coding), coding) == body
    assert closed(body, coding) == closed(body, coding)


@pytest.mark.parametrize(
    ("body", "coding"),
    [(b"{}", "br"), (b"{}", "gzip, br"), (b"{}", "gzip"), (gzip.compress(b"{}", mtime=0)[:-1], "gzip"), (gzip.compress(b"{}", mtime=0) + b"x", "gzip"),
     (zlib.compress(b"{}")[:-2] + b"xx", "deflate"), (b"", "gzip")],
)  # fmt: skip
def test_what_is_not_one_whole_body_of_a_known_coding_is_undecodable(body: bytes, coding: str) -> None:
    with pytest.raises(Undecodable):
        opened(body, coding)
