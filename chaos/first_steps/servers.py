"""Model servers, told by the names of their metrics: what they are, and which protocol they speak. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """One kind of model server. `protocol` is what `chaos protocols` calls it, or `auto` where it speaks several."""

    name: str
    protocol: str
    metrics: str
    """An expression that one of its metrics' names begins with."""


SERVERS = (
    Server("vLLM", "openai", r"vllm:|vllm_"),
    Server("Text Generation Inference", "openai", r"tgi_"),
    Server("llama.cpp", "openai", r"llamacpp[:_]"),
    Server("SGLang", "openai", r"sglang[:_]"),
    Server("Triton", "oip", r"nv_inference_"),
    Server("MLServer", "oip", r"model_infer_request_|rest_server_request"),
    Server("KServe", "auto", r"request_(predict|preprocess|postprocess)_seconds"),
    Server("TorchServe", "auto", r"ts_inference_"),
    Server("TensorFlow Serving", "kserve-v1", r":tensorflow:"),
    Server("Seldon", "auto", r"seldon_(api|model)_"),
    Server("BentoML", "auto", r"bentoml_"),
    Server("Ray Serve", "auto", r"(ray_)?serve_(deployment|http|num_http)_"),
)  # fmt: skip
"""The first that fits is taken, so the more special come first."""


def recognised(names: Iterable[str]) -> Server | None:
    """The server that declares metrics of these names; None when nobody known does."""
    known = list(names)
    return next((one for one in SERVERS if any(re.match(one.metrics, name) for name in known)), None)
