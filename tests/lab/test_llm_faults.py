"""Every fault of language models, in the real proxy between the lab's gateway and its model: each is seen by the measure that is for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from chaos.faults import catalogue
from chaos.lab import llm_text
from tests.drivers.loopback import module
from tests.lab.conftest import Service, service
from tests.proxy.loopback import Proxy, running_proxy

PROMPTS = list(llm_text.prompts())
ASKED = {
    kind: [row for row in PROMPTS if row["kind"] == kind][:8] for kind in ("question", "rating", "tool", "neighbours")
}


@dataclass(frozen=True, slots=True)
class Assistant:
    """A gateway, the proxy behind it, and the model behind that."""

    gateway: Service
    proxy: Proxy

    def hurt(self, run: str, fault: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
        """What changed in the gateway's metrics while every answer of some prompts was hurt, and what the proxy counted."""
        before = self.gateway.metrics()
        self.proxy.arm(
            run, dict(fault), protocol="openai", arms={"traffic": 1.0, "by": "header:x-request-id", "where": None}
        )
        try:
            with ThreadPoolExecutor(8) as people:
                asked = [
                    people.submit(service(self.gateway.url).post, "/assist", row) for row in chain(*ASKED.values())
                ]
            assert all(one.result().status_code == 200 for one in asked)
            counts = self.proxy.state(run)["faults"]["0"]
        finally:
            self.proxy.ask("DELETE", f"/runs/{run}")
        after = self.gateway.metrics()
        return {name: value - before.get(name, 0.0) for name, value in after.items()}, counts


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    folder = tmp_path_factory.mktemp("assistant")
    with ExitStack() as stack:
        ports = stack.enter_context(module("chaos.lab.llm_server", folder=folder))
        port = int(ports["llm-server"].rpartition(":")[2])
        proxy = stack.enter_context(running_proxy(folder, model=port))
        upstream = f"http://127.0.0.1:{proxy.routes['model']}"
        ports = stack.enter_context(module("chaos.lab.llm_gateway", "--upstream", upstream, folder=folder))
        yield Assistant(service(f"http://{ports['llm-gateway']}"), proxy)


def failed(check: str) -> str:
    return f'llm_checks_total{{check="{check}",result="fail"}}'


SEEN: Mapping[str, tuple[Mapping[str, Any], str, int]] = {
    "refusal": ({}, failed("refusal"), 8),
    "truncated_answer": ({"characters": 40}, 'llm_finish_reasons_total{reason="length"}', 8),
    "scrambled_text": ({"letters": 0.7}, failed("language"), 7),
    "repetition": ({}, failed("repetition"), 8),
    "wrong_language": ({}, failed("language"), 8),
    "invalid_json": ({}, failed("schema"), 8),
    "broken_tool_call": ({}, failed("tool_call"), 8),
    "model_downgrade": ({"model": "assistant-mini"}, failed("model"), 8),
    "embedding_noise": ({"noise": 1.0}, failed("neighbour"), 7),
}
"""Fault → its parameters, the series that says so, and how much it grows by at least with every answer hurt."""


@pytest.mark.parametrize("name", SEEN)
def test_a_fault_is_seen_by_the_measure_that_is_for_it_and_no_request_fails(name: str, assistant: Assistant) -> None:
    parameters, measure, least = SEEN[name]
    changed, counts = assistant.hurt(f"run-{name}", {"fault": name, **parameters})
    assert changed[measure] >= least
    assert counts["changed_rows"] >= least
    assert counts["undecodable"] == (8 if name == "embedding_noise" else 0), "it knows no streams, and there are eight"
    assert changed['ml_requests_total{code="200"}'] == sum(map(len, ASKED.values()))
    assert changed['ml_requests_total{code="502"}'] == 0


def test_another_models_answers_are_told_by_their_name(assistant: Assistant, tmp_path: Path) -> None:
    with module("chaos.lab.llm_server", "--model", "assistant-mini", "--alias", "assistant", folder=tmp_path) as ports:
        fault = {"fault": "model_downgrade", "to": f"http://{ports['llm-server']}"}
        changed, counts = assistant.hurt("run-redirect", fault)
    assert changed[failed("model")] == len(ASKED["question"])
    assert counts["injected"] == sum(map(len, ASKED.values()))
    assert changed['ml_requests_total{code="502"}'] == 0


def test_wrong_usage_is_seen_by_who_counts_tokens_and_by_nobody_else(assistant: Assistant) -> None:
    changed, counts = assistant.hurt("run-usage", {"fault": "wrong_usage", "factor": 2})
    assert changed['llm_answer_tokens_total{by="model"}'] == 2 * changed['llm_answer_tokens_total{by="gateway"}'] > 0
    assert counts["changed_rows"] == len(ASKED["question"] + ASKED["rating"] + ASKED["tool"])
    assert not any(value for name, value in changed.items() if 'result="fail"' in name)


@pytest.mark.parametrize("name", ["refusal", "truncated_answer", "scrambled_text", "repetition", "wrong_language"])
def test_token_counts_follow_what_the_person_got(name: str, assistant: Assistant) -> None:
    changed, _ = assistant.hurt(f"run-{name}-tokens", {"fault": name, **SEEN[name][0]})
    ratio = changed['llm_answer_tokens_total{by="model"}'] / changed['llm_answer_tokens_total{by="gateway"}']
    assert 0.8 < ratio < 1.25


def test_without_a_fault_every_check_passes(assistant: Assistant) -> None:
    changed, counts = assistant.hurt("run-nothing", {"fault": "refusal", "share": 0.0})
    assert not any(value for name, value in changed.items() if 'result="fail"' in name or "502" in name)
    assert changed['llm_finish_reasons_total{reason="stop"}'] == len(ASKED["question"])
    assert counts["selected_requests"] == 0


DELIVERED: Mapping[str, tuple[Mapping[str, Any], str, float, str, float]] = {
    "slow_first_token": ({"by": "600ms"}, "llm_first_token_seconds_sum", 4.8, "llm_longest_gap_seconds_sum", 2.4),
    "slow_tokens": ({"by": "60ms"}, "llm_longest_gap_seconds_sum", 0.48, "llm_first_token_seconds_sum", 2.4),
    "stalled_stream": ({"silence": "700ms"}, "llm_longest_gap_seconds_sum", 5.6, "llm_first_token_seconds_sum", 2.8),
    "cut_stream": (
        {"after_events": 9},
        'llm_finish_reasons_total{reason="none"}',
        8,
        "llm_first_token_seconds_sum",
        4.0,
    ),
}
"""Fault → its parameters, what grows by at least how much over eight streams, and what by at most how much."""


@pytest.mark.parametrize("name", DELIVERED)
def test_a_stream_that_comes_otherwise_is_seen_by_the_measure_that_is_for_it(name: str, assistant: Assistant) -> None:
    parameters, measure, least, quiet, most = DELIVERED[name]
    changed, counts = assistant.hurt(f"run-{name}", {"fault": name, **parameters})
    assert changed[measure] >= least
    assert changed[quiet] < most
    assert counts["selected_requests"] == sum(map(len, ASKED.values()))
    assert counts["injected"] >= 8 if name == "cut_stream" else counts["delayed_s"] >= least
    assert changed['ml_requests_total{code="502"}'] == 0


def test_every_fault_of_the_family_has_its_measure() -> None:
    family = {name for name, kind in catalogue().items() if kind.family == "language models"}
    assert family == set(SEEN) | {"wrong_usage"} | set(DELIVERED)
