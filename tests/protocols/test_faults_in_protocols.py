"""Every fault on rows through every protocol: what is encoded says exactly what the fault made of the rows."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from chaos.faults import catalogue as faults
from chaos.faults.base import Call, Fault, Memory
from chaos.protocols import catalogue
from chaos.protocols.base import Output, Undecodable
from chaos.rows import Row
from tests.protocols.protocol_contract import SAMPLES
from tests.protocols.test_oip_binary import answer, raw_output
from tests.protocols.test_oip_grpc import HEAD, output

FAMILIES = {"prediction quality", "scores", "bias"}
FAULTS: dict[str, Callable[[Sequence[Any]], dict[str, Any]]] = {
    "wrong_predictions": lambda classes: {"other": "random"},
    "shuffled_predictions": lambda classes: {},
    "class_collapse": lambda classes: {"to": classes[0]},
    "frozen_predictions": lambda classes: {},
    "constant_output": lambda classes: {"label": classes[-1], "score": 0.9},
    "score_noise": lambda classes: {"deviation": 0.2},
    "score_shift": lambda classes: {"by": 0.3, "direction": "down"},
    "miscalibrated": lambda classes: {"temperature": 3},
    "label_score_mismatch": lambda classes: {},
    "nan_scores": lambda classes: {},
    "biased_outputs": lambda classes: {"by": "header:x-group", "group": "b", "decision": classes[0]},
}
ON_SCORES = {"score_noise", "score_shift", "miscalibrated", "label_score_mismatch", "nan_scores"}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, and how exactly it can hold a score."""

    name: str
    protocol: str
    body: bytes
    output: Output
    headers: Mapping[str, str]
    precision: float = 1e-12

    def rows(self, body: bytes | None = None, more: Mapping[str, str] | None = None) -> Sequence[Row]:
        told = {**self.headers, **(more or {})}
        return catalogue()[self.protocol].rows(self.body if body is None else body, told, self.output)


def binary(datatype: str, layout: str) -> Said:
    raw = struct.pack("<2q", 0, 2) + struct.pack(f"<6{layout}", 0.9, 0.05, 0.05, 0.0, 0.25, 0.75)
    scores = struct.calcsize(f"<6{layout}")
    headers, body = answer(
        raw_output("predict", "INT64", [2], 16), raw_output("predict_proba", datatype, [2, 3], scores), raw=raw
    )
    return Said(f"raw {datatype}", "oip", body, Output(), headers, {"d": 1e-12, "f": 1e-6, "e": 1e-3}[layout])


def messages() -> list[Said]:
    labels, scores = struct.pack("<2q", 0, 2), struct.pack("<6f", 0.9, 0.05, 0.05, 0.0, 0.25, 0.75)
    raw = output("predict", "INT64", [2]) + output("predict_proba", "FP32", [2, 3])
    raw += b"".join(b"\x32" + bytes([len(data)]) + data for data in (labels, scores))
    typed = output("predict", "INT64", [2], b"\x1a\x02\x00\x02") + output(
        "predict_proba", "FP32", [2, 3], b"\x32\x18" + scores
    )
    return [Said(name, "oip_grpc", HEAD + body, Output(), {}, 1e-6) for name, body in (("raw message", raw), ("typed message", typed))]  # fmt: skip


ANSWERS = [
    *(Said(one.name, one.protocol, one.body, one.output, one.headers) for one in SAMPLES if one.protocol != "openai"),
    Said(
        "decision beside a score", "json", b'{"rows":[{"p":0.2,"say":"no"},{"say":"yes","p":0.95}]}',
        Output(label="$.rows[*].say", score="$.rows[*].p", classes=("no", "yes")), {},
    ),
    binary("FP64", "d"), binary("FP32", "f"), binary("FP16", "e"), *messages(),
]  # fmt: skip
said = pytest.mark.parametrize("one", ANSWERS, ids=lambda one: f"{one.protocol}: {one.name}")


def made(name: str, classes: Sequence[Any]) -> Fault:
    return faults()[name].model_validate({"fault": name, "target": "model", **FAULTS[name](classes)})


def edited(one: Said, fault: Fault, subject: str, share: float) -> tuple[Sequence[Row], Sequence[Row], Call]:
    """The rows before and after, for a fault that has met this answer before, turned around."""
    rows, memory = one.rows(), Memory()
    fault.edit(rows[::-1], Call("seed", 0, "earlier", 1.0, {"x-group": "b"}, memory=memory))
    call = Call("seed", 0, subject, share, {"x-group": "b"}, memory=memory)
    return rows, fault.edit(rows, call), call


def close(was: float, wanted: float, precision: float) -> bool:
    return (math.isnan(was) and math.isnan(wanted)) or abs(was - wanted) <= precision


@said
@pytest.mark.parametrize("name", FAULTS)
def test_what_is_encoded_says_what_the_fault_made_of_the_rows(name: str, one: Said) -> None:
    protocol = catalogue()[one.protocol]
    for number in range(8):
        fault = made(name, one.rows()[0].classes)
        rows, after, call = edited(one, fault, f"subject-{number}", 0.6)
        body, headers = protocol.encode(one.body, one.headers, one.output, rows, after)
        again = one.rows(body, headers)
        assert len(again) == len(after)
        for new, wanted, old in zip(again, after, rows, strict=True):
            if not call.selected(old.index):
                assert new == old
            assert new.label == wanted.label
            assert new.label is None or type(new.label) is type(old.label)
            assert (new.scores is None) is (wanted.scores is None)
            both = zip(new.scores or (), wanted.scores or (), strict=True)
            assert all(close(is_now, should_be, one.precision) for is_now, should_be in both)
        if list(after) == list(rows):
            assert body == one.body


@said
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_an_answer_that_has_what_it_needs(name: str, one: Said) -> None:
    rows, after, _ = edited(one, made(name, one.rows()[0].classes), "subject", 1.0)
    changed = any(new is not old for new, old in zip(after, rows, strict=True))
    needs_label = name == "label_score_mismatch"
    able = name not in ON_SCORES or all(row.scores for row in rows)
    assert changed is (able and not (needs_label and any(row.rule is not None for row in rows)))


def test_every_fault_on_rows_is_held_to_this() -> None:
    on_rows = {name for name, kind in faults().items() if kind.family in FAMILIES and kind.acts_on == "answer"}
    assert on_rows == set(FAULTS)


@pytest.mark.parametrize("protocol", ["oip", "kserve-v1", "mlflow"])
def test_nan_in_json_is_the_bare_word_that_servers_write(protocol: str) -> None:
    one = next(one for one in ANSWERS if one.protocol == protocol and one.rows()[0].scores)
    rows, after, _ = edited(one, made("nan_scores", ()), "subject", 1.0)
    body, _ = catalogue()[protocol].encode(one.body, one.headers, one.output, rows, after)
    assert body.count(b"NaN") == sum(len(row.scores or ()) for row in rows)


def test_nan_cannot_be_put_where_a_tensor_holds_whole_numbers() -> None:
    headers, body = answer(
        raw_output("predict", "INT64", [1], 8), raw_output("predict_proba", "INT64", [1, 2], 16), raw=struct.pack("<3q", 1, 0, 1)
    )  # fmt: skip
    protocol = catalogue()["oip"]
    rows = protocol.rows(body, headers, Output())
    after = made("nan_scores", ()).edit(rows, Call("seed", 0, "subject", 1.0, {}))
    with pytest.raises(Undecodable, match="does not fit INT64"):
        protocol.encode(body, headers, Output(), rows, after)
