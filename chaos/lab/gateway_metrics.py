"""What the gateway tells monitoring: traffic, decisions, scores, what outcomes made of them, and how its calls of the model went."""

from __future__ import annotations

import time
from math import isfinite

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from chaos.lab.model_answers import VIOLATIONS, Decision, ModelAnswer

GROUPS = ("white", "black", "hispanic", "other")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 1.5, 2, 5)
AGES_S = (1, 2, 3, 5, 10, 20, 30, 60, 120)
TENTHS = 10
VERSIONS = 20
"""Different model versions that are told apart; what comes after them is `other`: a label is no place for whatever a model says."""


class Metrics:
    """Every label combination exists from the start at 0, so that a rate is never missing; only model versions come as they come."""

    def __init__(self, routes: list[str]) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.requests = Counter("ml_requests", "Requests by status code.", ["code"], registry=registry)
        self.seconds = Histogram(
            "ml_request_duration_seconds", "Time to an answer.", registry=registry, buckets=BUCKETS
        )
        self.decisions = Counter("ml_decisions", "Decisions given.", ["decision", "source", "group"], registry=registry)
        self.scores = Histogram(
            "ml_prediction_score", "The model's probability of approval.", registry=registry,
            buckets=[place / TENTHS for place in range(1, TENTHS + 1)],
        )  # fmt: skip
        self.answers = Counter(
            "ml_model_answers", "The model's answers by its version.", ["version"], registry=registry
        )
        self.violations = Counter(
            "ml_contract_violations", "Answers of the model that no sound model gives.", ["kind"], registry=registry
        )
        self.repeats = Counter("ml_prediction_repeats", "Scores that are exactly the one before.", registry=registry)
        self.feedback = Counter(
            "ml_feedback", "True outcomes against the decision given.", ["outcome", "source"], registry=registry
        )
        self.unmatched = Counter(
            "ml_feedback_unmatched", "Outcomes of decisions that nobody remembers.", registry=registry
        )
        self.last = Gauge("ml_feedback_last_timestamp_seconds", "When the last outcome was joined.", registry=registry)
        self.ages = Histogram(
            "ml_feedback_age_seconds", "Time from a decision to its outcome.", registry=registry, buckets=AGES_S
        )
        self.scored = Counter(
            "ml_calibration_score", "Sum of the scores whose outcome is known, by tenth.", ["tenth"], registry=registry
        )
        self.approved = Counter(
            "ml_calibration_outcome", "How many of those should be approved, by tenth.", ["tenth"], registry=registry
        )
        self.attempts = Counter("ml_upstream_attempts", "Calls of the model.", ["route", "outcome"], registry=registry)
        exposed = Gauge("ml_exposed_timestamp_seconds", "When these metrics were written.", registry=registry)
        exposed.set_function(time.time)
        self.last.set_to_current_time()  # nothing is stale before there was time for anything to come back
        self._versions: set[str] = set()
        self._score: float | None = None
        self._start(routes)

    def _start(self, routes: list[str]) -> None:
        for code in ("200", "400", "500"):
            self.requests.labels(code)
        for source in ("model", "fallback"):
            for outcome in ("correct", "wrong"):
                self.feedback.labels(outcome, source)
            for decision in ("approve", "deny"):
                for group in GROUPS:
                    self.decisions.labels(decision, source, group)
        for route in routes:
            for outcome in ("ok", "error", "timeout", "unreachable"):
                self.attempts.labels(route, outcome)
        for kind in VIOLATIONS:
            self.violations.labels(kind)
        for tenth in range(TENTHS):
            self.scored.labels(str(tenth))
            self.approved.labels(str(tenth))

    def answered(self, answer: ModelAnswer) -> None:
        """An answer of the model, before it becomes a decision."""
        known = answer.version in self._versions or len(self._versions) < VERSIONS
        if known:
            self._versions.add(answer.version)
        self.answers.labels(answer.version if known else "other").inc()
        for kind in answer.violations:
            self.violations.labels(kind).inc()

    def decided(self, decision: Decision, group: str) -> None:
        """A decision, as the applicant of this group gets it."""
        named = "approve" if decision.approved else "deny"
        self.decisions.labels(named, decision.source, group if group in GROUPS else "other").inc()
        if decision.source == "model" and isfinite(decision.score):
            self.scores.observe(decision.score)
            if decision.score == self._score:
                self.repeats.inc()
            self._score = decision.score

    def joined(self, decision: Decision, approved: int, age_s: float) -> None:
        """The true outcome of a decision that was given so long ago."""
        outcome = "correct" if decision.approved == approved else "wrong"
        self.feedback.labels(outcome, decision.source).inc()
        self.last.set_to_current_time()
        self.ages.observe(age_s)
        if decision.source == "model" and 0 <= decision.score <= 1:
            tenth = str(min(int(decision.score * TENTHS), TENTHS - 1))
            self.scored.labels(tenth).inc(decision.score)
            self.approved.labels(tenth).inc(approved)
