"""Which fault should make a rule fire, by what the rule reads. A table of clues; each gives points and its reason. Pure.

A word counts most where it cannot be chance: in the name of a metric or the value of a label, then in the alert's own name, then in the
metric's help text, and least in a sentence for people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chaos.first_steps.rule_reading import RuleReading

PLACES: Mapping[str, float] = {"text": 5.0, "name": 3.0, "help": 2.0, "summary": 1.0}
"""Where a word stands → how much it counts."""
SAID = {
    "text": "its metrics say",
    "name": "its name says",
    "help": "the metric's help text says",
    "summary": "its summary says",
}
SURE, LIKELY = 8.0, 4.0
"""From so many points on a guess is called sure, or likely."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One fault that may make the rule fire, with its points and why."""

    fault: str
    points: float
    reasons: tuple[str, ...]

    @property
    def how_sure(self) -> str:
        """`sure`, `likely` or `a guess`."""
        return "sure" if self.points >= SURE else "likely" if self.points >= LIKELY else "a guess"


@dataclass(frozen=True, slots=True)
class Clue:
    """Points for a fault where these words stand, where the rule has this shape, and where it fires in this direction.

    `least` is what a rule must reach by words alone; `without` are words that speak against it.
    """

    fault: str
    words: str = ""
    shapes: tuple[str, ...] = ()
    bonus: float = 0.0
    says: str = ""
    low: bool | None = None
    without: str = ""


_LATENCY = r"\b(latency|duration|seconds|response time|elapsed|millis\w*|ms)\b"
_LABELS = r"\b(feedback|labels?|outcomes?|ground truth)\b"
_TEXT = r"\b(llm|token|prompt|answer|completion|chat|generation|vllm|text)s?\b"

CLUES: tuple[Clue, ...] = (
    # --- monitoring itself
    Clue("scrape_loss", shapes=("absent",), bonus=10, says="it fires when its series are gone"),
    Clue("frozen_metrics", r"\b(exposed|exported|export|scraped?|pushed|push)\b", ("age",), 5, "it asks how old its metrics are"),
    Clue("alert_delivery_loss", r"\b(notifications?|webhooks?)\b.*\bfail\w*", bonus=6, says="it counts notifications that fail"),
    # --- containers
    Clue("kill", r"^up\b|^up$", ("plain", "ratio"), 8, "it reads `up`, which is 0 when a replica does not answer", without=_TEXT),
    Clue("restart", r"\b(process start time|restarts?|restarted)\b", ("changes", "plain", "ratio"), 4, "it sees that a process has begun anew"),
    Clue("cpu_limit", r"\bthrottled\b", bonus=5, says="it reads how long a container waits for its processor"),
    Clue("cpu_stress", r"\bcpu\b", bonus=2, says="it reads processor time"),
    Clue("memory_stress", r"\b(memory|rss|working set|resident)\b", bonus=3, says="it reads memory"),
    Clue("disk_fill", r"\b(fs|disk|filesystem|volume)\b", bonus=4, says="it reads how full a disk is"),
    Clue("network_delay", r"\b(network|packets?|tcp)\b", bonus=1, says="it reads the network"),
    # --- labels
    Clue("label_delay", _LABELS + r".*\b(age|delay|late|lag|latency)\b", ("share above", "quantile", "plain", "ratio"), 6, "it asks how late true outcomes come"),
    Clue("label_loss", _LABELS, ("age",), 6, "it asks when the last true outcome came"),
    Clue("label_loss", r"\b(missing|lost|join|coverage)\b.*" + _LABELS + "|" + _LABELS + r".*\b(missing|lost|join|coverage|decisions?|predictions? total)\b", ("ratio",), 4, "it compares true outcomes with decisions", low=True),
    # --- quality
    Clue("wrong_predictions", r"\b(accuracy|correct|precision|recall|f1|auc|error rate of predictions|wrong|mispredict\w*)\b", bonus=3, says="it reads how often the model is right", without=r"\bcalibration\b"),
    Clue("biased_outputs", shapes=("gap",), bonus=9, says="it compares two groups"),
    Clue("biased_outputs", r"\b(fairness|parity|disparate|disparity|bias|demographic|equal opportunity)\b", bonus=5, says="it is about fairness"),
    Clue("miscalibrated", r"\b(calibration|calibrated|brier|ece)\b", bonus=6, says="it compares scores with outcomes"),
    Clue("class_collapse", r"\b(decision|class|predicted|label|prediction)\b.*\b(approve\w*|reject\w*|positive|fraud|block\w*|accept\w*|share|rate)\b", ("ratio", "plain"), 1, "it reads the share of one decision, and fires when that grows", low=False, without=_TEXT + r"|\b(fallback|source|feedback|calibration|feature|repeats?|attempts?)\b"),
    Clue("label_shift", r"\b(decision|class|predicted|label|prediction)\b.*\b(approve\w*|reject\w*|positive|fraud|block\w*|accept\w*|share|rate)\b", ("ratio", "plain"), 1, "it reads the share of one decision, and fires when that shrinks", low=True, without=_TEXT + r"|\b(fallback|source|feedback|calibration|feature|repeats?|attempts?)\b"),
    Clue("frozen_predictions", r"\b(repeats?|repeated|stuck|same|identical|constant|frozen)\b", bonus=4, says="it sees the same answers again and again", without=_TEXT),
    Clue("nan_scores", r"\b(contract|nan|not a number|invalid score|out of range|violations?)\b", bonus=4, says="it counts answers that no sound model gives", without=r"\b(schema|json)\b"),
    Clue("stale_model", r"\b(version|stale|rollout|deployed)\b", bonus=3, says="it reads the model's version", without=_LABELS),
    # --- inputs and drift
    Clue("score_shift", r"\b(scores?|predictions?|output|probability)\b.*\b(distribution|shift\w*|drift|psi|bucket|mean|histogram)\b|\b(drift|psi)\b.*\b(scores?|predictions?|outputs?)\b", bonus=4, says="it reads how scores are distributed", without=r"\b(feature|input)\b"),
    Clue("covariate_shift", r"\b(drift|psi|population stability|ks|wasserstein|jensen|kl|distribution|shift)\b", bonus=2, says="it reads how inputs are distributed", without=r"\b(scores?|predictions?|outputs?|probability|duration|latency|answer|characters)\b"),
    Clue("covariate_shift", r"\b(features?|inputs?)\b.*\b(values|drift|distribution|mean|stddev|quantile)\b", bonus=2, says="it reads the values of features", without=r"\b(missing|null|nan|unseen|unknown)\b"),
    Clue("missing_feature", r"\b(feature|input|column)s?\b.*\b(missing|null|nan|nulls)\b|\b(missing|null)\b.*\b(feature|input|column|value)s?\b", bonus=6, says="it counts features that are missing"),
    Clue("unseen_category", r"\b(unseen|oov|out of vocabulary|unknown (category|value|categories))\b", bonus=6, says="it counts values that are like none in training"),
    Clue("schema_change", r"\b(400|422|4\.\.|4xx|bad request|validation|schema)\b", bonus=3, says="it counts requests that the model refuses", without=_TEXT),
    # --- errors
    Clue("rate_limit", r"\b(429|rate limit\w*|too many)\b", bonus=6, says="it counts requests that were limited"),
    Clue("fail_first_n", r"\b(attempts?|retry|retries|retried)\b", bonus=4, says="it counts calls that a retry may hide"),
    Clue("http_error", r"\b(5\.\.|5xx|500|502|503|errors?|failures?|failed|failing|exceptions?|unsuccessful|crit)\b", bonus=3, says="it counts failures", without=r"\b(notifications?|attempts?|schema|checks?|tool|absolute|squared|calibration|reconstruction|prediction error|forecast)\b|" + _LABELS),
    Clue("http_error", r"\b(availability|success|successful|success rate|slo)\b", bonus=4, says="it reads the share of requests that succeed", low=True),
    Clue("http_error", r"\b(fallbacks?|degraded|circuit)\b", bonus=4, says="it counts answers that did not come from the model", without=r"\b(attempts?|retr\w+)\b"),
    # --- time
    Clue("delay", _LATENCY, ("quantile",), 5, "it reads a high quantile of a duration", without=r"\b(token|gap)s?\b|" + _LABELS),
    Clue("delay", _LATENCY, ("ratio", "plain"), 1, "it reads a duration", without=r"\b(cpu|token|gap|start time|timestamp|bytes)s?\b|" + _LABELS),
    Clue("slow_tail", _LATENCY, ("share above",), 5, "it reads the share of requests that are slower than a bound", without=r"\b(token|gap)s?\b|" + _LABELS),
    # --- language models
    Clue("slow_first_token", r"\b(first token|ttft|time to first)\b", bonus=8, says="it reads the time to the first token"),
    Clue("slow_tokens", r"\b(token gap|inter token|per output token|tpot|itl|tokens per second|token latency)\b", bonus=7, says="it reads the time between tokens"),
    Clue("stalled_stream", r"\b(longest gap|stall\w*|silent)\b", bonus=7, says="it reads how long streams fall silent"),
    Clue("cut_stream", r"\bfinish\w* reasons?\b.*\b(none|abort\w*|error|cancel\w*)\b|\b(unfinished|incomplete)\b", bonus=6, says="it counts answers that end without a finish reason"),
    Clue("truncated_answer", r"\bfinish\w* reasons?\b.*\blength\b|\btruncated\b", bonus=6, says="it counts answers that ran out of tokens"),
    Clue("truncated_answer", r"\b(answer|completion|response|output)s? (characters|length|tokens)\b", bonus=2, says="it reads how long answers are", without=r"\b(first token|per output token|time)\b"),
    Clue("refusal", r"\b(refus\w+|declin\w+)\b", bonus=6, says="it counts refusals", without=r"\b(model requests|400)\b"),
    Clue("wrong_language", r"\blanguages?\b(?! model)", bonus=6, says="it reads the language of answers"),
    Clue("scrambled_text", r"\b(garbage|garbled|gibberish)\b", bonus=7, says="it counts texts that are no words"),
    Clue("repetition", r"\b(repetition|repetitive)\b", bonus=7, says="it counts texts that repeat themselves"),
    Clue("invalid_json", r"\b(schema|json)\b.*\b(fail|invalid|error)\w*\b|\b(invalid|fail)\w*\b.*\bjson\b|\bchecks?\b.*\b(schema|json)\b", bonus=6, says="it counts answers in JSON that are not what was asked for"),
    Clue("broken_tool_call", r"\b(tool|function) calls?\b", bonus=7, says="it counts tool calls"),
    Clue("model_downgrade", r"\bmodel (mismatch|match|downgrade\w*)\b|\bcheck model\b", bonus=6, says="it compares the model that answers with the one that was asked for"),
    Clue("embedding_noise", r"\b(embeddings?|neighbours?|neighbors?|cosine|similarity)\b", bonus=6, says="it reads embeddings"),
    Clue("wrong_usage", r"\b(usage|billing)\b|\btokens total by\b", bonus=6, says="it compares token counts", without=r"\b(memory|cpu|disk|cache|gpu)\b"),
)  # fmt: skip


def candidates(reading: RuleReading) -> tuple[Candidate, ...]:
    """Every fault that the clues speak for, the best first; none where nothing fits, or where the rule always fires."""
    if reading.shape == "always":
        return ()
    points: dict[str, float] = {}
    reasons: dict[str, dict[str, None]] = {}
    for clue in CLUES:
        for gained, reason in _speaks(clue, reading):
            points[clue.fault] = points.get(clue.fault, 0.0) + gained
            reasons.setdefault(clue.fault, {})[reason] = None
    found = [Candidate(fault, gained, tuple(reasons[fault])) for fault, gained in points.items()]
    return tuple(sorted(found, key=lambda one: -one.points))


def _speaks(clue: Clue, reading: RuleReading) -> Iterator[tuple[float, str]]:
    if clue.shapes and reading.shape not in clue.shapes:
        return
    if clue.low is not None and clue.low is not reading.low_is_bad:
        return
    if clue.without and re.search(clue.without, f"{reading.text} {reading.name}"):
        return
    found = [(place, match[0]) for place, match in _places(clue, reading)]
    if clue.words and not any(place in ("text", "name") for place, _ in found):
        # What only a sentence for people says is a hint, and nothing of how the rule is built adds to it.
        yield from ((PLACES[place], f"{SAID[place]} `{word}`") for place, word in found)
        return
    if clue.bonus:
        yield clue.bonus, clue.says
    for place, word in found:
        yield PLACES[place], f"{SAID[place]} `{word}`"


def _places(clue: Clue, reading: RuleReading) -> Iterator[tuple[str, re.Match[str]]]:
    for place in PLACES if clue.words else ():
        match = re.search(clue.words, getattr(reading, place))
        if match is not None:
            yield place, match
