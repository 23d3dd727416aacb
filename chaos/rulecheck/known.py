"""What the servers say of all rules together, and what of it concerns one rule. Pure."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos.promql_tree import Unwritable, matchers, selectors, tree
from chaos.promql_tree import names as names_in
from chaos.routes import ActiveSilence, Route
from chaos.rulecheck.facts import RuleFacts
from chaos.telemetry import RuleInfo

MOST_CANDIDATES = 200
"""Names that are compared letter by letter with one that is not there."""


@dataclass(frozen=True, slots=True)
class Fired:
    """One alert of the recording: its name with the labels of its rule, and in which share of the recording it was firing."""

    labels: Mapping[str, str]
    share: float


@dataclass
class Known:
    """What was asked once, for all rules. None: it could not be asked."""

    recording_s: float = 3600.0
    names: frozenset[str] | None = None
    declared: Mapping[str, frozenset[str]] | None = None
    """Empty where targets are not scraped by this server, so that nobody tells it."""
    target_labels: tuple[str, ...] = ()
    scrape_s: Mapping[str, float] = field(default_factory=dict)
    """Job → the shortest time between two of its scrapes."""
    fired: tuple[Fired, ...] | None = None
    route: Route | None = None
    integrations: Mapping[str, bool] = field(default_factory=dict)
    silences: tuple[ActiveSilence, ...] = ()
    _by_word: dict[str, set[str]] = field(default_factory=dict)

    def facts(self, rule: RuleInfo) -> RuleFacts:
        """What of it concerns this rule."""
        root = tree(rule.expr)
        named = names_in(root) if root is not None else []
        there = {name: name in self.names for name in named} if self.names is not None else {}
        labels = own_labels(rule)
        receivers = self.route.receivers_for(labels) if self.route is not None and self.integrations else frozenset()
        silence = next((one for one in self.silences if one.covers(labels)), None)
        return RuleFacts(
            recording_s=self.recording_s,
            scrape_s=self._scrape_s(rule),
            names=there,
            near={name: self.near(name) for name, found in there.items() if not found},
            types={name: kind for name in named if (kind := type_of(name, self.declared or {})) is not None},
            declares=bool(self.declared),
            target_labels=self.target_labels,
            fired_share=self._fired_share(labels),
            receivers={name: self.integrations.get(name, False) for name in sorted(receivers)},
            silenced=str(silence) if silence is not None else None,
        )

    def _scrape_s(self, rule: RuleInfo) -> float:
        """The shortest scrape interval of the jobs that the rule names, or of all jobs when it names none."""
        root = tree(rule.expr)
        jobs: set[str] = set()
        for selector in selectors(root) if root is not None else ():
            try:
                named = {value for label, sign, value in matchers(selector) if (label, sign) == ("job", "=")}
            except Unwritable:
                named = set()
            jobs |= named if named <= self.scrape_s.keys() and named else set(self.scrape_s)
        return min((self.scrape_s[job] for job in jobs), default=0.0)

    def _fired_share(self, labels: Mapping[str, str]) -> float | None:
        if self.fired is None:
            return None
        return max((one.share for one in self.fired if labels.items() <= one.labels.items()), default=0.0)

    def near(self, name: str) -> tuple[str, ...]:
        """Up to five metrics whose names are like this one, the nearest first; the buckets of a histogram before all."""
        if self.names is None:
            return ()
        buckets = (f"{name}_bucket",) if f"{name}_bucket" in self.names else ()
        candidates = self._candidates(name)
        return tuple(dict.fromkeys((*buckets, *difflib.get_close_matches(name, candidates, n=5, cutoff=0.75))))[:5]

    def _candidates(self, name: str) -> list[str]:
        """The names that share most words with this one: comparing all of a large server's would take seconds."""
        assert self.names is not None
        if len(self.names) <= MOST_CANDIDATES:
            return sorted(self.names)
        if not self._by_word:
            by_word: dict[str, set[str]] = defaultdict(set)
            for one in self.names:
                for word in _words(one):
                    by_word[word].add(one)
            self._by_word = dict(by_word)
        shared = Counter(one for word in _words(name) for one in self._by_word.get(word, ()))
        return [one for one, _ in shared.most_common(MOST_CANDIDATES)]


def _words(name: str) -> set[str]:
    return set(name.replace(":", "_").split("_")) - {""}


def own_labels(rule: RuleInfo) -> dict[str, str]:
    """The labels that every alert of the rule has for certain: its name, and its rule's, without those that are templates."""
    return {"alertname": rule.name, **{name: value for name, value in rule.labels.items() if "{{" not in value}}


_PARTS = {"_bucket": ("histogram",), "_count": ("histogram", "summary"), "_sum": ("histogram", "summary")}


def type_of(name: str, declared: Mapping[str, frozenset[str]]) -> str | None:
    """What the metric is declared as, by its own name or its family's; `unknown` when targets contradict, None when nobody declares it."""
    for suffix in ("", "_total", *_PARTS):
        family = name.removesuffix(suffix)
        kinds = declared.get(family)
        if kinds is None or not name.endswith(suffix):
            continue
        if suffix in _PARTS and kinds.isdisjoint(_PARTS[suffix]):
            continue
        return next(iter(kinds)) if len(kinds) == 1 else "unknown"
    return None
