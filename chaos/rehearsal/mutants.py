"""Rules made worse, one thing at a time: experiments that still pass under one of these do not test that thing. Pure.

Mutation testing (DeMillo, Lipton, Sayward: Hints on test data selection, 1978), with rules as the program and experiments as the tests.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import promql_parser as promql

from chaos.promql_tree import (
    Unwritable,
    changed,
    children,
    duration,
    filters,
    matchers,
    number,
    operator,
    selectors,
    tree,
    walk,
    written,
)
from chaos.statistics import clopper_pearson
from chaos.telemetry import RuleInfo
from chaos.units import format_duration

Kind = Literal["threshold", "for", "window", "selector", "label", "metric"]

FACTOR = 1.5
"""A threshold is so much further away."""
LONGER = 2.0
"""`for` and windows are so much longer."""
RENAMED = "_renamed"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule with one thing made worse. `what` is that thing as it was, `change` says in words what became of it."""

    kind: Kind
    what: str
    change: str
    rule: RuleInfo


def mutants(rule: RuleInfo) -> tuple[Mutant, ...]:
    """Every mutant of this rule, of which none is the rule itself; of an expression that cannot be taken apart only those of `for`
    and of its labels.
    """
    found = [*_longer_for(rule), *_labels(rule)]
    root = tree(rule.expr)
    if root is not None:
        with contextlib.suppress(Unwritable):
            found += [*_thresholds(rule, root), *_windows(rule, root), *_selectors(rule, root), *_metrics(rule, root)]
    return tuple(found)


def _longer_for(rule: RuleInfo) -> Iterator[Mutant]:
    if rule.for_s > 0:
        was, now = (format_duration(round(one)) for one in (rule.for_s, rule.for_s * LONGER))
        yield Mutant("for", was, f"`for: {was}` becomes {now}", replace(rule, for_s=rule.for_s * LONGER))


def _labels(rule: RuleInfo) -> Iterator[Mutant]:
    for name, value in sorted(rule.labels.items()):
        left = {key: one for key, one in rule.labels.items() if key != name}
        yield Mutant("label", f"{name}: {value}", f"the label `{name}: {value}` is dropped", replace(rule, labels=left))


def _thresholds(rule: RuleInfo, root: Any) -> Iterator[Mutant]:
    for place in _makes_fire(root):
        seen = -1
        said: list[tuple[float, float]] = []

        def change(node: Any, wanted: int = place, said: list[tuple[float, float]] = said) -> str | None:
            nonlocal seen
            if not filters(node):
                return None
            seen += 1
            return _laxer(node, said) if seen == wanted else None

        expr = changed(root, change)
        for was, now in said:
            yield Mutant("threshold", f"{was:g}", f"the threshold {was:g} becomes {now:g}", replace(rule, expr=expr))


def _makes_fire(root: Any) -> list[int]:
    """Which of the comparisons, in their order, may move: one right of `unless` that is harder to meet makes the rule fire more."""
    inhibiting = [inhibits for node, inhibits in _with_side(root, inhibits=False) if filters(node)]
    return [place for place, inhibits in enumerate(inhibiting) if not inhibits]


def _with_side(node: Any, *, inhibits: bool) -> Iterator[tuple[Any, bool]]:
    """The node and everything below it, in the order of `walk`, each with whether it stands right of an `unless`."""
    yield node, inhibits
    for place, child in enumerate(children(node)):
        yield from _with_side(child, inhibits=inhibits or (place == 1 and operator(node) == "unless"))


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _laxer(node: Any, said: list[tuple[float, float]]) -> str | None:
    """The comparison with its threshold further away; None, and nothing said, where it has none that can be moved."""
    left, right = number(node.lhs), number(node.rhs)
    if (left is None) == (right is None):
        return None
    was = left if right is None else right
    assert was is not None
    sign = operator(node) if right is not None else _MIRRORED.get(operator(node), "")
    now = _further(was, sign)
    if now is None:
        return None
    said.append((was, now))
    other = changed(node.lhs if right is not None else node.rhs, lambda _: None)
    return f"({other}) {sign} {now:.10g}"


def _further(threshold: float, sign: str) -> float | None:
    """The threshold by FACTOR harder to cross; a share near 1 counts from 1. None where nothing is further: 0, and `==`."""
    if sign in ("<", "<="):
        if 0.5 <= threshold < 1:
            return 1 - (1 - threshold) * FACTOR
        return threshold / FACTOR if threshold > 0 else threshold * FACTOR if threshold < 0 else None
    if sign in (">", ">="):
        return threshold * FACTOR if threshold > 0 else threshold / FACTOR if threshold < 0 else None
    return None


def _windows(rule: RuleInfo, root: Any) -> Iterator[Mutant]:
    windows = {one.range.total_seconds() for one in walk(root) if isinstance(one, promql.MatrixSelector)}
    for window_s in sorted(windows):

        def change(node: Any, window_s: float = window_s) -> str | None:
            if not isinstance(node, promql.MatrixSelector) or node.range.total_seconds() != window_s:
                return None
            inner = node.vector_selector
            if inner.offset is not None or inner.at is not None:
                return None
            return f"{written(inner.name, matchers(inner))}[{duration(window_s * LONGER)}]"

        was, now = duration(window_s), duration(window_s * LONGER)
        yield from _other(rule, changed(root, change), Mutant("window", was, f"the window {was} becomes {now}", rule))


def _selectors(rule: RuleInfo, root: Any) -> Iterator[Mutant]:
    for condition in dict.fromkeys(one for node in selectors(root) for one in matchers(node) if one[0] != "__name__"):

        def change(node: Any, dropped: tuple[str, str, str] = condition) -> str | None:
            if not isinstance(node, promql.VectorSelector):
                return None
            return written(node.name, tuple(one for one in matchers(node) if one != dropped))

        what = written("", (condition,))[1:-1]
        yield from _other(
            rule, changed(root, change), Mutant("selector", what, f"the condition `{what}` is dropped", rule)
        )


def _metrics(rule: RuleInfo, root: Any) -> Iterator[Mutant]:
    for name in dict.fromkeys(node.name for node in selectors(root) if node.name):

        def change(node: Any, name: str = name) -> str | None:
            if not isinstance(node, promql.VectorSelector) or node.name != name:
                return None
            return written(name + RENAMED, matchers(node))

        yield from _other(
            rule, changed(root, change), Mutant("metric", name, f"the metric {name} is called otherwise", rule)
        )


def _other(rule: RuleInfo, expr: str, made: Mutant) -> Iterator[Mutant]:
    root = tree(rule.expr)
    if root is not None and expr != changed(root, lambda _: None) and tree(expr) is not None:
        yield replace(made, rule=replace(rule, expr=expr))


# --- what became of them ----------------------------------------------------------------------------------------------

State = Literal["noticed", "survived"]
MARGIN_S = 1.0
"""A time to ask for lies so far from both; nearer, chance decides."""
NOTICED = 0.5
"""An experiment that fails in more than this share of scenarios notices the mutant."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One mutant: the experiment that notices it best, in what share of scenarios its alert still tells in time, and what would notice
    it where nothing does.
    """

    alert: str
    kind: Kind
    change: str
    state: State
    experiment: str
    told: float
    scenarios: int
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """How one experiment fared under a mutant, and under the rule itself: shares of scenarios told in time, and times."""

    experiment: str
    within_s: float | None
    told: float
    scenarios: int
    median_s: float | None
    usual_latest_s: float | None


def judged(alert: str, mutant: Mutant, seen: tuple[Seen, ...]) -> Judged:
    """What these experiments, one at least, say of the mutant."""
    best = min(seen, key=lambda one: one.told)
    state: State = "noticed" if best.told < NOTICED else "survived"
    advice = "" if state == "noticed" else _advice(mutant, best)
    return Judged(alert, mutant.kind, mutant.change, state, best.experiment, best.told, best.scenarios, advice)


def _advice(mutant: Mutant, seen: Seen) -> str:
    match mutant.kind:
        case "label":
            return f"expect it: `labels: {{{mutant.what}}}` under the alert"
        case "selector":
            return f"hurt only what `{mutant.what}` leaves out, and expect silence (`quiet: true`)"
        case "metric":
            return f"a fault that shows in {mutant.what} alone; the rule tells without it"
        case _:
            return _tighter(seen) or "a smaller severity, at which the rule only just tells (`sweep:` finds it)"


def _tighter(seen: Seen) -> str | None:
    """The time to ask for, where the mutant is slower than the rule ever is; None where it is not."""
    if seen.median_s is None or seen.usual_latest_s is None:
        return None
    between = round((seen.usual_latest_s + seen.median_s) / 2)
    if not seen.usual_latest_s + MARGIN_S <= between <= seen.median_s - MARGIN_S:
        return None
    return f"write `within: {between}s`: the rule tells within {seen.usual_latest_s:.0f}s, the mutant after {seen.median_s:.0f}s"


@dataclass(frozen=True, slots=True)
class MutationReport:
    """Every mutant of the rules that some run at hand speaks of. `untold` maps an alert to why its rule was not mutated."""

    mutants: tuple[Judged, ...]
    experiments: tuple[str, ...]
    untold: dict[str, str]
    scenarios: int
    left_out: tuple[str, ...] = ()
    """Mutants that nothing is said of, each with why, in words."""

    @property
    def score(self) -> float | None:
        """The share of mutants that are noticed; None of none."""
        return sum(one.state == "noticed" for one in self.mutants) / len(self.mutants) if self.mutants else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """What the score may be by chance of which mutants there are: the exact 95 % interval; None of none."""
        count = len(self.mutants)
        return clopper_pearson(count - len(self.survivors), count) if count else None

    @property
    def survivors(self) -> tuple[Judged, ...]:
        """Those that no experiment notices."""
        return tuple(one for one in self.mutants if one.state == "survived")

    def to_json(self) -> str:
        """One object with stable keys."""
        return json.dumps({"score": self.score, "interval": self.interval, **asdict(self)}, indent=2)
