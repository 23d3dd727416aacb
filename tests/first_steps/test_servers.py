"""Model servers are told by what they really expose."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaos.first_steps.servers import SERVERS, recognised
from chaos.protocols import catalogue

CAPTURES = Path(__file__).parent / "captures"


@pytest.mark.parametrize(("file", "name", "protocol"), [("mlserver", "MLServer", "oip"), ("kserve", "KServe", "auto")])
def test_a_server_is_told_by_its_captured_metrics(file: str, name: str, protocol: str) -> None:
    names = re.findall(r"^# HELP (\S+)", (CAPTURES / f"{file}.prom").read_text(), re.MULTILINE)
    found = recognised(names)
    assert found is not None
    assert (found.name, found.protocol) == (name, protocol)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("vllm:time_to_first_token_seconds", "vLLM"),
        ("nv_inference_request_success", "Triton"),
        (":tensorflow:serving:request_count", "TensorFlow Serving"),
        ("llamacpp:prompt_tokens_total", "llama.cpp"),
    ],
)
def test_a_server_is_told_by_the_names_that_its_documentation_gives(metric: str, name: str) -> None:
    found = recognised(["process_cpu_seconds_total", metric])
    assert found is not None
    assert found.name == name


def test_a_service_of_ones_own_is_no_known_server() -> None:
    assert recognised(["ml_requests_total", "process_cpu_seconds_total"]) is None


def test_every_protocol_is_one_that_the_proxy_knows() -> None:
    assert {server.protocol for server in SERVERS} <= {"auto", *catalogue()}
