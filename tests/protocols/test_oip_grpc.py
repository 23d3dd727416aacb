"""ModelInferResponse: captured messages of real servers go round, and a change moves only its own bytes and lengths."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.protocols import catalogue
from chaos.protocols.base import Output, Undecodable
from chaos.protocols.oip_grpc import METHOD, PROTOCOL
from chaos.rows import Label, Row

CAPTURES = Path(__file__).parents[1] / "captures"
MESSAGES = {"kserve": (b"\x0a\x04iris\x1a\x24", 108), "mlserver": (b"\x0a\x04iris\x12\x02v1", 175)}


def captured(server: str) -> bytes:
    """The answer's message, out of its DATA frame."""
    wire = (CAPTURES / server / "tritonclient_grpc_wire.bin").read_bytes()
    begin, size = MESSAGES[server]
    place = wire.index(b"\0" + size.to_bytes(4, "big") + begin) + 5
    return wire[place : place + size]


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    made = b""
    while value > 127:
        made, value = made + bytes([value & 127 | 128]), value >> 7
    return made + bytes([value])


def sized(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def output(name: str, datatype: str, shape: list[int], contents: bytes | None = None) -> bytes:
    made = sized(1, name.encode()) + sized(2, datatype.encode()) + sized(3, b"".join(map(varint, shape)))
    return sized(5, made + sized(4, sized(1, b"k") + sized(2, b"\x10\x07")) + (sized(5, contents) if contents is not None else b""))  # fmt: skip


HEAD = sized(1, b"model") + sized(3, b"an id") + sized(99, b"a field of tomorrow")


@pytest.mark.parametrize("server", MESSAGES)
def test_a_captured_message_goes_round_without_a_changed_byte(server: str) -> None:
    message = captured(server)
    rows = PROTOCOL.rows(message, {}, Output())
    assert [row.label for row in rows] == [0, 2]
    assert PROTOCOL.encode(message, {}, Output(), rows, [replace(row) for row in rows]) == (message, {})


def test_a_changed_row_of_a_captured_message_changes_its_raw_bytes_alone() -> None:
    message = captured("mlserver")
    rows = PROTOCOL.rows(message, {}, Output())
    scores = rows[1].scores
    assert scores is not None
    assert rows[1].classes == (0, 1, 2)
    after = [rows[0], replace(rows[1], label=1, scores=(scores[0], scores[2], scores[1]))]
    made, _ = PROTOCOL.encode(message, {}, Output(), rows, after)
    wanted = message[:-16] + message[-8:] + message[-16:-8]
    place = wanted.index(struct.pack("<2q", 0, 2))
    assert made == wanted[: place + 8] + struct.pack("<q", 1) + wanted[place + 16 :]


def test_only_unary_inference_over_grpc_is_detected() -> None:
    assert PROTOCOL.detect(METHOD, {"content-type": "application/grpc+proto"})
    assert not PROTOCOL.detect(METHOD, {"content-type": "application/json"})
    assert not PROTOCOL.detect("/inference.GRPCInferenceService/ModelStreamInfer", {"content-type": "application/grpc"})
    assert catalogue()["oip_grpc"] is PROTOCOL


TYPED: list[tuple[str, int, bytes, list[Label], Label, bytes]] = [
    ("BOOL", 1, b"\0\1", [False, True], 1, b"\1\1"),
    ("INT8", 2, varint(-1) + b"\1", [-1, 1], 5, b"\5\1"),
    ("INT32", 2, b"\1\2", [1, 2], -3, varint(-3) + b"\2"),
    ("INT64", 3, b"\1\2", [1, 2], 300, b"\xac\2\2"),
    ("UINT8", 4, b"\1\2", [1, 2], 200, b"\xc8\1\2"),
    ("UINT64", 5, varint(2**64 - 1) + b"\2", [2**64 - 1, 2], 1, b"\1\2"),
    ("FP32", 6, struct.pack("<2f", 0, 1), [0.0, 1.0], 1, struct.pack("<2f", 1, 1)),
    ("FP64", 7, struct.pack("<2d", 0, 1), [0.0, 1.0], 1, struct.pack("<2d", 1, 1)),
]


@pytest.mark.parametrize(("datatype", "number", "packed", "labels", "fresh", "becomes"), TYPED)
@pytest.mark.parametrize("repeated", [False, True])
def test_typed_contents_are_changed_in_place_and_every_length_around_them_fits(
    datatype: str, number: int, packed: bytes, labels: list[Label], fresh: Label, becomes: bytes, repeated: bool
) -> None:
    """Packed or one by one: both are the same message to a protobuf reader."""

    def contents(data: bytes) -> bytes:
        if not repeated:
            return sized(number, data)
        kind, size = {"FP32": (5, 4), "FP64": (1, 8)}.get(datatype, (0, 0))
        cells = [data[place : place + size] for place in range(0, len(data), size)] if size else re.findall(rb"(?s)[\x80-\xff]*[\0-\x7f]", data)  # fmt: skip
        return b"".join(varint(number << 3 | kind) + cell for cell in cells)

    tail = sized(98, b"x") + output("other", "INT64", [1], sized(3, b"\7"))
    message = HEAD + output("predict", datatype, [2], contents(packed)) + tail
    rows = PROTOCOL.rows(message, {}, Output())
    assert [row.label for row in rows] == labels
    made, changed = PROTOCOL.encode(message, {}, Output(), rows, [replace(rows[0], label=fresh), rows[1]])
    assert (made, changed) == (HEAD + output("predict", datatype, [2], contents(becomes)) + tail, {})


def test_texts_in_contents_and_raw_change_with_all_lengths() -> None:
    typed = HEAD + output("predict", "BYTES", [2], sized(8, b"no") + sized(8, b"\xff"))
    rows = PROTOCOL.rows(typed, {}, Output())
    made, _ = PROTOCOL.encode(typed, {}, Output(), rows, [replace(rows[0], label="y" * 200), rows[1]])
    assert made == HEAD + output("predict", "BYTES", [2], sized(8, b"y" * 200) + sized(8, b"\xff"))
    start = HEAD + output("n", "INT8", [1]) + output("predict", "BYTES", [1]) + sized(6, b"\1")
    raw = start + sized(6, b"\2\0\0\0no")
    rows = PROTOCOL.rows(raw, {}, Output("predict"))
    made, _ = PROTOCOL.encode(raw, {}, Output("predict"), rows, [replace(rows[0], label="y" * 200)])
    assert made == start + sized(6, struct.pack("<I", 200) + b"y" * 200)


def test_lengths_that_are_written_longer_than_needed_stay_where_the_size_stays() -> None:
    inner = sized(1, b"predict") + sized(2, b"INT64") + sized(3, b"\1") + b"\x2a\x85\x80\0" + b"\x1a\x82\0\x81\0"
    message = b"\x2a" + bytes([len(inner) | 128, 0]) + inner
    rows = PROTOCOL.rows(message, {}, Output())
    assert [row.label for row in rows] == [1]
    assert PROTOCOL.encode(message, {}, Output(), rows, [replace(rows[0])])[0] == message
    made, _ = PROTOCOL.encode(message, {}, Output(), rows, [replace(rows[0], label=200)])
    assert made == message[:-2] + b"\xc8\1"


WHOLE = HEAD + output("predict", "INT64", [2], sized(3, b"\0\1"))


@pytest.mark.parametrize(
    "message",
    [b"", b"\x0b", b"\xff" * 12, WHOLE[:-1], WHOLE + b"\x0f", WHOLE + b"\x02\x01", HEAD + output("predict", "INT64", [3], sized(3, b"\0\1")),
     HEAD + output("predict", "INT64", [], sized(3, b"\0\1")), HEAD + output("predict", "INT64", [-1], sized(3, b"\0\1")), HEAD + output("predict", "INT64", [2]),
     WHOLE + sized(6, b"") + sized(6, b""), HEAD + output("predict", "FP32", [2], sized(6, b"\0" * 7)), HEAD + output("predict", "BF16", [1]) + sized(6, b"\0\0"),
     HEAD + output("predict", "INT64", [1], b"\x1d\0\0\0\0"), HEAD],
)  # fmt: skip
def test_what_is_no_answer_is_undecodable_and_never_crashes(message: bytes) -> None:
    with pytest.raises(Undecodable):
        PROTOCOL.rows(message, {}, Output())


@given(st.binary(max_size=60), st.integers(0, 174))
def test_damaged_messages_are_undecodable_or_go_round(noise: bytes, place: int) -> None:
    message = captured("mlserver")
    damaged = message[:place] + noise + message[place + len(noise) :]
    try:
        rows = PROTOCOL.rows(damaged, {}, Output())
    except Undecodable:
        return
    assert PROTOCOL.encode(damaged, {}, Output(), rows, rows)[0] == damaged


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.tuples(st.floats(), st.floats())), min_size=1, max_size=7), st.booleans(), st.data())  # fmt: skip
def test_a_change_to_some_rows_is_exactly_that(
    predictions: list[tuple[int, tuple[float, float]]], raw: bool, data: st.DataObject
) -> None:
    def message(rows: list[tuple[int, tuple[float, float]]]) -> bytes:
        scores = b"".join(struct.pack("<2d", *pair) for _, pair in rows)
        labels = [label for label, _ in rows]
        shape = [len(rows), 1], [len(rows), 2]
        if raw:
            packed = struct.pack(f"<{len(rows)}q", *labels)
            return HEAD + sized(6, scores) + output("predict_proba", "FP64", shape[1]) + output("predict", "INT64", shape[0]) + sized(6, packed)  # fmt: skip
        typed = sized(3, b"".join(map(varint, labels)))
        return HEAD + output("predict", "INT64", shape[0], typed) + output("predict_proba", "FP64", shape[1], sized(7, scores))  # fmt: skip

    before = message(predictions)
    rows = PROTOCOL.rows(before, {}, Output())
    hurt = data.draw(st.sets(st.sampled_from(range(len(rows)))))
    fresh = data.draw(st.integers(-(2**63), 2**63 - 1))
    after = [replace(row, label=fresh, scores=(row.scores or ())[::-1]) if row.index in hurt else row for row in rows]
    made, _ = PROTOCOL.encode(before, {}, Output(), rows, after)
    wanted = [(fresh, pair[::-1]) if place in hurt else (label, pair) for place, (label, pair) in enumerate(predictions)]  # fmt: skip
    if not any(was == now for (_, was), (_, now) in zip(predictions, wanted, strict=True) if str(was) != str(now)):
        assert made == message(wanted)  # but for 0.0 and -0.0, which are equal and stay
    if not hurt:
        assert made == before


def test_an_error_is_a_status_and_a_percent_encoded_message() -> None:
    assert PROTOCOL.error(503, "100% of é") == (b"", {"grpc-status": "14", "grpc-message": "100%25 of %C3%A9"})
    wanted = {500: "13", 502: "14", 504: "14", 429: "14", 400: "13", 401: "16", 403: "7", 404: "12", 418: "13"}
    assert {status: PROTOCOL.error(status, "")[1]["grpc-status"] for status in wanted} == wanted


def test_scores_of_an_answer_keep_their_row() -> None:
    message = HEAD + output("predict", "INT64", [1], sized(3, b"\1")) + output("predict_proba", "FP32", [1, 2], sized(6, struct.pack("<2f", 0.25, 0.75)))  # fmt: skip
    assert PROTOCOL.rows(message, {}, Output()) == [Row(0, 1, (0.25, 0.75), (0, 1))]


def test_an_empty_batch_has_no_rows() -> None:
    message: Any = HEAD + output("predict", "INT64", [0])
    assert PROTOCOL.rows(message, {}, Output()) == []
