"""Asks Prometheus and Alertmanager, read-only, what is known of many alert rules at once.

once: names, declared types, scrape intervals, history of ALERTS, routes, silences ─▶ rounds of questions, many of them in one query
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from chaos.drivers.alertmanager import AlertmanagerDriver
from chaos.drivers.prometheus import PrometheusDriver
from chaos.errors import ChaosError, Unreachable
from chaos.promql_tree import duration, quoted
from chaos.rulecheck.asking import Questions
from chaos.rulecheck.checker import unanswered
from chaos.rulecheck.facts import RuleFacts, Span
from chaos.rulecheck.known import Fired, Known, own_labels
from chaos.telemetry import RuleInfo

AT_ONCE = 4
"""Queries that are asked at the same time: a server may have other things to do."""
LONGEST_QUERY = 3500
"""Characters of one query with many questions; what stands in an address is cut off by some gateways at 8 kB."""
LOOKS = 120
"""Moments of the recording at which an expression is read."""
MOST_LABELS = 20
"""Series whose labels are looked at."""
ROUNDS = 8
"""Of questions; each answers what the one before asked for."""
Found = TypeVar("Found")


@dataclass
class Servers:
    """Whom to ask. `history` stores ALERTS: the server that evaluates the rules."""

    prometheus: PrometheusDriver
    history: PrometheusDriver
    alertmanager: AlertmanagerDriver | None = None


@dataclass
class Asked:
    """The facts of each rule, in the rules' order, and what could not be asked, one sentence each."""

    facts: list[RuleFacts]
    recording_s: float
    """How far back was looked: no further than there is a recording."""
    untold: list[str] = field(default_factory=list)


def ask_about(
    rules: Sequence[RuleInfo],
    servers: Servers,
    *,
    recording_s: float = 3600.0,
    budget_s: float = 30.0,
    closest: bool = False,
) -> Asked:
    """What the servers say of these rules now, and of the last `recording_s` seconds. Nothing is changed.

    Answers within about `budget_s`: what is not answered by then stays unknown, and is said. With `closest`, the first comparison
    of each rule is read over the recording, too. Raises Unreachable when Prometheus does not answer at all.
    """
    until_s = time.monotonic() + budget_s
    servers.prometheus.query("vector(1)")
    untold: list[str] = []
    known = _known(rules, servers, recording_s, until_s, untold)
    facts = [known.facts(rule) for rule in rules]
    asker = _Asker(servers.prometheus, known.recording_s, until_s)
    open_rules = list(range(len(rules)))
    for _ in range(ROUNDS):
        asked = {place: unanswered(rules[place], facts[place], closest=closest) for place in open_rules}
        open_rules = [place for place, questions in asked.items() if questions]
        answers = asker.answer(asked[place] for place in open_rules)
        for place in open_rules:
            facts[place] = _with(facts[place], asked[place], answers)
    if asker.late:
        untold.append(f"not everything was answered within {budget_s:g} s, so that some rules are not fully checked")
    return Asked(facts, known.recording_s, untold)


# --- once, for all rules ----------------------------------------------------------------------------------------------


def _known(rules: Sequence[RuleInfo], servers: Servers, longest_s: float, until_s: float, untold: list[str]) -> Known:

    def told(question: Callable[[], Found], without: str) -> Found | None:
        try:
            if time.monotonic() > until_s:
                raise Unreachable("there was no time left to ask")
            return question()
        except ChaosError as error:
            untold.append(f"{without}: {error}")
            return None

    prometheus = servers.prometheus
    recorded_s = told(lambda: _recorded_s(servers.history, longest_s), "how much is recorded is not known")
    recording_s = max(60.0, recorded_s) if recorded_s is not None else longest_s
    known = Known(recording_s)
    known.names = told(prometheus.metric_names, "names of metrics are not checked")
    known.declared = told(prometheus.declared, "what metrics are declared as is not checked")
    known.target_labels = told(lambda: prometheus.label_names("up"), "labels of targets are not known") or ()
    targets = told(prometheus.targets, "windows are not compared with scrape intervals") or []
    jobs = {target.job for target in targets}
    known.scrape_s = {job: min(one.interval_s for one in targets if one.job == job) for job in jobs}
    known.fired = told(lambda: _fired(rules, servers.history, recording_s), "whether alerts have fired is not known")
    if servers.alertmanager is not None:
        known.route = told(servers.alertmanager.route, "routes are not checked")
        known.integrations = told(servers.alertmanager.integrations, "receivers are not checked") or {}
        known.silences = tuple(told(servers.alertmanager.active_silences, "silences are not checked") or ())
    return known


def _recorded_s(history: PrometheusDriver, longest_s: float) -> float:
    """How much of the last `longest_s` seconds is recorded at all. A young Prometheus has less than it keeps."""
    end = history.now_wall_s()
    start, until = end - longest_s, end
    for _ in range(3):  # each time a hundredth of what it was
        step_s = max(1.0, (until - start) / LOOKS)
        found = history.query_range("count(up or ALERTS)", start, until, step_s)
        oldest = min((at for one in found for at, _ in one.samples), default=None)
        if oldest is None or oldest - step_s <= end - longest_s:
            return longest_s if oldest is not None else 0.0
        start, until = oldest - step_s, oldest
        if step_s <= 1.0:
            break
    return end - until


def _fired(rules: Sequence[RuleInfo], history: PrometheusDriver, recording_s: float) -> tuple[Fired, ...]:
    """Each alert that fired in the recording, and for which share of it.

    Read over steps without gaps between them, so that nothing that fired for a moment is overlooked.
    """
    labels = sorted({name for rule in rules for name in own_labels(rule)} | {"alertname"})
    end, step_s = history.now_wall_s(), math.ceil(max(1.0, recording_s / LOOKS))
    start = end - recording_s + step_s / 2
    firing = 'ALERTS{alertstate="firing"}'

    def over(query: str) -> dict[tuple[tuple[str, str], ...], int]:
        found = history.query_range(query, start, end, step_s)
        return {tuple(sorted(one.labels.items())): len(one.samples) for one in found}

    moments = max(over("count(up or ALERTS)").values(), default=0)
    grouped = f"max by ({', '.join(labels)})"
    while_read = over(f"{grouped} ({firing})")
    ever = over(f"{grouped} (max_over_time({firing}[{duration(step_s)}]))")
    return tuple(Fired(dict(found), _share(while_read.get(found, 0), moments)) for found in ever)


def _share(moments: int, recorded: int) -> float:
    """The share of the recording; something that fired in between two moments counts as a little."""
    return min(1.0, max(moments, 0.5) / recorded) if recorded else 0.0


# --- round by round ---------------------------------------------------------------------------------------------------


@dataclass
class _Answers:
    series: dict[str, int | None] = field(default_factory=dict)
    spans: dict[str, Span | None] = field(default_factory=dict)
    labels: dict[str, tuple[Mapping[str, str], ...] | None] = field(default_factory=dict)


def _with(facts: RuleFacts, asked: Questions, answers: _Answers) -> RuleFacts:
    """The facts with what was asked for this rule."""
    return replace(
        facts,
        series={**facts.series, **{one: answers.series.get(one) for one in asked.series}},
        spans={**facts.spans, **{one: answers.spans.get(one) for one in asked.spans}},
        labels={**facts.labels, **{one: answers.labels.get(one) for one in asked.labels}},
    )


@dataclass
class _Asker:
    """Asks many questions in few queries; remembers the answers, since many rules ask the same."""

    prometheus: PrometheusDriver
    recording_s: float
    until_s: float
    late: bool = False
    _answers: _Answers = field(default_factory=_Answers)

    def answer(self, asked: Iterable[Questions]) -> _Answers:
        """Everything that is asked, and was not before."""
        listed = list(asked)
        found = self._answers
        series = [one for each in listed for one in each.series if one not in found.series]
        spans = [one for each in listed for one in each.spans if one not in found.spans]
        labels = [one for each in listed for one in each.labels if one not in found.labels]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            counted = list(pool.map(self._series, _batches(series, 45)))
            read = list(pool.map(self._spans, _batches(spans, 0, copies=2)))
            looked = list(pool.map(self._labels, dict.fromkeys(labels)))
        for batch in counted:
            found.series.update(batch)
        for between in read:
            found.spans.update(between)
        found.labels.update(looked)
        return found

    def _too_late(self) -> bool:
        self.late = self.late or time.monotonic() > self.until_s
        return self.late

    def _series(self, batch: list[str]) -> dict[str, int | None]:
        """How many series each of these returns."""

        def counts(place: int, one: str) -> str:
            return _named(f"count({one})", str(place))

        def read(place: int, values: Mapping[str, float]) -> int:
            return round(values.get(str(place), 0))

        return self._asked(batch, counts, read)

    def _spans(self, batch: list[str]) -> dict[str, Span | None]:
        """The least and the most of each over the recording."""
        step = duration(math.ceil(max(1.0, self.recording_s / LOOKS)))
        window = f"[{duration(max(60.0, round(self.recording_s)))}:{step}]"

        def ends(place: int, one: str) -> str:
            least = _named(f"min(min_over_time(({one}){window}))", f"{place} least")
            return f"{least} or {_named(f'max(max_over_time(({one}){window}))', f'{place} most')}"

        def read(place: int, values: Mapping[str, float]) -> Span | None:
            return _span(values.get(f"{place} least"), values.get(f"{place} most"))

        return self._asked(batch, ends, read)

    def _asked(
        self, batch: list[str], query: Callable[[int, str], str], read: Callable[[int, Mapping[str, float]], Found]
    ) -> dict[str, Found | None]:
        """The answer to each of these, from one query for all; None for one that is refused, or that there was no time for.

        One that is refused spoils the query for all, so each half is asked again.
        """
        if self._too_late():
            return dict.fromkeys(batch)
        try:
            rows = self.prometheus.query(" or ".join(query(place, one) for place, one in enumerate(batch)))
        except ChaosError:
            if len(batch) == 1:
                return {batch[0]: None}
            middle = len(batch) // 2
            return self._asked(batch[:middle], query, read) | self._asked(batch[middle:], query, read)
        values = {row.labels.get("q", ""): row.samples[-1][1] for row in rows if row.samples}
        return {one: read(place, values) for place, one in enumerate(batch)}

    def _labels(self, expr: str) -> tuple[str, tuple[Mapping[str, str], ...] | None]:
        if self._too_late():
            return expr, None
        try:
            rows = self.prometheus.query(f"topk({MOST_LABELS}, {expr})")
        except ChaosError:
            return expr, None
        return expr, tuple(dict(row.labels) for row in rows)


def _named(query: str, name: str) -> str:
    """The query's one series, with the label `q` that says which it is."""
    return f'label_replace({query}, "q", {quoted(name)}, "", "")'


def _span(least: float | None, most: float | None) -> Span | None:
    if least is None or most is None or not (math.isfinite(least) and math.isfinite(most)):
        return None
    return Span(least, most)


def _batches(exprs: Iterable[str], around: int, copies: int = 1) -> list[list[str]]:
    """The expressions, each once, in lists that fit into one query."""
    batches: list[list[str]] = []
    length = LONGEST_QUERY
    for one in dict.fromkeys(exprs):
        needs = copies * (len(one) + around + 90)
        if length + needs > LONGEST_QUERY:
            batches.append([])
            length = 0
        batches[-1].append(one)
        length += needs
    return batches
