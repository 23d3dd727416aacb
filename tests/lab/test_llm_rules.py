"""The alert rules of the lab's language model: silent at baseline by four standard errors, each fired by its own fault alone."""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Mapping
from importlib.resources import files
from math import sqrt
from pathlib import Path

import pytest
import yaml

from chaos.lab import assistant, llm_text
from chaos.lab.llm_gateway import SECONDS, TOKEN_SECONDS
from chaos.lab.monitoring import Tools
from chaos.promql import left_side
from chaos.units import parse_duration
from tests.lab.promtool import Expected, World, check

RULES_FILE = Path(str(files("chaos.lab") / assistant.RULES))
RULES = {rule["alert"]: rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]}
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
PROMPTS = list(llm_text.prompts())
RATE_PER_S = 20.0
SHARE = {
    kind: sum(row["kind"] == kind for row in PROMPTS) / len(PROMPTS)
    for kind in ("question", "rating", "tool", "neighbours")
}
ANSWERS = [llm_text.answered(row["prompt"]) for row in PROMPTS if row["kind"] == "question"]
TOKENS = statistics.mean(len(llm_text.tokens(answer)) for answer in ANSWERS)
STANDARD_ERRORS = 4.0
NEVER = 0.003
"""The share that something may have which was not seen in 1,000 (the rule of three)."""
PER_S = {
    "LlmAvailabilityLow": 1.0, "LlmTokensSlow": SHARE["question"] * (TOKENS - 1), "LlmSchemaInvalid": SHARE["rating"],
    "LlmToolCallsInvalid": SHARE["tool"], "LlmEmbeddingsOff": SHARE["neighbours"], "LlmUsageMismatch": SHARE["question"] * TOKENS,
}  # fmt: skip
"""What a rule counts, for each request; a question where nothing else is said."""
QUANTILES = {"LlmFirstTokenSlow": SECONDS, "LlmTokensSlow": TOKEN_SECONDS}


def events(alert: str) -> float:
    """How many there are of what the rule counts, in its window at the lab's rate."""
    (window,) = set(re.findall(r"\[(\w+)\]", RULES[alert]["expr"]))
    return RATE_PER_S * parse_duration(window) * PER_S.get(alert, SHARE["question"])


def threshold(alert: str) -> float:
    """The number that the rule's first comparison is with."""
    found = left_side(RULES[alert]["expr"])
    assert found is not None
    assert found.threshold is not None
    return found.threshold


def distance(alert: str) -> float:
    """Standard errors between where the rule's left side stays without a fault, and where it fires.

    What the lab's model never does is assumed to happen in NEVER of all answers: |t - p| / sqrt(p (1 - p) / n).
    """
    if alert == "LlmLengthShifted":
        spread = statistics.stdev(map(len, ANSWERS)) / sqrt(events(alert))
        mean = statistics.mean(map(len, ANSWERS))
        centre = float(re.search(r"- (\d+)\n", RULES[alert]["expr"])[1])  # type: ignore[index]
        return (threshold(alert) - abs(mean - centre)) / spread
    if alert == "LlmUsageMismatch":  # the model counts as the gateway does; one answer in NEVER might count as nothing
        return threshold(alert) / (NEVER / sqrt(events(alert) / TOKENS) + NEVER)
    if alert in QUANTILES:  # a 95 % quantile above a bucket's bound is a share of more than 5 % above it
        assert threshold(alert) in QUANTILES[alert]
        limit = 0.05
    else:
        limit = 1 - threshold(alert) if alert == "LlmAvailabilityLow" else threshold(alert)
    return abs(limit - NEVER) / sqrt(NEVER * (1 - NEVER) / events(alert))


@pytest.mark.parametrize("alert", RULES)
def test_every_rule_keeps_four_standard_errors_between_baseline_and_threshold(alert: str) -> None:
    assert distance(alert) >= STANDARD_ERRORS


@pytest.mark.parametrize("alert", RULES)
def test_the_least_number_of_events_is_reached_with_certainty_at_the_labs_rate(alert: str) -> None:
    least = float(RULES[alert]["expr"].rpartition("> ")[2])
    assert (events(alert) - least) / sqrt(events(alert)) >= STANDARD_ERRORS


@pytest.mark.parametrize("name", ["slow-first-token", "cut-stream", "invalid-json"])
def test_the_shipped_experiments_send_what_the_rules_were_made_for(name: str) -> None:
    load = yaml.safe_load((EXPERIMENTS / f"{name}.yaml").read_text())["load"]
    assert load["rate"] == f"{RATE_PER_S:g}/s"


def test_promtool_accepts_the_rules(tools: Tools) -> None:
    argv = [str(tools.promtool), "check", "rules", str(RULES_FILE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


def test_every_rule_says_whom_it_tells_and_what() -> None:
    for rule in RULES.values():
        assert rule["labels"]["service"] == "llm"
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def series(**changed: str) -> list[tuple[str, str]]:
    """A healthy language model, a sample a second, with some series changed."""

    def sample(name: str, **labels: str) -> str:
        told = {"job": "llm-gateway", **labels}
        inside = ", ".join(f'{key}="{value}"' for key, value in told.items())
        return f"{name}{{{inside}}}"

    checks = {
        "refusal": 12,
        "language": 12,
        "garbage": 12,
        "repetition": 12,
        "model": 12,
        "schema": 4,
        "tool_call": 2,
        "neighbour": 2,
    }
    healthy = {
        "ok": (sample("ml_requests_total", code="200"), "0+20x200"),
        "failed": (sample("ml_requests_total", code="502"), "0x200"),
        "stop": (sample("llm_finish_reasons_total", reason="stop"), "0+12x200"),
        "length": (sample("llm_finish_reasons_total", reason="length"), "0x200"),
        "none": (sample("llm_finish_reasons_total", reason="none"), "0x200"),
        "characters": (sample("llm_answer_characters_sum"), "0+1536x200"),
        "answers": (sample("llm_answer_characters_count"), "0+12x200"),
        "said": (sample("llm_answer_tokens_total", by="model"), "0+348x200"),
        "counted": (sample("llm_answer_tokens_total", by="gateway"), "0+348x200"),
    }
    for key, name, bound, many in (
        ("first", "llm_first_token_seconds", "0.5", 12),
        ("gap", "llm_token_gap_seconds", "0.1", 336),
        ("longest", "llm_longest_gap_seconds", "1.0", 12),
    ):
        healthy[key] = sample(f"{name}_bucket", le=bound), f"0+{many}x200"
        healthy[f"{key}_slow"] = sample(f"{name}_bucket", le="10.0"), f"0+{many}x200"
        healthy[f"{key}_all"] = sample(f"{name}_bucket", le="+Inf"), f"0+{many}x200"
        healthy[f"{key}_count"] = sample(f"{name}_count"), f"0+{many}x200"
    for name, many in checks.items():
        healthy[f"{name}_pass"] = sample("llm_checks_total", check=name, result="pass"), f"0+{many}x200"
        healthy[f"{name}_fail"] = sample("llm_checks_total", check=name, result="fail"), "0x200"
    assert set(changed) <= set(healthy)
    return [(name, changed.get(key, values)) for key, (name, values) in healthy.items()]


FAULTS: Mapping[str, Mapping[str, str]] = {
    "LlmAvailabilityLow": {"ok": "0+19x200", "failed": "0+1x200"},
    "LlmFirstTokenSlow": {"first": "0+11x200"},
    "LlmTokensSlow": {"gap": "0+310x200"},
    "LlmStreamsStall": {"longest": "0+11x200"},
    "LlmAnswersUnfinished": {"stop": "0+11x200", "none": "0+1x200"},
    "LlmAnswersTruncated": {"stop": "0+11x200", "length": "0+1x200"},
    "LlmRefusalsHigh": {"refusal_pass": "0+11x200", "refusal_fail": "0+1x200"},
    "LlmLanguageWrong": {"language_pass": "0+11x200", "language_fail": "0+1x200"},
    "LlmTextGarbled": {"garbage_pass": "0+11x200", "garbage_fail": "0+1x200"},
    "LlmTextRepetitive": {"repetition_pass": "0+11x200", "repetition_fail": "0+1x200"},
    "LlmSchemaInvalid": {"schema_pass": "0+3x200", "schema_fail": "0+1x200"},
    "LlmToolCallsInvalid": {"tool_call_pass": "0+1x200", "tool_call_fail": "0+1x200"},
    "LlmModelMismatch": {"model_pass": "0+11x200", "model_fail": "0+1x200"},
    "LlmEmbeddingsOff": {"neighbour_pass": "0+1x200", "neighbour_fail": "0+1x200"},
    "LlmLengthShifted": {"characters": "0+1400x200"},
    "LlmUsageMismatch": {"said": "0+400x200"},
}
"""Alert → a small change of a healthy model that should fire it."""
FIRING = 'count by (alertname) (ALERTS{alertstate="firing"})'


def test_a_healthy_language_model_is_silent_and_an_idle_one_too(tools: Tools, tmp_path: Path) -> None:
    idle = [(name, "0x200") for name, _ in series()]
    worlds = [
        World(name, "1s", given, [Expected(FIRING, at, {}) for at in ("5s", "40s", "160s")])
        for name, given in (("healthy", series()), ("idle", idle))
    ]
    assert check(tools, tmp_path, worlds, RULES_FILE) == ""


def test_every_rule_fires_on_its_own_fault_and_no_other_does(tools: Tools, tmp_path: Path) -> None:
    assert set(FAULTS) == set(RULES)
    worlds = [
        World(alert, "1s", series(**changed), [Expected(FIRING, "160s", {f'{{alertname="{alert}"}}': 1})])
        for alert, changed in FAULTS.items()
    ]
    assert check(tools, tmp_path, worlds, RULES_FILE) == ""
