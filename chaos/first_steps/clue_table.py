"""The clues: which words and shapes in an alert rule speak for which fault. A table; `chaos.first_steps.clues` reads it. Pure.

A clue is an opinion about how people name things, so each is one line of sense: what it sees, which way, and what speaks against it.
"""

from __future__ import annotations

from dataclasses import dataclass


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
OUTCOMES = r"\b(feedback|labels?|outcomes?|ground truth)\b"
_TEXT = r"\b(llm|token|prompt|answer|completion|chat|generation|vllm|text)s?\b"

_DECISIONS = (
    r"\b(decision|class|predicted|label|prediction)\b.*"
    r"\b(approve\w*|reject\w*|positive|fraud|block\w*|accept\w*|share|rate)\b"
)
_NO_DECISIONS = _TEXT + r"|\b(fallback|source|feedback|calibration|feature|repeats?|attempts?)\b"

CLUES: tuple[Clue, ...] = (
    # --- monitoring itself
    Clue("scrape_loss", shapes=("absent",), bonus=10, says="it fires when its series are gone", without=r"^up\b"),
    Clue(
        "frozen_metrics",
        r"\b(exposed|exported|export|scraped?|pushed|push)\b",
        ("age",),
        5,
        "it asks how old its metrics are",
    ),
    Clue(
        "alert_delivery_loss",
        r"\b(notifications?|webhooks?)\b.*\bfail\w*",
        bonus=6,
        says="it counts notifications that fail",
    ),
    # --- containers
    Clue(
        "kill",
        r"^up\b|^up$",
        ("plain", "ratio"),
        8,
        "it reads `up`, which is 0 when a replica does not answer",
        without=_TEXT,
    ),
    Clue(
        "restart",
        r"\b(process start time|restarts?|restarted)\b",
        ("changes", "plain", "ratio"),
        4,
        "it sees that a process has begun anew",
    ),
    Clue("cpu_limit", r"\bthrottled\b", bonus=5, says="it reads how long a container waits for its processor"),
    Clue("cpu_stress", r"\bcpu\b", bonus=2, says="it reads processor time"),
    Clue("memory_stress", r"\b(memory|rss|working set|resident)\b", bonus=3, says="it reads memory"),
    Clue("disk_fill", r"\b(fs|disk|filesystem|volume)\b", bonus=4, says="it reads how full a disk is"),
    Clue("network_delay", r"\b(network|packets?|tcp)\b", bonus=1, says="it reads the network"),
    # --- labels
    Clue(
        "label_delay",
        OUTCOMES + r".*\b(age|delay|late|lag|latency)\b",
        ("share above", "quantile", "plain", "ratio"),
        6,
        "it asks how late true outcomes come",
    ),
    Clue("label_loss", OUTCOMES, ("age",), 6, "it asks when the last true outcome came"),
    Clue(
        "label_loss",
        r"\b(missing|lost|join|coverage)\b.*"
        + OUTCOMES
        + "|"
        + OUTCOMES
        + r".*\b(missing|lost|join|coverage|decisions?|predictions? total)\b",
        ("ratio",),
        4,
        "it compares true outcomes with decisions",
        low=True,
    ),
    # --- quality
    Clue(
        "wrong_predictions",
        r"\b(accuracy|correct|precision|recall|f1|auc|error rate of predictions|wrong|mispredict\w*)\b",
        bonus=3,
        says="it reads how often the model is right",
        without=r"\bcalibration\b",
    ),
    Clue("biased_outputs", shapes=("gap",), bonus=9, says="it compares two groups"),
    Clue(
        "biased_outputs",
        r"\b(fairness|parity|disparate|disparity|bias|demographic|equal opportunity)\b",
        bonus=5,
        says="it is about fairness",
    ),
    Clue("miscalibrated", r"\b(calibration|calibrated|brier|ece)\b", bonus=6, says="it compares scores with outcomes"),
    Clue(
        "class_collapse",
        _DECISIONS,
        ("ratio", "plain"),
        1,
        "it reads the share of one decision, and fires when that grows",
        low=False,
        without=_NO_DECISIONS,
    ),
    Clue(
        "label_shift",
        _DECISIONS,
        ("ratio", "plain"),
        1,
        "it reads the share of one decision, and fires when that shrinks",
        low=True,
        without=_NO_DECISIONS,
    ),
    Clue(
        "frozen_predictions",
        r"\b(repeats?|repeated|stuck|same|identical|constant|frozen)\b",
        bonus=4,
        says="it sees the same answers again and again",
        without=_TEXT,
    ),
    Clue(
        "nan_scores",
        r"\b(contract|nan|not a number|invalid score|out of range|violations?)\b",
        bonus=4,
        says="it counts answers that no sound model gives",
        without=r"\b(schema|json)\b",
    ),
    Clue(
        "stale_model",
        r"\b(version|stale|rollout|deployed)\b",
        bonus=3,
        says="it reads the model's version",
        without=OUTCOMES,
    ),
    # --- inputs and drift
    Clue(
        "score_shift",
        r"\b(scores?|predictions?|output|probability)\b.*\b(distribution|shift\w*|drift|psi|bucket|mean|histogram)\b|\b(drift|psi)\b.*\b(scores?|predictions?|outputs?)\b",
        bonus=4,
        says="it reads how scores are distributed",
        without=r"\b(feature|input)\b",
    ),
    Clue(
        "covariate_shift",
        r"\b(drift|psi|population stability|ks|wasserstein|jensen|kl|distribution|shift)\b",
        bonus=2,
        says="it reads how inputs are distributed",
        without=r"\b(scores?|predictions?|outputs?|probability|duration|latency|answer|characters)\b",
    ),
    Clue(
        "covariate_shift",
        r"\b(features?|inputs?)\b.*\b(values|drift|distribution|mean|stddev|quantile)\b",
        bonus=2,
        says="it reads the values of features",
        without=r"\b(missing|null|nan|unseen|unknown)\b",
    ),
    Clue(
        "missing_feature",
        r"\b(feature|input|column)s?\b.*\b(missing|null|nan|nulls)\b|\b(missing|null)\b.*\b(feature|input|column|value)s?\b",
        bonus=6,
        says="it counts features that are missing",
    ),
    Clue(
        "unseen_category",
        r"\b(unseen|oov|out of vocabulary|unknown (category|value|categories))\b",
        bonus=6,
        says="it counts values that are like none in training",
    ),
    Clue(
        "schema_change",
        r"(?<!\S)4(\.\.?|xx)(?!\S)|\b(400|422|bad request|validation|schema)\b",
        bonus=3,
        says="it counts requests that the model refuses",
        without=_TEXT,
    ),
    # --- errors
    Clue("rate_limit", r"\b(429|rate limit\w*|too many)\b", bonus=6, says="it counts requests that were limited"),
    Clue(
        "fail_first_n", r"\b(attempts?|retry|retries|retried)\b", bonus=4, says="it counts calls that a retry may hide"
    ),
    Clue(
        "http_error",
        r"(?<!\S)5(\.\.?|xx)(?!\S)|\b(50\d|errors?|failures?|failed|failing|exceptions?|unsuccessful|crit)\b",
        bonus=3,
        says="it counts failures",
        without=r"\b(notifications?|attempts?|schema|checks?|tool|absolute|squared|calibration|reconstruction|prediction error|forecast)\b|"
        + OUTCOMES,
    ),
    Clue(
        "http_error",
        r"\b(availability|success|successful|success rate|slo)\b",
        bonus=4,
        says="it reads the share of requests that succeed",
        low=True,
    ),
    Clue(
        "http_error",
        r"\b(fallbacks?|degraded|circuit)\b",
        bonus=4,
        says="it counts answers that did not come from the model",
        without=r"\b(attempts?|retr\w+)\b",
    ),
    # --- time
    Clue(
        "delay",
        _LATENCY,
        ("quantile",),
        5,
        "it reads a high quantile of a duration",
        without=r"\b(token|gap)s?\b|" + OUTCOMES,
    ),
    Clue(
        "delay",
        _LATENCY,
        ("ratio", "plain"),
        1,
        "it reads a duration",
        without=r"\b(cpu|token|gap|start time|timestamp|bytes)s?\b|" + OUTCOMES,
    ),
    Clue(
        "slow_tail",
        _LATENCY,
        ("share above",),
        5,
        "it reads the share of requests that are slower than a bound",
        without=r"\b(token|gap)s?\b|" + OUTCOMES,
    ),
    # --- language models
    Clue(
        "slow_first_token",
        r"\b(first token|ttft|time to first)\b",
        bonus=8,
        says="it reads the time to the first token",
    ),
    Clue(
        "slow_tokens",
        r"\b(token gap|inter token|per output token|tpot|itl|tokens per second|token latency)\b",
        bonus=7,
        says="it reads the time between tokens",
    ),
    Clue("stalled_stream", r"\b(longest gap|stall\w*|silent)\b", bonus=7, says="it reads how long streams fall silent"),
    Clue(
        "cut_stream",
        r"\bfinish\w* reasons?\b.*\b(none|abort\w*|error|cancel\w*)\b|\b(unfinished|incomplete)\b",
        bonus=6,
        says="it counts answers that end without a finish reason",
    ),
    Clue(
        "truncated_answer",
        r"\bfinish\w* reasons?\b.*\blength\b|\btruncated\b",
        bonus=6,
        says="it counts answers that ran out of tokens",
    ),
    Clue(
        "truncated_answer",
        r"\b(answer|completion|response|output)s? (characters|length|tokens)\b",
        bonus=2,
        says="it reads how long answers are",
        without=r"\b(first token|per output token|time)\b",
    ),
    Clue(
        "refusal", r"\b(refus\w+|declin\w+)\b", bonus=6, says="it counts refusals", without=r"\b(model requests|400)\b"
    ),
    Clue("wrong_language", r"\blanguages?\b(?! model)", bonus=6, says="it reads the language of answers"),
    Clue("scrambled_text", r"\b(garbage|garbled|gibberish)\b", bonus=7, says="it counts texts that are no words"),
    Clue("repetition", r"\b(repetition|repetitive)\b", bonus=7, says="it counts texts that repeat themselves"),
    Clue(
        "invalid_json",
        r"\b(schema|json)\b.*\b(fail|invalid|error)\w*\b|\b(invalid|fail)\w*\b.*\bjson\b|\bchecks?\b.*\b(schema|json)\b",
        bonus=6,
        says="it counts answers in JSON that are not what was asked for",
    ),
    Clue("broken_tool_call", r"\b(tool|function) calls?\b", bonus=7, says="it counts tool calls"),
    Clue(
        "model_downgrade",
        r"\bmodel (mismatch|match|downgrade\w*)\b|\bcheck model\b",
        bonus=6,
        says="it compares the model that answers with the one that was asked for",
    ),
    Clue(
        "embedding_noise",
        r"\b(embeddings?|neighbours?|neighbors?|cosine|similarity)\b",
        bonus=6,
        says="it reads embeddings",
    ),
    Clue(
        "wrong_usage",
        r"\b(usage|billing)\b|\btokens total by\b",
        bonus=6,
        says="it compares token counts",
        without=r"\b(memory|cpu|disk|cache|gpu)\b",
    ),
)
