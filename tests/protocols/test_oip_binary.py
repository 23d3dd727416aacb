"""Raw tensors behind the JSON header: captured answers go round, and a change moves only its own bytes and the sizes around it."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.protocols import oip_binary
from chaos.protocols.base import Output, Undecodable
from chaos.protocols.oip import PROTOCOL
from chaos.protocols.oip_messages import HEADER_LENGTH
from chaos.rows import Row

CAPTURES = Path(__file__).parents[1] / "captures"
PATH = "/v2/models/iris/infer"


def said(capture: str, sender: str = "S->C") -> bytes:
    """Everything that one side of a captured connection wrote."""
    data = (CAPTURES / capture).read_bytes()
    found, place = [], 0
    for mark in re.finditer(rb"\n<<<(C->S|S->C) (\d+) bytes>>>\n", data):
        if mark.start() >= place:
            place = mark.end() + int(mark[2])
            if mark[1] == sender.encode():
                found.append(data[mark.end() : place])
    return b"".join(found)


def captured() -> tuple[dict[str, str], bytes]:
    """The binary answer of a real KServe to a real tritonclient: headers and body, out of its chunks."""
    answers = said("kserve/tritonclient_http_wire.bin")
    start = answers.index(b"inference-header-content-length: ")
    head, _, chunks = answers[start:].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    body = b""
    while size := int(chunks[: chunks.index(b"\r\n")], 16):
        begin = chunks.index(b"\r\n") + 2
        body += chunks[begin : begin + size]
        chunks = chunks[begin + size + 2 :]
    return headers, body


def answer(*outputs: dict[str, Any], raw: bytes = b"", **more: Any) -> tuple[dict[str, str], bytes]:
    header = json.dumps({"model_name": "m", **more, "outputs": list(outputs)}).encode()
    return {HEADER_LENGTH: str(len(header))}, header + raw


def raw_output(name: str, datatype: str, shape: list[int], size: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def test_a_captured_binary_answer_goes_round_without_a_changed_byte() -> None:
    headers, body = captured()
    assert (len(body), headers[HEADER_LENGTH]) == (202, "186")
    rows = PROTOCOL.rows(body, headers, Output())
    assert rows == [Row(0, 0), Row(1, 2)]
    assert PROTOCOL.encode(body, headers, Output(), rows, [replace(row) for row in rows]) == (body, {})


def test_one_changed_label_of_a_captured_answer_changes_its_eight_bytes() -> None:
    headers, body = captured()
    rows = PROTOCOL.rows(body, headers, Output())
    made = PROTOCOL.encode(body, headers, Output(), rows, [rows[0], replace(rows[1], label=1)])
    assert made == (body[:-8] + struct.pack("<q", 1), {})


def test_captured_requests_and_answers_are_told_by_their_path_whatever_their_headers_say() -> None:
    request = said("kserve/tritonclient_http_wire.bin", "C->S")
    assert b"Inference-Header-Content-Length: 160\r\n" in request
    assert PROTOCOL.detect(PATH, {HEADER_LENGTH: "160"})


def test_label_and_scores_move_together_in_raw_data() -> None:
    scores = struct.pack("<4f", 0.9, 0.1, 0.25, 0.75)
    headers, body = answer(
        raw_output("predict", "INT64", [2, 1], 16), raw_output("predict_proba", "FP32", [2, 2], 16),
        raw=struct.pack("<2q", 0, 1) + scores,
    )  # fmt: skip
    rows = PROTOCOL.rows(body, headers, Output())
    assert rows[1] == Row(1, 1, (0.25, 0.75), (0, 1))
    made, changed = PROTOCOL.encode(
        body, headers, Output(), rows, [rows[0], replace(rows[1], label=0, scores=(0.75, 0.25))]
    )
    assert made == body[:-32] + struct.pack("<2q", 0, 0) + scores[:8] + struct.pack("<2f", 0.75, 0.25)
    assert changed == {}


def test_a_longer_text_corrects_both_lengths_and_every_other_output_keeps_its_bytes() -> None:
    labels = b"\2\0\0\0no\2\0\0\0no"
    headers, body = answer(
        raw_output("before", "INT8", [2], 2), raw_output("predict", "BYTES", [2], 12), raw_output("after", "INT16", [2], 4),
        {"name": "odds", "datatype": "FP64", "shape": [2, 2], "data": [0.5, 0.50, 1, 0]},
        raw=b"\1\2" + labels + b"\3\0\4\0" + b"rest",
    )  # fmt: skip
    named = Output("predict", "odds", ("no", "é" * 45))
    rows = PROTOCOL.rows(body, headers, named)
    assert rows[1] == Row(1, "no", (1, 0), ("no", "é" * 45))
    made, changed = PROTOCOL.encode(body, headers, named, rows, [replace(rows[0], label="é" * 45), rows[1]])
    size = len(body) - 4 - 4 - 12 - 2
    assert changed == {HEADER_LENGTH: str(size + 1)}
    header = body[:size].replace(b'"binary_data_size": 12', b'"binary_data_size": 100')
    assert made == header + b"\1\2\x5a\0\0\0" + ("é" * 45).encode() + b"\2\0\0\0no\3\0\4\0rest"
    assert [row.label for row in PROTOCOL.rows(made, {**headers, **changed}, named)] == ["é" * 45, "no"]


def test_json_data_beside_raw_data_is_changed_in_its_own_form() -> None:
    headers, body = answer(
        {"name": "predict", "datatype": "INT64", "shape": [2], "data": [0, 1]},
        raw_output("predict_proba", "FP64", [2, 2], 32), raw=struct.pack("<4d", 0.9, 0.1, 0.25, 0.75),
    )  # fmt: skip
    rows = PROTOCOL.rows(body, headers, Output())
    after = [replace(rows[0], label=1, scores=(0.1, 0.9)), rows[1]]
    made, changed = PROTOCOL.encode(body, headers, Output(), rows, after)
    wanted = body[:-32].replace(b"[0, 1]", b"[1, 1]") + struct.pack("<4d", 0.1, 0.9, 0.25, 0.75)
    assert (made, changed) == (wanted, {})


def test_a_nan_and_a_text_that_is_no_utf8_keep_their_bytes_when_their_neighbours_change() -> None:
    nan = bytes.fromhex("010000000000f87f")
    headers, body = answer(
        raw_output("predict", "BYTES", [2], 13), raw_output("predict_proba", "FP64", [2, 2], 32),
        raw=b"\2\0\0\0\xff\xfe\3\0\0\0abc" + nan + struct.pack("<d", 0.5) + nan * 2,
    )  # fmt: skip
    rows = PROTOCOL.rows(body, headers, Output())
    flipped = replace(rows[0], scores=(*(rows[0].scores or ())[:1], 0.25))
    made, _ = PROTOCOL.encode(body, headers, Output(), rows, [flipped, replace(rows[1], label="abd")])
    assert made == body.replace(b"abc", b"abd").replace(struct.pack("<d", 0.5), struct.pack("<d", 0.25))


@pytest.mark.parametrize(
    ("datatype", "raw", "label", "becomes"),
    [("BOOL", b"\1", 0, b"\0"), ("FP32", b"\0\0\x80\x3f", 0, b"\0\0\0\0"), ("INT8", b"\xff", 1, b"\1"), ("UINT16", b"\1\0", 300, b"\x2c\1"),
     ("FP16", b"\0\x3c", 2.0, b"\0\x40"), ("INT64", b"\1" + b"\0" * 7, 0.0, b"\0" * 8), ("BYTES", b"\1\0\0\0a", "", b"\0\0\0\0")],
)  # fmt: skip
def test_a_changed_label_keeps_its_datatype(datatype: str, raw: bytes, label: Any, becomes: bytes) -> None:
    headers, body = answer(raw_output("predict", datatype, [1], len(raw)), raw=raw)
    named = Output("predict")
    rows = PROTOCOL.rows(body, headers, named)
    made, _ = PROTOCOL.encode(body, headers, named, rows, [replace(rows[0], label=label)])
    assert made.endswith(becomes)
    assert len(made) == len(body) - len(raw) + len(becomes)


@pytest.mark.parametrize(("datatype", "label"), [("INT8", 300), ("UINT8", -1), ("INT64", "yes"), ("BYTES", 1)])
def test_a_label_that_does_not_fit_its_datatype_is_refused(datatype: str, label: Any) -> None:
    raw = {"BYTES": b"\1\0\0\0a"}.get(datatype, b"\0" * {"INT64": 8}.get(datatype, 1))
    headers, body = answer(raw_output("predict", datatype, [1], len(raw)), raw=raw)
    rows = PROTOCOL.rows(body, headers, Output())
    with pytest.raises(Undecodable):
        PROTOCOL.encode(body, headers, Output(), rows, [replace(rows[0], label=label)])


PREDICT = raw_output("predict", "INT64", [2], 16)
RAW = struct.pack("<2q", 0, 1)


@pytest.mark.parametrize(
    ("output", "raw", "length"),
    [(PREDICT, RAW[:-1], None), (PREDICT, RAW, "9999"), (PREDICT, RAW, "-1"), (PREDICT, RAW, "x"), (PREDICT, RAW, ""),
     ({**PREDICT, "shape": [3]}, RAW, None), ({**PREDICT, "datatype": "INT32"}, RAW, None), ({**PREDICT, "datatype": "BF16"}, RAW, None),
     ({**PREDICT, "parameters": {"binary_data_size": "16"}}, RAW, None), ({**PREDICT, "parameters": {"binary_data_size": -1}}, RAW, None),
     ({**PREDICT, "parameters": {"binary_data_size": True}}, RAW, None), ({**PREDICT, "parameters": {}}, RAW, None), ({**PREDICT, "shape": None}, RAW, None),
     (raw_output("predict", "BYTES", [2], 16), b"\3\0\0\0abc\7\0\0\0defg\0", None), (raw_output("predict", "BYTES", [1], 3), b"\0\0\0", None)],
)  # fmt: skip
def test_what_does_not_add_up_is_undecodable(output: dict[str, Any], raw: bytes, length: str | None) -> None:
    headers, body = answer(output, raw=raw)
    with pytest.raises(Undecodable):
        PROTOCOL.rows(body, headers if length is None else {HEADER_LENGTH: length}, Output())


def test_an_output_in_shared_memory_hides_no_other_output() -> None:
    elsewhere = {"name": "big", "datatype": "FP32", "shape": [9], "parameters": {"shared_memory_region": "x"}}
    headers, body = answer(elsewhere, raw_output("half", "BF16", [2], 4), PREDICT, raw=b"\0\0\0\0" + RAW)
    rows = PROTOCOL.rows(body, headers, Output())
    assert [row.label for row in rows] == [0, 1]
    made, _ = PROTOCOL.encode(body, headers, Output(), rows, [replace(rows[0], label=1), rows[1]])
    assert made == body[:-16] + struct.pack("<2q", 1, 1)


@given(st.sampled_from(sorted(oip_binary.FORMATS)), st.data())
def test_numbers_go_round_and_only_the_changed_ones_change(datatype: str, data: st.DataObject) -> None:
    size = struct.calcsize("<" + oip_binary.FORMATS[datatype])
    raw = data.draw(st.binary(min_size=size, max_size=size * 9).map(lambda some: some[: len(some) // size * size]))
    count = len(raw) // size
    values = oip_binary.values(datatype, raw, count)
    hurt = data.draw(st.sets(st.integers(0, count - 1)))
    made = oip_binary.replaced(datatype, raw, dict.fromkeys(hurt, 1))
    for place in range(count):
        piece = slice(place * size, (place + 1) * size)
        if place in hurt:
            assert oip_binary.values(datatype, made[piece], 1) == (1,)
        else:
            assert made[piece] == raw[piece]
    assert len(values) == count


@given(st.lists(st.text(max_size=6), max_size=8), st.dictionaries(st.integers(0, 7), st.text(max_size=300)))
def test_texts_go_round_and_only_the_changed_ones_change(texts: list[str], changes: dict[int, str]) -> None:
    raw = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
    assert oip_binary.values("BYTES", raw, len(texts)) == tuple(texts)
    made = oip_binary.replaced("BYTES", raw, changes)
    wanted = tuple(changes.get(place, text) for place, text in enumerate(texts))
    assert oip_binary.values("BYTES", made, len(texts)) == wanted


def test_raw_data_beside_something_else_called_data_is_not_taken_for_it() -> None:
    raw = b'{"name":"x","shape":[1],"datatype":"INT64","data":5,"parameters":{"binary_data_size":8}}'
    header = b'{"outputs":[' + raw + b',{"name":"predict","shape":[1],"datatype":"INT64","data":[0]}],"x":{"data":[7]}}'
    body, headers = header + bytes(8), {HEADER_LENGTH: str(len(header))}
    rows = PROTOCOL.rows(body, headers, Output())
    made, _ = PROTOCOL.encode(body, headers, Output(), rows, [Row(0, 1)])
    assert made == body.replace(b'"data":[0]', b'"data":[1]')


def test_a_header_length_of_thousands_of_digits_is_undecodable() -> None:
    with pytest.raises(Undecodable):
        PROTOCOL.rows(b'{"outputs":[]}', {HEADER_LENGTH: "9" * 5000}, Output())
