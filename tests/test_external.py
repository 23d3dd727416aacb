"""What another tool does, on values: planned, waited for, seen, undone, judged. No tool and no Prometheus is touched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.engine import Run
from chaos.errors import InvalidFile
from chaos.events import (
    Applied,
    Apply,
    EffectLost,
    Observed,
    Query,
    RunStarted,
    State,
    StateEntered,
    Ticked,
    Undo,
    UndoFailed,
    Undone,
)
from chaos.experiment import parse
from chaos.journal import Line
from chaos.judging import judge
from chaos.judging.trace import trace
from chaos.observation import ExternalRead, ExternalSeen, ProbeReading, ProbesRead
from chaos.planning import queries
from chaos.plans import Plan, PlannedEffect
from chaos.progress import Progress
from chaos.progress.externals import shown
from chaos.progress.questions import baseline_problems, waiting_for
from chaos.proxy.arming import FaultBody
from chaos.report.terminal import plan_view
from chaos.verdict import Finding
from tests.judging.journals import Entry, lines_of
from tests.values import EXPERIMENT, edited, planned, probes, survey, system
from tests.worlds import ACCURACY, OUTSIDE, PLAN, SHOWS

NAN = float("nan")
WALL = 1_700_000_000.0
WRITTEN = (
    "  - fault: wrong_predictions\n    target: loan-model\n    duration: 60s",
    "  - fault: external\n    target: loan-model\n    effect: {promql: 'sum(outage)', unit: ratio, min: 25%}\n    duration: 60s",
)
ALONE: Plan = replace(
    PLAN, effects=(OUTSIDE,), alerts=(), harms=(), holds=(), load=None, control=False, quiet=False,
    by_hand={OUTSIDE.id: "end it with the tool that began it"},
)  # fmt: skip


def reading(*values: float) -> ProbeReading:
    return ProbeReading(OUTSIDE.id, "sliding", 30.0, WALL, values)


def seen(at_s: float, value: float | None, *, on: bool) -> ExternalRead:
    return ExternalRead((ExternalSeen(3, WALL + at_s, value, on),))


# --- planned ----------------------------------------------------------------------------------------------------------


def test_the_plan_has_its_query_with_its_bounds_and_divides_nobody_into_arms() -> None:
    made = planned(WRITTEN)
    [effect] = made.effects
    assert (effect.kind, effect.lease(), made.divides()) == ("external", None, False)
    assert effect.shows is not None
    assert (effect.shows.query, effect.shows.minimum, effect.shows.maximum) == ("sum(outage)", "25%", None)
    assert Plan.from_json(made.to_json()) == made


def test_the_plan_says_that_leases_do_not_apply() -> None:
    from rich.console import Console

    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(plan_view(planned(WRITTEN)))
    assert "external at loan-model: leases do not apply: another tool does this" in console.export_text()


def test_the_plan_asks_whether_its_query_can_be_read() -> None:
    asked = queries(parse(edited(EXPERIMENT, WRITTEN), "experiment.yaml", {})[0], system(), probes())
    assert asked["effect of external at loan-model"] == "sum(outage)"


def test_its_target_needs_neither_a_proxy_nor_a_container() -> None:
    bare = system(
        (
            "    proxies: ['http://127.0.0.1:8474']\n    process: {table: processes.json, labels: {app: loan-model}}",
            "    {}",
        )
    )
    assert planned(WRITTEN, of=bare, found=survey(proxies={})).refusals == ()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("max_duration: 2m", "max_duration: 2m, most: 5 requests"), "is what another tool does, and `most:` caps"),
        (
            ("    duration: 60s", "    duration: 60s\n    share: 10%"),
            "another tool decides how much `external` hurts; leave `share` out",
        ),
        (("    duration: 60s", "    duration: 60s\n    shape: ramp 5s"), "leave `shape` out"),
        (
            ("max_duration: 2m", "max_duration: 2m, mode: shadow"),
            "it is what another tool does, and a shadow is a copy",
        ),
    ],
)
def test_what_cannot_hold_for_another_tool_is_refused(edit: tuple[str, str], message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        parse(edited(edited(EXPERIMENT, WRITTEN), edit), "experiment.yaml", {})


def test_no_proxy_takes_it() -> None:
    fault = {"fault": "external", "target": "model", "effect": {"promql": "up", "max": 0}, "duration": "30s"}
    problems: list[str] = []
    assert FaultBody(index=0, fault=fault).built(problems) is None
    assert problems == ["external acts on what other tools do; a proxy cannot perform it"]


def test_no_file_names_the_command() -> None:
    told = ("    duration: 60s", "    duration: 60s\n    command: [reboot]")
    with pytest.raises(InvalidFile, match="command"):
        parse(edited(edited(EXPERIMENT, WRITTEN), told), "experiment.yaml", {})


# --- seen -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "value", "on"),
    [
        ((1.0,), 1.0, True),
        ((0.9,), 0.9, False),
        ((0.2, 5.0), 5.0, True),
        ((0.2, 0.3), 0.2, False),
        ((), None, False),
        ((NAN,), None, False),
        ((NAN, 1.5), 1.5, True),
    ],
)
def test_it_is_on_as_soon_as_one_series_lies_within_the_bounds(
    values: tuple[float, ...], value: float | None, *, on: bool
) -> None:
    assert shown(OUTSIDE, reading(*values)) == ExternalSeen(3, WALL, value, on)


def test_a_query_that_returns_nothing_is_a_zero_only_where_the_file_says_so() -> None:
    zero: PlannedEffect = replace(OUTSIDE, shows=replace(SHOWS, when_missing="zero"))
    assert shown(zero, reading()) == ExternalSeen(3, WALL, 0.0, on=False)
    below: PlannedEffect = replace(OUTSIDE, shows=replace(SHOWS, when_missing="zero", minimum=None, maximum="0.0"))
    assert shown(below, reading()) == ExternalSeen(3, WALL, 0.0, on=True)


def test_the_first_effect_is_the_first_reading_that_was_on() -> None:
    progress = Progress(ALONE)
    progress.await_external(OUTSIDE)
    progress.learn(seen(1, 0.0, on=False), 1.0)
    assert waiting_for(progress) == ["the external effect at model"]
    progress.learn(seen(2, 1.0, on=True), 2.0)
    progress.learn(seen(3, 1.0, on=True), 3.0)
    assert progress.first_effect_wall_s == WALL + 2
    assert waiting_for(progress) == []


def test_what_was_there_before_it_was_to_begin_is_no_effect_and_spoils_the_baseline() -> None:
    progress = Progress(ALONE)
    progress.learn(seen(1, 1.0, on=True), 1.0)
    assert progress.first_effect_wall_s is None
    assert "what another tool is to do to model is there already" in " ".join(baseline_problems(progress))
    progress.await_external(OUTSIDE)
    assert waiting_for(progress) == ["the external effect at model"]


def test_an_effect_that_ended_by_itself_was_gone_when_it_was_first_seen_off() -> None:
    progress = Progress(ALONE)
    progress.await_external(OUTSIDE)
    for at_s, value in ((1, 0.0), (2, 1.0), (3, 1.0), (4, None), (5, 0.0), (6, 0.0)):
        progress.learn(seen(at_s, value, on=value == 1.0), float(at_s))
    assert progress.gone_since(OUTSIDE, WALL + 30) == WALL + 5


# --- the machine ------------------------------------------------------------------------------------------------------


class Played:
    """A run of one external fault; `on_s` is when the world shows its effect."""

    def __init__(self, on_s: tuple[float, float]) -> None:
        self.run = Run(ALONE)
        self.on_s = on_s
        self.asked: dict[str, int] = {}
        self.undone_s: float | None = None
        self.lost: list[EffectLost] = []
        self.attempts = 0
        self.at_s = 0.0

    def play(self, until_s: float) -> Played:
        while self.at_s < until_s and self.run.state is not State.collect:
            self.hear(Ticked(WALL + self.at_s))
            self.at_s += 0.25
        return self

    def hear(self, event: object) -> None:
        on = self.on_s[0] <= self.at_s < self.on_s[1]
        for out in self.run.step(event, self.at_s):  # type: ignore[arg-type]
            match out:
                case Apply(effect=name):
                    self.hear(Applied(name, WALL + self.at_s))
                case Undo(effect=name, attempt=attempt):
                    self.attempts += 1
                    if on:
                        self.hear(UndoFailed(name, attempt, "it is still on"))
                    else:
                        self.undone_s = self.undone_s or self.at_s
                        self.hear(Undone(name, attempt, WALL + self.at_s))
                case Query(question="external"):
                    self.asked[self.run.state.value] = self.asked.get(self.run.state.value, 0) + 1
                    self.hear(Observed(seen(self.at_s, float(on), on=on), question="external"))
                case Query(question="probes"):
                    readings = [
                        ProbeReading(ACCURACY.title, scope, 10.0, WALL + self.at_s, (0.93,), 100.0)  # type: ignore[arg-type]
                        for scope in ("sliding", "phase")
                    ]
                    self.hear(Observed(ProbesRead(tuple(readings))))
                case EffectLost() as lost:
                    self.lost.append(lost)
                case _:
                    pass


def test_it_is_looked_at_each_second_while_it_is_on() -> None:
    played = Played((15.0, 25.0)).play(40.5)
    assert 29 <= played.asked["inject"] <= 31


def test_its_undo_goes_on_until_the_query_shows_that_it_is_off() -> None:
    played = Played((15.0, 50.0)).play(70.0)
    assert played.undone_s is not None
    assert 50.0 <= played.undone_s < 51.0
    assert played.attempts > 5
    assert not played.lost


def test_an_effect_that_nobody_ends_is_lost_with_the_word_what_to_do() -> None:
    played = Played((15.0, 1e9)).play(120.0)
    assert played.lost == [EffectLost(OUTSIDE.id, "end it with the tool that began it")]
    assert played.undone_s is None


# --- judged -----------------------------------------------------------------------------------------------------------


def journal(*looks: tuple[float, float | None], undone: bool = True, ended: bool = True) -> list[Line]:
    """A run whose external fault was to begin at 10 s and to end at 30 s."""
    entries: list[Entry] = [
        (0.0, RunStarted("run-1", "0.1.0", "name: quick", ALONE.to_json())),
        (0.1, StateEntered(State.preflight, "")),
        (1.0, StateEntered(State.baseline, "")),
        (10.0, StateEntered(State.inject, "")),
        (10.1, Apply(OUTSIDE.id)),
        (10.2, Applied(OUTSIDE.id, WALL + 10.2, "began `tool` as process 7")),
        (30.0, StateEntered(State.undo, "the time is over")),
        (30.1, Undo(OUTSIDE.id, 1)),
    ]
    if undone:
        call, evidence = "its command was ended", {"the effect's query reads": "0"}
        entries += [(31.0, Undone(OUTSIDE.id, 1, WALL + 31.0, call, evidence))]
        entries += [(31.1, StateEntered(State.recovery, ""))]
    if ended:
        entries += [(50.0, StateEntered(State.ended, ""))]
    entries += [(at_s, Observed(seen(at_s, value, on=value == 1.0), question="external")) for at_s, value in looks]
    return lines_of(sorted(entries, key=lambda entry: entry[0]))


def found(lines: list[Line], question: str) -> Finding:
    return next(one for one in judge(lines).findings if question in one.question)


SHOWN = ((11.0, 0.0), (12.0, 1.0), (13.0, 1.0), (29.0, 1.0))


def test_it_happened_when_its_query_showed_it_and_the_finding_says_how_long() -> None:
    finding = found(journal(*SHOWN), "Did external happen at model?")
    assert finding.verdict == "confirmed"
    assert "its query showed it for 17.0s, 1.8s after it was to begin" in finding.answer
    assert "leases did not apply: another tool did this" in finding.answer


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        (((11.0, 0.0), (12.0, 0.0)), "never showed it"),
        (((11.0, None),), "never returned anything"),
        (((5.0, 1.0), (11.0, 0.0)), "never showed it"),
    ],
)
def test_what_was_never_seen_did_not_happen_whatever_the_command_said(
    looks: tuple[tuple[float, float | None], ...], why: str
) -> None:
    lines = journal(*looks)
    assert why in found(lines, "Did external happen at model?").answer
    assert judge(lines).verdict == "invalid"


def test_the_effects_moments_are_those_of_its_query() -> None:
    [done] = judge(journal(*SHOWN)).effects
    assert (done.first_effect_wall_s, done.removed_wall_s, done.hurt) == (WALL + 12, WALL + 31, 1)
    early = journal((12.0, 1.0), (13.0, 1.0), (20.0, 0.0), (29.0, 0.0))
    assert judge(early).effects[0].removed_wall_s == WALL + 20
    assert trace(early).removal() == WALL + 20


def test_the_removal_is_proven_by_its_query() -> None:
    finding = found(journal(*SHOWN, (36.0, 0.0), (46.0, 0.0)), "Is the removal of external at model proven?")
    assert finding.verdict == "confirmed"
    assert "reads 0" in finding.answer


def test_a_removal_that_nobody_went_on_to_look_at_is_open() -> None:
    finding = found(journal(*SHOWN, (32.0, 0.0), (34.0, 0.0)), "Is the removal of external at model proven?")
    assert finding.verdict == "inconclusive"
    assert "nobody looked for long enough" in finding.answer


def test_an_effect_that_comes_back_after_its_removal_is_unsafe() -> None:
    finding = found(journal(*SHOWN, (32.0, 0.0), (35.0, 1.0)), "Is the removal of external at model proven?")
    assert finding.verdict == "unsafe"
    assert "4.0s later" in finding.answer
    assert "end it with the tool that began it" in finding.answer


@pytest.mark.parametrize("ended", [True, False])
def test_an_effect_that_nobody_saw_off_is_unsafe_since_no_lease_ends_it(*, ended: bool) -> None:
    finding = found(journal(*SHOWN, undone=False, ended=ended), "Was every effect undone?")
    assert finding.verdict == "unsafe"
    assert "end it with the tool that began it" in finding.answer
