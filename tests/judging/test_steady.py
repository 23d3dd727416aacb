"""The steady state from the journal alone: each mode, every series, missing data by the probe's rule; worse data is never better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.events import Collected, Observed
from chaos.judging import steady
from chaos.judging.trace import Trace, trace
from chaos.observation import ProbeReading, ProbesRead
from chaos.plans import PlannedProbe
from chaos.verdict import Finding
from tests.fuzzing import examples
from tests.judging.journals import AVAILABILITY, JUDGED, WALL, Entry, Story, among, lines_of

ALL_ALONG = replace(AVAILABILITY, judged=("before", "during", "after", "continuous"))
BACK = replace(AVAILABILITY, judged=("before", "eventually"), within_s=6.0)
RELATIVE = replace(ALL_ALONG, minimum="0.99x baseline", unit="", signal=None)
GOOD, BAD = 1.0, 0.5
ORDER = ("confirmed", "inconclusive", "deviated")
STORY = Story()
SECONDS = range(int(STORY.baseline), int(STORY.recovered) + 1)


def read(values: tuple[float, ...], at: float, *labels: str, count: float = 400.0) -> ProbeReading:
    named = tuple({"group": one} for one in labels)
    return ProbeReading("availability", "sliding", 30.0, WALL + at, values, count, named)


def run(probe: PlannedProbe, looks: dict[int, ProbeReading | None], **windows: ProbeReading) -> Trace:
    """The confirmed run in which this probe is judged, with a look each second that reads well unless `looks` says otherwise."""
    holds = ("availability",) if "during" in probe.judged else ()
    story = replace(STORY, plan=replace(JUDGED, probes=(JUDGED.probes[0], probe), holds=holds))
    seen = {second: read((GOOD,), second) for second in SECONDS} | looks
    more: list[Entry] = [
        (second + 0.05, Observed(ProbesRead((one,)))) for second, one in seen.items() if one is not None
    ]
    entries = [
        (at, _windowed(record, windows) if isinstance(record, Collected) else record) for at, record in story.entries()
    ]
    return trace(lines_of(among(entries, *more)))


def _windowed(record: Collected, windows: dict[str, ProbeReading]) -> Collected:
    kept = [(phase, windows.get(phase, one) if one.probe == "availability" else one) for phase, one in record.windows]
    return replace(record, windows=tuple(kept))


def finding(of: Trace, question: str) -> Finding:
    (found,) = [one for one in (*steady.findings(of), *steady.recovered(of)) if question in one.question]
    return found


def stretch(first: int, last: int, value: float = BAD) -> dict[int, ProbeReading | None]:
    return {second: read((value,), second) for second in range(first, last + 1)}


# --- each mode --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "looks", "verdict", "says"),
    [
        (ALL_ALONG, {}, "confirmed", "yes: min 99% at 35 looks"),
        (ALL_ALONG, stretch(18, 20), "confirmed", "but for 4.0s at a stretch at most; less than 5s at a stretch is forgiven"),
        (ALL_ALONG, stretch(18, 24), "deviated", "no: out of min 99% for 6.0s at a stretch, at worst 50.0%"),
        (ALL_ALONG, dict.fromkeys(range(18, 25)), "inconclusive", "for 8.0s at a stretch no look saw min 99% met"),
        (replace(ALL_ALONG, tolerance_s=10.0), stretch(18, 24), "confirmed", "less than 10s"),
        (RELATIVE, stretch(18, 24), "deviated", "out of min 0.99x baseline"),
        (RELATIVE, stretch(18, 24, 0.995), "confirmed", "yes"),
    ],
)  # fmt: skip
def test_continuous_holds_at_every_look_from_the_baseline_to_the_end_but_for_short_excursions(
    probe, looks, verdict, says
):
    found = finding(run(probe, looks), "all along")
    assert (found.verdict, found.question) == (verdict, "Did availability stay within its bound all along?")
    assert says in found.answer


def test_continuous_counts_the_baseline_and_the_recovery_too():
    assert finding(run(ALL_ALONG, stretch(8, 14)), "all along").verdict == "deviated"
    assert finding(run(ALL_ALONG, stretch(31, 37)), "all along").verdict == "deviated"


@pytest.mark.parametrize(
    ("probe", "looks", "verdict"),
    [
        (BACK, stretch(16, 32), "confirmed"),
        (BACK, stretch(16, 34), "deviated"),
        (BACK, stretch(16, 30) | stretch(33, 38), "deviated"),
        (BACK, dict.fromkeys(range(27, 40)), "inconclusive"),
        (replace(BACK, minimum="0.99x baseline", unit="", signal=None), stretch(16, 34), "deviated"),
        (replace(BACK, minimum="0.99x baseline", unit="", signal=None), stretch(16, 32), "confirmed"),
    ],
)
def test_eventually_is_met_so_long_after_the_undo_and_stays_met(probe, looks, verdict):
    assert finding(run(probe, looks), "within 6s of the undo").verdict == verdict


def test_a_probe_is_judged_at_no_other_moment_than_it_says():
    away = {"fault": read((BAD,), 27), "recovery": read((BAD,), 40)}
    only_before = run(replace(AVAILABILITY, judged=("before",)), stretch(16, 40), **away)
    found = [*steady.findings(only_before), *steady.recovered(only_before)]
    assert not [one for one in found if "availability" in one.question + one.answer]


def test_what_says_nothing_is_judged_while_the_fault_is_on_and_afterwards():
    assert finding(run(AVAILABILITY, {}, fault=read((BAD,), 27)), "availability hold").verdict == "deviated"
    assert finding(run(AVAILABILITY, {}, recovery=read((BAD,), 40)), "come back").verdict == "deviated"


# --- every series -----------------------------------------------------------------------------------------------------


def test_the_worst_series_is_judged_and_named_by_its_labels():
    fault = read((GOOD, BAD, 0.7), 27, "a", "b", "c")
    found = finding(run(AVAILABILITY, {}, fault=fault), "availability hold")
    assert (found.verdict, found.answer) == ("deviated", 'no: 50.0% (group="b") while the fault was on (min 99%)')
    found = finding(run(AVAILABILITY, {}, recovery=fault), "come back")
    assert found.answer == 'no: availability 50.0% (group="b") (min 99%)'
    looks = {second: read((GOOD, BAD), second, "a", "b") for second in range(18, 25)}
    assert 'at worst 50.0% (group="b")' in finding(run(ALL_ALONG, looks), "all along").answer


def test_a_multiple_of_the_baseline_is_one_of_the_same_series_own_baseline():
    probe = replace(AVAILABILITY, minimum=None, maximum="2x baseline", unit="s", signal="latency")
    baseline = read((0.1, 0.4), 16, "fast", "slow")
    held = run(probe, {}, baseline=baseline, fault=read((0.15, 0.7), 27, "fast", "slow"))
    assert finding(held, "hold").verdict == "confirmed"
    hurt = finding(run(probe, {}, baseline=baseline, fault=read((0.3, 0.7), 27, "fast", "slow")), "hold")
    assert (hurt.verdict, hurt.evidence["series"]) == ("deviated", 'group="fast"')


@pytest.mark.parametrize(("rule", "verdict"), [("inconclusive", "inconclusive"), ("zero", "deviated")])
@pytest.mark.parametrize("gone", [read((GOOD,), 27, "a"), read((GOOD, float("nan")), 27, "a", "b")])
def test_a_series_that_is_gone_is_what_the_probes_rule_for_missing_data_says(gone, rule, verdict):
    probe = replace(AVAILABILITY, when_missing=rule)
    both = read((GOOD, GOOD), 16, "a", "b")
    found = finding(run(probe, {}, baseline=both, fault=gone), "hold")
    assert found.verdict == verdict
    assert 'group="b"' in found.answer
    assert finding(run(probe, {}, baseline=both, recovery=gone), "come back").verdict == verdict


@pytest.mark.parametrize(("rule", "verdict"), [("inconclusive", "inconclusive"), ("zero", "deviated")])
def test_missing_data_is_what_the_probes_rule_says_at_every_look(rule, verdict):
    empty = {second: read((), second) for second in range(18, 25)}
    assert finding(run(replace(ALL_ALONG, when_missing=rule), empty), "all along").verdict == verdict
    late = {second: read((), second) for second in range(27, 41)}
    assert finding(run(replace(BACK, when_missing=rule), late), "of the undo").verdict == verdict


def test_a_probe_without_a_window_is_as_bad_as_its_worst_look_under_the_fault_and_open_where_nobody_looked():
    probe = replace(AVAILABILITY, windowed=False)
    assert finding(run(probe, {}), "hold").verdict == "confirmed"
    assert finding(run(probe, stretch(20, 20)), "hold").verdict == "deviated"
    assert finding(run(probe, dict.fromkeys(range(17, 25))), "hold").verdict == "inconclusive"


# --- worse data is never better ---------------------------------------------------------------------------------------

MODES = (
    ALL_ALONG,
    replace(ALL_ALONG, windowed=False),
    replace(ALL_ALONG, when_missing="zero"),
    RELATIVE,
    BACK,
    replace(BACK, when_missing="zero"),
)
VALUES = st.sampled_from([GOOD, 0.992, 0.985, 0.9, BAD, 0.0])
GROUPS = ("a", "b")


@st.composite
def histories(draw: st.DrawFn) -> tuple[PlannedProbe, dict[int, ProbeReading | None], dict[str, ProbeReading]]:
    """A probe in some mode, what each look read, and what each phase did: two groups, mostly well."""
    probe = draw(st.sampled_from(MODES))
    bad = draw(st.lists(st.tuples(st.integers(6, 40), st.integers(0, 9), VALUES), max_size=3))
    looks: dict[int, ProbeReading | None] = {second: read((GOOD, GOOD), second, *GROUPS) for second in SECONDS}
    for first, length, value in bad:
        looks |= {second: read((GOOD, value), second, *GROUPS) for second in range(first, min(41, first + length))}
    windows = {phase: read((GOOD, draw(VALUES)), at, *GROUPS) for phase, at in (("fault", 27), ("recovery", 40))}
    return probe, looks, windows | {"baseline": read((GOOD, GOOD), 16, *GROUPS)}


def verdicts(probe: PlannedProbe, looks: dict[int, ProbeReading | None], windows: dict[str, ProbeReading]) -> list[int]:
    """How bad each finding on availability is; their number depends on the probe alone."""
    of = run(probe, looks, **windows)
    found = [*steady.findings(of), *steady.recovered(of)]
    return [ORDER.index(one.verdict) for one in found if "accuracy" not in one.question]


def spoilt(reading: ProbeReading, data: st.DataObject) -> ProbeReading:
    return replace(
        reading, values=tuple(value * data.draw(st.sampled_from([1.0, 1.0, 0.98, 0.5])) for value in reading.values)
    )


@settings(max_examples=examples(20), deadline=None)
@given(histories(), st.data())
def test_worse_values_never_improve_a_finding(history, data):
    probe, looks, windows = history
    worse = {second: spoilt(one, data) for second, one in looks.items() if one is not None}
    later = {phase: one if phase == "baseline" else spoilt(one, data) for phase, one in windows.items()}
    before, after = verdicts(probe, looks, windows), verdicts(probe, worse, later)
    assert all(now >= then for then, now in zip(before, after, strict=True)), (before, after)


@settings(max_examples=examples(10), deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_less_harm_never_makes_a_harm_seen(one, other):
    """Of what a fault is meant to break, the better data is the worse one: the fault was too weak to test anything."""

    def verdict(value: float) -> str:
        of = run(AVAILABILITY, {}, fault=read((value,), 27))
        of.plan = replace(of.plan, harms=("availability",), holds=())
        return finding(of, "harm availability").verdict

    harder, weaker = sorted((one, other))
    assert ORDER.index(verdict(weaker)) >= ORDER.index(verdict(harder))


def lost(reading: ProbeReading, data: st.DataObject) -> ProbeReading:
    match data.draw(st.sampled_from(["whole", "whole", "series", "nan", "events"])):
        case "series":
            return replace(reading, values=reading.values[:1], labels=reading.labels[:1])
        case "nan":
            return replace(reading, values=(reading.values[0], float("nan")))
        case "events":
            return replace(reading, count=None)
        case _:
            return reading


@settings(max_examples=examples(20), deadline=None)
@given(histories(), st.data())
def test_readings_that_are_lost_never_make_a_finding_pass(history, data):
    """What spoke against the system may be lost, and then nobody can tell: but nothing is confirmed that was not."""
    probe, looks, windows = history
    if not probe.windowed:
        return  # while the fault is on, it is judged by single looks: what one of them saw is lost with it
    kept = {second: (data.draw(st.booleans()) and one) or None for second, one in looks.items()}
    kept = {second: lost(one, data) if one is not None else None for second, one in kept.items()}
    later = {phase: one if phase == "baseline" else lost(one, data) for phase, one in windows.items()}
    before, after = verdicts(probe, looks, windows), verdicts(probe, kept, later)
    assert all(now > 0 or then == 0 for then, now in zip(before, after, strict=True)), (before, after)
