"""The undo list: whatever a log says, and wherever a crash cut it, what may be on is named and what is off is not."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from chaos.survey import ContainerFound
from chaos.undo_list import UndoEntry, UndoList, left_on, open_effects, step_line, steps_of, still_on

NAMES = ("fault-0@a", "fault-1@b", "fault-2@c")
ENTRIES = tuple(
    UndoEntry(
        name, "process", {"table": "t.json"}, ("chaos.enabled", "true"), "/beside", '{"fault":"kill"}',
        ContainerFound(name, "1:2", "running", {"app": "model"}, opted_in=True), "do it",
    )
    for name in NAMES
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(["issued", "applied", "failed", "left", "undone"]), st.sampled_from(NAMES)))


def on_by_hand(steps: Sequence[tuple[str, str]]) -> set[str]:
    """The effects whose last issue has no undo after it, looked up one by one."""
    found = set()
    for name in NAMES:
        own = [step for step, effect in steps if effect == name]
        issued = max((place for place, step in enumerate(own) if step == "issued"), default=-1)
        if issued >= 0 and not {"undone", "left"} & set(own[issued:]):
            found.add(name)
    return found


@given(STEPS)
def test_what_was_left_and_neither_seen_off_nor_issued_since_is_left_on(steps: list[tuple[str, str]]) -> None:
    last = {
        name: next(
            (step for step, effect in reversed(steps) if effect == name and step in ("issued", "left", "undone")), None
        )
        for name in NAMES
    }
    assert set(left_on(steps)) == {name for name, step in last.items() if step == "left"}


@given(STEPS)
def test_what_was_issued_and_not_undone_since_is_on_and_nothing_else(steps: list[tuple[str, str]]) -> None:
    assert set(still_on(steps)) == on_by_hand(steps)
    assert {one.entry.effect for one in open_effects(ENTRIES, steps)} == on_by_hand(steps)


@given(STEPS)
def test_an_effect_may_land_until_its_call_has_ended(steps: list[tuple[str, str]]) -> None:
    for name, may_land in still_on(steps).items():
        own = [step for step, effect in steps if effect == name]
        last = len(own) - 1 - own[::-1].index("issued")
        assert may_land is not bool({"applied", "failed"} & set(own[last:]))


@given(STEPS, st.integers(0, 10_000))
def test_a_log_that_a_crash_cut_says_what_its_whole_lines_say(steps: list[tuple[str, str]], cut: int) -> None:
    text = "".join(step_line(step, effect) for step, effect in steps)  # type: ignore[arg-type]
    kept = text[:cut]
    assert steps_of(text) == steps
    assert steps_of(kept) == steps[: len(steps_of(kept))]
    assert len(steps_of(kept)) >= kept.count("\n") // 2


def test_what_another_writer_left_half_written_spoils_no_other_line() -> None:
    torn = step_line("undone", NAMES[0])[:8]
    assert still_on(steps_of(torn + step_line("issued", NAMES[1]))) == {NAMES[1]: True}


def test_what_was_issued_last_is_undone_first() -> None:
    steps = [("issued", NAMES[0]), ("issued", NAMES[1]), ("applied", NAMES[0]), ("issued", NAMES[2])]
    assert [one.entry.effect for one in open_effects(ENTRIES, steps)] == [NAMES[2], NAMES[1], NAMES[0]]


def test_a_list_is_read_back_as_it_was_written() -> None:
    undo = UndoList("run-1", "quick", "/runs/1", 10.0, 300.0, ENTRIES)
    assert UndoList.from_json(undo.to_json()) == undo
