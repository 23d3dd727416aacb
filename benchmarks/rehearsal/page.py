"""The page docs/rehearsal.md: what a rehearsal is, what it cannot know, and what it was held against. Pure, apart from oracle.json."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks.rehearsal.agreement import FILE as ORACLE
from benchmarks.rehearsal.compared import Compared, Held
from benchmarks.rehearsal.head import HEAD
from benchmarks.rehearsal.speed import Measured


def page(found: Sequence[Compared], speeds: Sequence[Measured]) -> str:
    """The whole page."""
    return "\n".join([HEAD, _live(found), _oracle(), _speed(speeds)])


def _live(found: Sequence[Compared]) -> str:
    if not found:
        return "## Against reality\n\nNot measured yet: `make rehearsals`.\n"
    held = [(one, alert) for one in found for alert in one.alerts]
    agree = [alert.agrees(one.evaluation_s) for one, alert in held]
    inside = [_inside(alert) for _, alert in held if alert.second_s is not None]
    rows = [
        "## Against reality",
        "",
        "Experiments of the catalogue ran twice in one lab (`make rehearsals`). The first run was rehearsed at",
        f"the experiment's own severity, {found[0].scenarios} scenarios; the second run was held against that: the same alerts told, and",
        "each at a time within the band of the 5th to the 95th hundredth, give or take two evaluations. Seconds after the effect.",
        "",
        f"{sum(agree)} of {len(agree)} alerts of {len(found)} faults agree. {sum(inside)} of {len(inside)} that fired did so within the",
        "bare band, in which nine of ten should be. All of it at the severity that was recorded, and for faults that were told of: what a",
        "rehearsal says of smaller severities, and of silence, was held against one sweep alone",
        "([monitoring-coverage.md](monitoring-coverage.md)).",
        "A stated model (`--model`) was held against no live run: it was",
        "tried over a server's stored telemetry, with wrong answers and with a delay.",
        *_blind(held),
        "",
        "| fault | alert | told in | predicted: median [band] | first run | second run | |",
        "|---|---|---|---|---|---|---|",
    ]
    rows += [_row(one, alert) for one, alert in held]
    differ = [(one, alert) for one, alert in held if not alert.agrees(one.evaluation_s)]
    rows += ["", "### Where they differ", "", *(_why(one, alert) for one, alert in differ)] if differ else []
    return "\n".join(rows) + "\n"


TUNED = frozenset(
    [
        "biased_outputs",
        "concept_drift",
        "delay",
        "http_error",
        "kill",
        "label_delay",
        "label_loss",
        "missing_feature",
        "score_shift",
        "slow_first_token",
        "stale_model",
        "wrong_language",
        "wrong_predictions",
        "crash",
    ]
)
"""Faults that the method was mended by, while their pairs were looked at."""


def _blind(held: Sequence[tuple[Compared, Held]]) -> list[str]:
    """How many of those agree that the method was not mended by."""
    blind = [alert.agrees(one.evaluation_s) for one, alert in held if one.name not in TUNED]
    return [
        "",
        f"The method was mended while the pairs of {len(TUNED)} faults were looked at (the last of them is `crash`: a process' start",
        "ran with the clock, so that no restart was ever told of). The others were run afterwards and changed nothing:",
        f"{sum(blind)} of {len(blind)} of their alerts agree.",
    ]


def _row(one: Compared, alert: Held) -> str:
    cells = [
        f"[{one.name}](../experiments/catalogue/{one.name}.yaml)", alert.alert, f"{alert.share:.0%}", alert.band(),
        _at(alert.first_s), _at(alert.second_s), "agrees" if alert.agrees(one.evaluation_s) else "**differs**",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _at(seconds: float | None) -> str:
    return "silent" if seconds is None else f"{seconds:.1f} s"


def _inside(alert: Held) -> bool:
    if alert.second_s is None or alert.earliest_s is None or alert.latest_s is None:
        return False
    return alert.earliest_s <= alert.second_s <= alert.latest_s


def _why(one: Compared, alert: Held) -> str:
    if alert.second_s is None or alert.said == "silent":
        what = f"rehearsal: {alert.said} ({alert.share:.0%}), second run: {_at(alert.second_s)}"
    else:
        off_s = alert.off_s(one.evaluation_s)
        what = f"the second run came {abs(off_s):.1f} s too {'early' if off_s < 0 else 'late'}"
    return f"- `{one.name}`, {alert.alert}: {what}. {one.known or 'Nobody has found out why.'}"


def _oracle() -> str:
    rows = json.loads(ORACLE.read_text()) if ORACLE.is_file() else []
    differ, all_ = (sum(row[name] for row in rows) for name in ("differ", "evaluations"))
    said = (
        f"On {len(rows)} recorded runs, the service's own rules over scenarios at four severities each: {differ} of {all_:,}\n"
        "evaluations differ (`python -m benchmarks.rehearsal oracle`)."
        if rows
        else "On recorded runs: not measured yet (`python -m benchmarks.rehearsal oracle`)."
    )
    return (
        "## Against Prometheus' own unit tests of rules\n\n"
        "`promtool test rules` over the same samples must say at every evaluation that as many alerts fire.\n"
        "tests/app/test_rehearsing.py asks it at every boundary: a value at the threshold, `for` of exactly so many evaluations,\n"
        "`keep_firing_for`, series that vanish and are born, `absent()`, histograms, offsets, chains of recording rules.\n\n"
        f"{said}\n"
    )


def _speed(speeds: Sequence[Measured]) -> str:
    rows = ["## How long it takes", ""]
    if not speeds:
        return "\n".join([*rows, "Not measured yet: `python -m benchmarks.rehearsal speed`."]) + "\n"
    rows += [
        "The same samples, rules and evaluations for both, in turn: medians and ranges, on two cores with other work on them.",
        "",
        "| work | samples | evaluations of rules | `chaos rehearse`'s engine | `promtool test rules` |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {one.name} | {one.samples:,} | {one.evaluations:,} | {_seconds(one.ours_s)} | {_seconds(one.promtool_s)} |"
        for one in speeds
    ]
    return "\n".join(rows) + "\n"


def _seconds(found: Sequence[float]) -> str:
    ordered = sorted(found)
    return f"{ordered[len(ordered) // 2]:.1f} s ({ordered[0]:.1f} – {ordered[-1]:.1f})"
