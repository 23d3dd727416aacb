"""The laws that hold for every fault of the catalogue, whoever wrote it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chaos.document import read_document
from chaos.faults import catalogue
from chaos.faults.base import (
    REMEMBERED_ROWS,
    Answer,
    Call,
    End,
    Fault,
    Memory,
    NotThere,
    Part,
    Redirect,
    Reset,
    Shape,
    Signal,
    Wait,
    parse_shape,
)
from chaos.faults.loads import Drawn, LoadFault, Population, Told
from chaos.protocols import catalogue as protocols
from chaos.protocols.base import Asking, InputNames, Output
from chaos.rows import Input, Row, Rule
from tests.fuzzing import examples

NAMES = list(catalogue())
EXAMPLES = [(name, example) for name, kind in catalogue().items() for example in kind.examples]
DOING = [(name, example.yaml) for name, example in EXAMPLES if example.does is not None]
ON_TRAFFIC = [(name, text) for name, text in DOING if catalogue()[name].acts_on not in ("container", "outside")]
ON_LOADS = [(name, text) for name, text in DOING if catalogue()[name].acts_on == "load"]
DELIVERING = [(name, text) for name, text in ON_TRAFFIC if catalogue()[name].delivers]
EDITING_BODIES = [(name, text) for name, text in ON_TRAFFIC if catalogue()[name].edits_bodies]
ON_ANSWERS = [(name, text) for name, text in DOING if catalogue()[name].acts_on == "answer"]
ON_PREDICTIONS = [(name, text) for name, text in ON_ANSWERS if catalogue()[name].works_on != "text"]

ON_INPUTS = [(name, text) for name, text in DOING if catalogue()[name].edits_inputs]


def written(text: str) -> dict[str, Any]:
    """What the loader makes of a fault in a file."""
    document = read_document(text, "experiment.yaml", {})
    assert not document.problems
    assert isinstance(document.data, dict)
    return document.data


def made(text: str, **more: Any) -> Fault:
    values = written(text) | more
    return catalogue()[str(values["fault"])].model_validate(values)


WITH_SHARES = [(name, text) for name, text in ON_TRAFFIC if made(text).aim() is None]
"""Those whose share people write; the others' is found by the plan."""


def call(
    fault: Fault,
    subject: str = "subject",
    share: float | None = None,
    seed: str = "seed",
    many: int = 0,
    memory: Memory | None = None,
) -> Call:
    """A treated request for `many` rows, all in the group that the fault's example names, wherever it looks for one."""
    group = getattr(fault, "group", None)
    place = getattr(fault, "place", None)
    headers = {place.name: str(group)} if place is not None and place.kind == "header" else {}
    rows = [{"age_band": group, "group": group}] * many
    body = json.dumps({"instances": rows, "applicants": rows}).encode()
    return Call(
        seed,
        0,
        subject,
        fault.share if share is None else share,
        headers,
        body,
        memory=Memory() if memory is None else memory,
    )


@st.composite
def answers(draw: st.DrawFn, ruled: bool = False) -> list[Row]:
    """Rows as a classifier gives them: the label is the best score, scores sum to one.

    `ruled`: they have no label of their own, and scores decide by a rule.
    """
    classes: tuple[Any, ...] = draw(st.sampled_from([(0, 1), (0, 1, 2), ("no", "perhaps", "yes")]))
    rule = None
    if ruled:
        rule = draw(st.builds(Rule, st.just(1), st.floats(0.05, 0.95))) if len(classes) == 2 else Rule()
    rows = []
    for place in range(draw(st.integers(1, 6))):
        weights = draw(st.lists(st.integers(1, 50), min_size=len(classes), max_size=len(classes), unique=True))
        scores = tuple(weight / sum(weights) for weight in weights)
        label = classes[(rule or Rule()).decides(scores)]
        rows.append(Row(place, label, scores if ruled or draw(st.booleans()) else None, classes, rule))
    return rows


FEATURES = ("purpose", "loanamt", "obrat", "typur", "appinc", "cototinc", "hrat", "loanprc")
"""What the examples name, and a few more."""


@st.composite
def questions(draw: st.DrawFn) -> list[Input]:
    """Inputs as a request has them: a text, numbers, some of them null."""
    number = st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | st.none()
    rows = draw(st.lists(st.lists(number, min_size=7, max_size=7), min_size=1, max_size=5))
    return [Input(place, (draw(st.text(max_size=3)), *row), FEATURES) for place, row in enumerate(rows)]


def acted(fault: Fault, asked: Call) -> list[object]:
    """What it does to a request that is the first that it selects."""
    return list(fault.act(replace(asked, memory=Memory())))


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """An answer as a delivery sees it: its head, then pieces, or events of a stream."""
    kind = draw(st.sampled_from(["piece", "event"]))
    sizes = draw(st.lists(st.integers(1, 16 * 1024), max_size=6))
    made = [Part("head", 0, draw(st.integers(20, 2000)), 0)]
    made += [Part(kind, place, size, sum(sizes[:place])) for place, size in enumerate(sizes)]
    return made


def test_the_catalogue_has_what_the_experiments_need() -> None:
    assert {"wrong_predictions", "biased_outputs", "delay", "http_error", "kill", "pause"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_says_what_it_is(name: str) -> None:
    kind = catalogue()[name]
    assert kind.acts_on in {"request", "answer", "container", "load", "outside"}
    assert all(len(text) > 3 for text in (kind.family, kind.must, kind.quiet, kind.__doc__ or ""))
    assert any(example.does for example in kind.examples)
    assert any(example.refused for example in kind.examples)
    assert all(field.description for name, field in kind.model_fields.items() if name != "fault")
    assert kind.semantic <= kind.changes_bytes


@pytest.mark.parametrize(
    ("name", "example"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else value.yaml
)
def test_its_examples_do_and_are_refused_as_they_say(name: str, example: Any) -> None:
    if example.does is not None:
        assert made(example.yaml).explain() == example.does
        return
    with pytest.raises(ValidationError) as refused:
        made(example.yaml)
    # pydantic says "greater than or equal to" where people say "at least"
    said = str(refused.value).replace("greater than or equal to", "at least")
    assert example.refused in said


@pytest.mark.parametrize(("name", "text"), DOING)
def test_its_explanation_is_one_plain_sentence_about_its_target(name: str, text: str) -> None:
    fault = made(text)
    told = fault.explain()
    assert fault.target in told
    assert "\n" not in told
    assert len(told.split()) >= 5
    assert told[0].isalnum()


@pytest.mark.parametrize(("name", "text"), DOING)
def test_written_out_and_read_again_it_is_the_same_fault(name: str, text: str) -> None:
    share = {} if made(text).aim() is not None else {"share": "37.5%"}
    fault = made(text, **share, start="1m30s", until="full", shape="pulse 5s/10s")
    assert type(fault).model_validate_json(fault.model_dump_json()) == fault
    plain = {key: value for key, value in fault.model_dump(mode="json").items() if value is not None}
    assert type(fault).model_validate(written(json.dumps(plain))) == fault


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "more",
    [
        {"colour": "red"},
        {"share": "110%"},
        {"share": "-1%"},
        {"duration": "soon"},
        {"start": "-1s"},
        {"until": "late"},
        {"shape": "pulse 0s/1s"},
        {"target": None},
    ],
)
def test_it_refuses_what_it_does_not_know(name: str, more: dict[str, Any]) -> None:
    text = next(text for known, text in DOING if known == name)
    with pytest.raises(ValidationError):
        made(text, **more)


@pytest.mark.parametrize(("name", "text"), ON_TRAFFIC)
@given(answers(), st.text(max_size=12), st.text(max_size=12))
@settings(max_examples=examples(14))
def test_the_same_seed_and_request_meet_the_same_fault(
    name: str, text: str, rows: list[Row], seed: str, subject: str
) -> None:
    def asked() -> Call:
        return call(made(text), subject, 0.5, seed, len(rows))

    assert made(text).edit(rows, asked()) == made(text).edit(rows, asked())
    assert acted(made(text), asked()) == acted(made(text), asked())


@pytest.mark.parametrize(("name", "text"), ON_ANSWERS)
@given(answers(), answers(), st.text(max_size=12))
@settings(max_examples=examples(10))
def test_what_it_remembers_is_all_that_an_earlier_request_changes(
    name: str, text: str, rows: list[Row], earlier: list[Row], subject: str
) -> None:
    fault, made_twice = made(text), []
    for _ in range(2):
        memory = Memory()
        fault.edit(earlier, call(fault, "earlier", 1.0, many=len(earlier), memory=memory))
        made_twice.append(fault.edit(rows, call(fault, subject, 0.5, many=len(rows), memory=memory)))
    assert made_twice[0] == made_twice[1]


@pytest.mark.parametrize(("name", "text"), ON_ANSWERS)
def test_what_it_remembers_is_bounded(name: str, text: str) -> None:
    fault, memory = made(text), Memory()
    for number in range(3 * REMEMBERED_ROWS // 100 + 1):
        rows = [Row(place, place % 2, None, (0, 1)) for place in range(100)]
        fault.edit(rows, call(fault, f"subject-{number}", 1.0, many=100, memory=memory))
    assert len(memory.rows) <= REMEMBERED_ROWS


@pytest.mark.parametrize(("name", "text"), ON_TRAFFIC)
@given(answers(), st.text(max_size=12))
@settings(max_examples=examples(10))
def test_with_nothing_selected_it_is_the_identity(name: str, text: str, rows: list[Row], subject: str) -> None:
    asked = call(made(text), subject, 0.0, many=len(rows))
    assert not any(asked.selected(row) for row in range(50))
    assert all(new is old for new, old in zip(made(text).edit(rows, asked), rows, strict=True))


@pytest.mark.parametrize(("name", "text"), ON_ANSWERS)
@given(answers(), st.text(max_size=12), st.floats(0, 1))
@settings(max_examples=examples(17))
def test_rows_outside_the_selection_are_the_very_same_objects(
    name: str, text: str, rows: list[Row], subject: str, share: float
) -> None:
    fault = made(text)
    asked = call(fault, subject, share, many=len(rows))
    fault.edit(rows, call(fault, "earlier", 1.0, many=len(rows), memory=asked.memory))
    after = fault.edit(rows, asked)
    assert len(after) == len(rows)
    for new, old in zip(after, rows, strict=True):
        assert asked.selected(old.index) or new is old


@pytest.mark.parametrize(("name", "text"), ON_PREDICTIONS)
@given(answers() | answers(ruled=True), st.text(max_size=12))
@settings(max_examples=examples(17))
def test_what_a_model_keeps_consistent_stays_consistent(name: str, text: str, rows: list[Row], subject: str) -> None:
    fault, memory = made(text), Memory()
    fault.edit(rows[::-1], call(fault, "earlier", 1.0, many=len(rows), memory=memory))
    for new, old in zip(fault.edit(rows, call(fault, subject, 1.0, many=len(rows), memory=memory)), rows, strict=True):
        assert (new.index, new.classes, new.rule) == (old.index, old.classes, old.rule)
        assert (new.scores is None) is (old.scores is None)
        assert new.scores is None or len(new.scores) == len(new.classes)
        if fault.inconsistent:
            continue
        assert new.label in old.classes
        if new.scores is not None:
            assert all(0 <= score <= 1 for score in new.scores)
            assert math.isclose(sum(new.scores), 1.0)
            assert new.scores[new.classes.index(new.label)] == max(new.scores) or old.rule is not None
            assert old.rule is None or new.classes[old.rule.decides(new.scores)] == new.label


@pytest.mark.parametrize(("name", "text"), ON_ANSWERS)
@given(answers(), st.text(max_size=12), st.floats(0, 1))
@settings(max_examples=examples(17))
def test_a_changed_answer_is_still_valid_in_its_protocol(
    name: str, text: str, rows: list[Row], subject: str, share: float
) -> None:
    rows = [
        Row(row.index, int(row.classes.index(row.label)) if row.label is not None else None, None, (0, 1, 2))
        for row in rows
    ]
    data = [row.label for row in rows]
    body = json.dumps(
        {"outputs": [{"name": "predict", "shape": [len(rows)], "datatype": "INT64", "data": data}]}
    ).encode()
    protocol, output, fault = protocols()["oip"], Output(classes=(0, 1, 2)), made(text)
    before = protocol.rows(body, {}, output)
    assert before == rows
    after: Sequence[Row] = fault.edit(before, call(fault, subject, share, many=len(rows)))
    changed, _ = protocol.encode(body, {}, output, before, after)
    assert list(protocol.rows(changed, {}, output)) == list(after)


@pytest.mark.parametrize(("name", "text"), ON_INPUTS)
@given(questions(), st.text(max_size=12), st.floats(0, 1))
@settings(max_examples=examples(14))
def test_inputs_outside_the_selection_are_the_very_same_objects_and_the_rest_is_the_same_at_every_retry(
    name: str, text: str, inputs: list[Input], subject: str, share: float
) -> None:
    fault = made(text)
    asked = call(fault, subject, share)
    after = fault.edit_inputs(inputs, asked)
    assert repr(after) == repr(fault.edit_inputs(inputs, asked))
    assert [one.index for one in after] == [one.index for one in inputs]
    for new, old in zip(after, inputs, strict=True):
        assert asked.selected(0 if fault.selects_requests() else old.index) or new is old
        assert len(new.values) == len(new.names) == len({*new.names})
        assert new is old or repr(new) != repr(old)


@pytest.mark.parametrize(("name", "text"), ON_INPUTS)
@pytest.mark.parametrize("protocol", ["kserve-v1", "mlflow"])
@given(questions())
@settings(max_examples=examples(10))
def test_a_changed_request_says_in_its_protocol_what_the_fault_made_of_it(
    name: str, text: str, protocol: str, inputs: list[Input]
) -> None:
    rows = [dict(zip(one.names, one.values, strict=True)) for one in inputs]
    body, speaks, fault = json.dumps({"instances": rows}).encode(), protocols()[protocol], made(text)
    assert isinstance(speaks, Asking)
    before = speaks.inputs(body, {}, InputNames())
    assert before == inputs
    after = fault.edit_inputs(before, call(fault, "a subject", 1.0))
    changed, _ = speaks.encode_inputs(body, {}, InputNames(), before, after)
    assert repr([*speaks.inputs(changed, {}, InputNames())]) == repr([*after])


@pytest.mark.parametrize(("name", "text"), ON_INPUTS)
def test_of_inputs_without_what_it_acts_on_it_says_so(name: str, text: str) -> None:
    fault, other = made(text), [Input(0, (1.0,), ("something",))]
    if getattr(fault, "change", "") == "extra":
        assert fault.edit_inputs(other, call(fault, share=1.0))[0].names == ("something", "channel")
        return
    with pytest.raises(NotThere):
        fault.edit_inputs(other, call(fault, share=1.0))
    assert fault.edit_inputs(other, call(fault, share=0.0)) == other


@pytest.mark.parametrize("name", NAMES)
def test_what_edits_inputs_does_so_before_the_model_is_asked_and_answers_for_it(name: str) -> None:
    kind = catalogue()[name]
    if kind.edits_inputs:
        assert (kind.acts_on, kind.works_on, kind.semantic, kind.changes_bytes) == (
            "request",
            "predictions",
            True,
            True,
        )


@pytest.mark.parametrize(("name", "text"), ON_TRAFFIC)
@given(st.text(max_size=12), st.floats(0, 1))
@settings(max_examples=examples(10))
def test_its_actions_are_of_the_closed_set_and_no_wait_is_negative(
    name: str, text: str, subject: str, share: float
) -> None:
    for action in acted(made(text), call(made(text), subject, share)):
        assert isinstance(action, (Wait, Answer, Reset, Redirect))
        assert not isinstance(action, Wait) or 0 <= action.seconds <= 600


@pytest.mark.parametrize(("name", "text"), DELIVERING)
@given(parts(), st.text(max_size=12), st.floats(0, 1e5))
@settings(max_examples=examples(14))
def test_its_deliveries_are_of_the_closed_set_within_their_part_and_the_same_for_the_same_answer(
    name: str, text: str, answer: list[Part], subject: str, elapsed_s: float
) -> None:
    asked = replace(call(made(text), subject, 1.0), elapsed_s=elapsed_s)
    said = [list(made(text).deliver(part, replace(asked, memory=Memory()))) for part in answer]
    assert said == [list(made(text).deliver(part, replace(asked, memory=Memory()))) for part in answer]
    for part, actions in zip(answer, said, strict=True):
        for action in actions:
            assert isinstance(action, (Wait, End, Reset))
            if isinstance(action, Wait):
                assert 0 <= action.seconds <= 600
                continue
            assert 0 <= action.after <= part.size
            assert catalogue()[name].breaks_protocol or (isinstance(action, End) and action.clean)
            return  # it is not asked about the rest


@pytest.mark.parametrize(("name", "text"), EDITING_BODIES)
@given(st.binary(max_size=200), st.text(max_size=12))
@settings(max_examples=examples(14))
def test_its_bodies_are_bytes_and_the_same_for_the_same_answer_and_memory(
    name: str, text: str, body: bytes, subject: str
) -> None:
    asked = call(made(text), subject, 1.0)
    made_of_it = made(text).edit_body(body, replace(asked, memory=Memory()))
    assert isinstance(made_of_it, bytes)
    assert made_of_it == made(text).edit_body(body, replace(asked, memory=Memory()))
    assert catalogue()[name].changes_bytes


@pytest.mark.parametrize("name", NAMES)
def test_its_hooks_are_those_that_it_says_it_has(name: str) -> None:
    kind = catalogue()[name]
    assert (kind.deliver is not Fault.deliver) is kind.delivers
    assert (kind.edit_body is not Fault.edit_body) is kind.edits_bodies


@pytest.mark.parametrize(("name", "text"), WITH_SHARES)
@given(st.text(max_size=10))
@settings(max_examples=examples(2), deadline=None)
def test_it_selects_the_share_that_was_asked_for(name: str, text: str, seed: str) -> None:
    fault = made(text, share="20%")
    selected = sum(
        call(fault, f"subject-{subject}", seed=seed).selected(row) for subject in range(500) for row in range(4)
    )
    # Binomial, five standard deviations: one false alarm in about two million draws.
    assert abs(selected - 400) <= 5 * math.sqrt(2000 * 0.2 * 0.8)


def test_a_larger_share_only_adds_rows_and_two_faults_select_apart() -> None:
    small = [Call("s", 0, str(n), 0.2, {}).selected() for n in range(2000)]
    large = [Call("s", 0, str(n), 0.4, {}).selected() for n in range(2000)]
    other = [Call("s", 1, str(n), 0.2, {}).selected() for n in range(2000)]
    assert all(not one or more for one, more in zip(small, large, strict=True))
    both = sum(one and two for one, two in zip(small, other, strict=True))
    assert abs(both - 80) < 5 * math.sqrt(2000 * 0.04 * 0.96)


@pytest.mark.parametrize(("name", "text"), WITH_SHARES)
@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=examples(10))
def test_a_predicted_signal_is_untouched_by_a_fault_on_nobody(
    name: str, text: str, share: float, control: float
) -> None:
    for signal in Signal:
        idle = made(text, share=0.0).treated(signal, control)
        assert idle is None or math.isclose(idle, control, abs_tol=1e-12)
        hurt = made(text, share=share).treated(signal, control)
        assert hurt is None or signal is Signal.latency or -1e-12 <= hurt <= 1 + 1e-12


@given(st.floats(0, 1e4), st.sampled_from(["step", "ramp 30s", "ramp 1m", "pulse 5s/10s", "pulse 1s/1s"]))
def test_a_shape_is_a_factor_between_nothing_and_all_and_can_be_read_back(elapsed_s: float, text: str) -> None:
    shape = parse_shape(text)
    assert isinstance(shape, Shape)
    assert 0 <= shape.intensity(elapsed_s) <= 1
    assert parse_shape(str(shape)) == shape


@pytest.mark.parametrize(
    ("text", "at_s", "factor"),
    [
        ("ramp 30s", 0, 0),
        ("ramp 30s", 15, 0.5),
        ("ramp 30s", 31, 1),
        ("pulse 5s/10s", 4.9, 1),
        ("pulse 5s/10s", 5, 0),
        ("pulse 5s/10s", 15, 1),
        ("step", 0, 1),
    ],
)
def test_a_shape_has_the_intensity_that_it_says(text: str, at_s: float, factor: float) -> None:
    shape = parse_shape(text)
    assert isinstance(shape, Shape)
    assert shape.intensity(at_s) == pytest.approx(factor)


# --- the load's own faults --------------------------------------------------------------------------------------------


@st.composite
def populations(draw: st.DrawFn) -> Population:
    """Labelled rows, some of which meet the conditions of the examples and some of which do not."""
    rows = [
        {"application": {"income": income}, "group": group, "label": label}
        for income, group, label in draw(
            st.lists(
                st.tuples(
                    st.one_of(st.none(), st.integers(0, 100)),
                    st.sampled_from(["north", "south"]),
                    st.sampled_from(["approve", "deny"]),
                ),
                min_size=1,
                max_size=12,
            )
        )
    ]
    return Population(rows, "label", "approve")


def on_load(text: str) -> LoadFault:
    fault = made(text)
    assert isinstance(fault, LoadFault)
    return fault


def everything(fault: LoadFault, people: Population, asked: Call) -> list[tuple[Drawn | Told, Drawn | Told | None]]:
    """What goes into each hook, for every row, and what comes out."""
    found: list[tuple[Drawn | Told, Drawn | Told | None]] = []
    for number, row in enumerate(people.rows):
        drawn = Drawn(number, row, people.label_of(row))
        found.append((drawn, fault.draw(drawn, people, asked)))
        for decision in ("approve", "deny", None):
            told = Told(number, drawn.label, decision)
            found.append((told, fault.feedback(told, people, asked)))
    return found


@pytest.mark.parametrize(("name", "text"), ON_LOADS)
@given(populations(), st.text(max_size=12), st.floats(0, 1))
@settings(max_examples=examples(10))
def test_the_same_seed_and_load_give_the_same_draws_and_outcomes(
    name: str, text: str, people: Population, subject: str, share: float
) -> None:
    fault, again = on_load(text), Population(people.rows, "label", "approve")
    asked = call(fault, subject, share)
    assert everything(fault, people, asked) == everything(on_load(text), again, asked)


@pytest.mark.parametrize(("name", "text"), ON_LOADS)
@given(populations(), st.text(max_size=12), st.floats(0, 1))
@settings(max_examples=examples(10))
def test_draws_and_outcomes_outside_the_selection_are_the_very_same_objects(
    name: str, text: str, people: Population, subject: str, share: float
) -> None:
    fault = on_load(text)
    asked = call(fault, subject, share)
    for before, after in everything(fault, people, asked):
        assert asked.selected(before.number) or after is before


@pytest.mark.parametrize(("name", "text"), ON_LOADS)
@given(populations(), st.text(max_size=12))
@settings(max_examples=examples(10))
def test_what_is_drawn_is_a_row_of_the_data_and_what_is_told_a_class_of_it(
    name: str, text: str, people: Population, subject: str
) -> None:
    fault = on_load(text)
    for before, after in everything(fault, people, call(fault, subject, 1.0)):
        if after is None:
            continue
        assert after.number == before.number
        if isinstance(after, Drawn):
            assert after.label in people.labels
            assert any(after.row is row for row in people.rows)
        else:
            assert isinstance(before, Told)
            assert after.label in {*people.labels, before.decision}
            assert after.decision == before.decision
            assert after.later_s >= before.later_s


@pytest.mark.parametrize(("name", "text"), ON_LOADS)
@given(populations())
@settings(max_examples=examples(10))
def test_a_fault_that_the_rows_allow_changes_something_unless_every_row_is_as_it_wants_already(
    name: str, text: str, people: Population
) -> None:
    fault = on_load(text)
    asked = call(fault, share=1.0)
    if fault.unfit(people) is not None:
        return
    if any(after is not before for before, after in everything(fault, people, asked)):
        return
    assert name in {"covariate_shift", "label_shift"}


@pytest.mark.parametrize(("name", "text"), ON_LOADS)
def test_what_changes_outcomes_alone_needs_them_to_be_told(name: str, text: str) -> None:
    fault = on_load(text)
    people = Population(
        [{"application": {"income": n * 20}, "label": ("approve", "deny")[n % 2]} for n in range(8)], "label", "approve"
    )
    tells = any(
        isinstance(before, Told) and after != before
        for before, after in everything(fault, people, call(fault, share=1.0))
    )
    assert not tells or fault.needs_feedback
