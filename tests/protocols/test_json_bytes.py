"""Random JSON answers in random forms: what is read is what the standard library reads, what changes is what was to change.

The oracle takes the whole text apart (`chaos.json_spans`) and looks at every scalar; the protocols never do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos import json_codec, json_spans
from chaos.faults import catalogue as faults
from chaos.faults.base import Call
from chaos.json_places import Address
from chaos.json_spans import Span
from chaos.protocols import catalogue
from chaos.protocols.base import Output, Undecodable
from chaos.rows import Row
from tests.fuzzing import examples
from tests.json_texts import HOSTILE, NUMBERS, VALUES, written

Predictions = Sequence[tuple[Any, Sequence[Any]]]
"""A label and scores for each row."""


def flat(predictions: Predictions) -> list[Any]:
    return [score for _, scores in predictions for score in scores]


def tensors(predictions: Predictions, labels: list[Any], scores: list[Any]) -> dict[str, Any]:
    rows, width = len(predictions), len(predictions[0][1])
    return {
        "model_name": 'a "data": [1] model',
        "outputs": [
            {"name": "predict", "shape": [rows, 1], "datatype": "INT64", "data": labels},
            {"name": "predict_proba", "shape": [rows, width], "datatype": "FP64", "data": scores},
        ],
    }


@dataclass(frozen=True, slots=True)
class Form:
    """One shape of answers that a protocol reads."""

    name: str
    protocol: str
    answer: Callable[[Predictions], Any]
    output: Output = field(default_factory=Output)


FORMS = [
    Form("flat tensors", "oip", lambda rows: tensors(rows, [label for label, _ in rows], flat(rows))),
    Form("nested tensors", "oip", lambda rows: tensors(rows, [[label] for label, _ in rows], [scores for _, scores in rows])),
    Form("objects", "kserve-v1", lambda rows: {"predictions": [{"label": label, "scores": scores} for label, scores in rows]}),
    Form("columns", "kserve-v1", lambda rows: {"outputs": {"class_ids": [[label] for label, _ in rows], "scores": [scores for _, scores in rows]}}),
    Form("bare list", "mlflow", lambda rows: [{"prediction": label, "probabilities": scores, "x": 1.50} for label, scores in rows]),
    Form(
        "paths", "json", lambda rows: {"took": 1, "rows": [{"p": scores, "say": label} for label, scores in rows]},
        Output("$.rows[*].say", "$.rows[*].p"),
    ),
]  # fmt: skip
forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


@st.composite
def predictions_of(draw: st.DrawFn) -> list[tuple[int, list[float]]]:
    """Rows with labels that are class numbers; some have a hundred classes and more."""
    width = draw(st.sampled_from([2, 3, 5, 130]))
    score = st.floats(0, 1) | st.sampled_from([0.5, 0.25, 1e-7])
    row = st.tuples(st.integers(0, width - 1), st.lists(score, min_size=width, max_size=width))
    return draw(st.lists(row, min_size=1, max_size=3 if width > 5 else 8))


def scalars(span: Span, at: Address = ()) -> dict[Address, Span]:
    """Every scalar of a text by its address; of a key that stands twice, the last."""
    if not isinstance(span.value, (list, dict)):
        return {at: span}
    found: dict[Address, Span] = {}
    for step, item in zip(span.keys or range(len(span.items)), span.items, strict=True):
        found |= scalars(item, (*at, step))
    return found


def owners(form: Form, predictions: Predictions) -> dict[Address, int]:
    """Which row each scalar of the answer belongs to, for those that belong to one."""
    marked = [(f"row {at}", [f"row {at}"] * len(scores)) for at, (_, scores) in enumerate(predictions)]
    found = scalars(json_spans.parse(json.dumps(form.answer(marked))))
    told = {at: str(span.value) for at, span in found.items()}
    return {at: int(value[4:]) for at, value in told.items() if value.startswith("row ")}


@forms
@settings(max_examples=examples(20), deadline=None)
@given(data=st.data())
def test_what_a_fault_changes_is_changed_and_every_other_byte_stays(form: Form, data: st.DataObject) -> None:
    predictions = data.draw(predictions_of())
    text = data.draw(written(form.answer(predictions)))
    body, protocol = text.encode(), catalogue()[form.protocol]
    rows = protocol.rows(body, {}, form.output)
    assert [(row.label, row.scores) for row in rows] == [(label, tuple(scores)) for label, scores in predictions]

    call = Call(data.draw(st.text(max_size=3)), 0, "subject", data.draw(st.sampled_from([0.3, 0.7, 1.0])), {})
    other = data.draw(st.sampled_from(["next", "random", "worst"]))
    fault = faults()["wrong_predictions"].model_validate({"fault": "wrong_predictions", "target": "m", "other": other})
    after = fault.edit(rows, call)
    made = protocol.encode(body, {}, form.output, rows, after)[0]
    assert list(protocol.rows(made, {}, form.output)) == list(after)
    assert json.loads(made) == form.answer([(row.label, list(row.scores or ())) for row in after])

    # Taken apart, old and new have the same pieces but for scalars of rows that were selected.
    selected = {row.index for row in rows if call.selected(row.index)}
    old, new, owner = json_spans.parse(text), json_spans.parse(made.decode()), owners(form, predictions)
    was, fresh = scalars(old), scalars(new)
    kept = {at for at in was if owner.get(at) not in selected}
    assert {at: made.decode()[fresh[at].start : fresh[at].end] for at in kept} == {
        at: text[was[at].start : was[at].end] for at in kept
    }
    blanks = [[(spans[at], "_") for at in was] for spans in (was, fresh)]
    assert json_spans.replace(text, blanks[0]) == json_spans.replace(made.decode(), blanks[1])


@forms
@settings(max_examples=examples(9), deadline=None)
@given(data=st.data())
def test_rows_encode_alike_whether_or_not_they_come_from_this_very_answer(form: Form, data: st.DataObject) -> None:
    predictions = data.draw(predictions_of())
    protocol, output = catalogue()[form.protocol], form.output
    body = data.draw(written(form.answer(predictions))).encode()
    other = json.dumps(form.answer(predictions)).encode()
    rows = protocol.rows(body, {}, output)
    after = [Row(row.index, row.label, (row.scores or ())[::-1], row.classes) for row in rows]
    made = protocol.encode(body, {}, output, rows, after)
    assert protocol.encode(bytes(bytearray(body)), {}, output, rows, after) == made
    assert protocol.encode(body, {}, output, list(rows), after) == made
    assert protocol.encode(body, {}, output, protocol.rows(other, {}, output), after) == made


@forms
@pytest.mark.parametrize(
    "label", ["1e300", "100000000000000000000", "-9223372036854775809", "18446744073709551615", '"\\ud800"', "NaN"]
)
def test_labels_that_the_fast_parser_cannot_hold_are_read_all_the_same(form: Form, label: str) -> None:
    body = json.dumps(form.answer([("LABEL", [0.25, 0.75]), (1, [0.5, 0.5])])).replace('"LABEL"', label).encode()
    rows = catalogue()[form.protocol].rows(body, {}, form.output)
    assert repr(rows[0].label) == repr(json.loads(label))
    after = [rows[0], Row(1, 0, rows[1].scores, rows[1].classes)]
    made = catalogue()[form.protocol].encode(body, {}, form.output, rows, after)[0]
    assert made.count(label.encode()) == 1
    assert len(made) == len(body)


@forms
def test_scores_that_are_no_numbers_of_64_bits_never_raise_anything_but_undecodable(form: Form) -> None:
    for score in ("1" + "0" * 400, "1e400", "-Infinity", "NaN", "9" * 5000, "true", "null", '"0.5"', "[1, 2]", "{}"):
        body = json.dumps(form.answer([(0, ["SCORE", 0.75])])).replace('"SCORE"', score).encode()
        protocol = catalogue()[form.protocol]
        try:
            rows = protocol.rows(body, {}, form.output)
        except Undecodable:
            continue
        after = [Row(0, 1, rows[0].scores, rows[0].classes)]
        made = protocol.encode(body, {}, form.output, rows, after)[0]
        assert score.encode() in made


@pytest.mark.parametrize("depth", [100, 600, 990, 1020])
@pytest.mark.parametrize("protocol", ["kserve-v1", "oip"])
def test_however_deep_a_label_is_it_is_changed_or_undecodable(protocol: str, depth: int) -> None:
    deep = b"[" * depth + b"7" + b"]" * depth
    whole = b'{"predictions":[%b,1],"outputs":[{"name":"predict","shape":[1],"datatype":"INT64","data":%b}]}' % (
        deep,
        deep,
    )
    speaks = catalogue()[protocol]
    try:
        rows = speaks.rows(whole, {}, Output())
        made = speaks.encode(whole, {}, Output(), rows, [Row(0, 8), *rows[1:]])[0]
    except Undecodable:
        return
    assert made.count(b"[8]") == 1
    assert made.replace(b"[8]", b"[7]") == whole


# --- tensors of anything ----------------------------------------------------------------------------------------------

LABELS = st.sampled_from([st.integers(0, 4), st.integers(-(10**25), 10**25), HOSTILE, st.booleans(), st.floats()])
"""Labels of one answer are of one kind."""
SCORES = st.sampled_from([st.floats(0, 1), st.floats(), NUMBERS, st.none() | st.booleans() | st.floats(), HOSTILE])


@st.composite
def any_tensors(draw: st.DrawFn) -> dict[str, Any]:
    """An answer with a label and two scores a row, of kinds good and bad, among other things."""
    labels = draw(st.lists(draw(LABELS), min_size=1, max_size=6))
    scores = draw(st.lists(draw(SCORES), min_size=2 * len(labels), max_size=2 * len(labels)))
    if draw(st.booleans()):
        scores = [scores[at : at + 2] for at in range(0, len(scores), 2)]
    more = st.dictionaries(st.sampled_from(["parameters", "id", "x"]), VALUES, max_size=2)
    outputs = [
        {**draw(more), "name": "predict", "shape": [len(labels)], "datatype": "BYTES", "data": labels},
        {"name": "predict_proba", "data": scores, "datatype": "FP64", "shape": [len(labels), 2], **draw(more)},
        draw(st.sampled_from([{"name": "elsewhere"}, 7, {"name": "data", "shape": [0], "data": []}])),
    ]
    return {**draw(more), "outputs": draw(st.permutations(outputs)), **draw(more)}


@settings(max_examples=examples(67), deadline=None)
@given(data=st.data())
def test_whatever_tensors_hold_rows_are_what_the_standard_library_reads_and_their_bytes_what_was_to_change(
    data: st.DataObject,
) -> None:
    text = data.draw(any_tensors().flatmap(written))
    protocol, body = catalogue()["oip"], text.encode()
    places = {one["name"]: at for at, one in enumerate(json.loads(text)["outputs"]) if isinstance(one, dict)}
    label_spans, score_spans = (
        scalars_of(text, ("outputs", places[name], "data")) for name in ("predict", "predict_proba")
    )
    rows = protocol.rows(body, {}, Output())
    assert [repr(row.label) for row in rows] == [repr(span.value) for span in label_spans]
    for at, row in enumerate(rows):
        values = [span.value for span in score_spans[2 * at : 2 * at + 2]]
        numbers = all(type(value) in (int, float) for value in values)
        assert repr(row.scores) == repr(tuple(map(float, values)) if numbers else None)  # type: ignore[arg-type]

    hurt = data.draw(st.sets(st.sampled_from(range(len(rows)))))
    after = [Row(at, "fresh", (row.scores or ())[::-1] or None) if at in hurt else row for at, row in enumerate(rows)]
    edits = [(label_spans[at], '"fresh"') for at in hurt]
    for at, row in enumerate(rows):
        if at in hurt and row.scores is not None and row.scores[0] != row.scores[1]:
            both = zip(score_spans[2 * at : 2 * at + 2], reversed(row.scores), strict=True)
            edits += [(span, json_codec.dumped(score).decode()) for span, score in both]
    assert protocol.encode(body, {}, Output(), rows, after)[0].decode() == json_spans.replace(text, edits)


def scalars_of(text: str, at: Address) -> list[Span]:
    """The scalars of the list at this address, in order."""
    found: Span | None = json_spans.parse(text)
    for step in at:
        assert found is not None
        found = found.items[step] if isinstance(step, int) else found.get(step)
    assert found is not None
    return found.leaves()
