"""Real and made answers of every protocol, for the promises in test_protocol_contract.py. Whoever adds a protocol adds its answers.

A sample needs at least two rows with different labels, and an output under which the classes are known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.protocols import catalogue
from chaos.protocols.base import Output, Protocol

CAPTURES = Path(__file__).parents[1] / "captures"
_SCALAR = re.compile(rb'("(?:[^"\\]|\\.)*"|[^\s,:\[\]{}"]+)')


def json_pieces(body: bytes, headers: Mapping[str, str]) -> Sequence[bytes]:
    """A JSON text as scalars and what stands between them."""
    del headers
    return _SCALAR.split(body)


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer that its protocol reads, and what it says.

    `pieces` takes bodies apart so that one row's label and each of its scores are pieces of their own; `scores` says whether the
    rows have any. `headers` are the answer's, `request_headers` the request's, both in lower case.
    """

    name: str
    protocol: str
    path: str
    body: bytes
    labels: tuple[Any, ...]
    output: Output = field(default_factory=Output)
    headers: Mapping[str, str] = field(default_factory=dict)
    request_headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Callable[[bytes, Mapping[str, str]], Sequence[bytes]] = json_pieces

    @property
    def speaks(self) -> Protocol:
        """The protocol itself."""
        return catalogue()[self.protocol]


def captured(name: str) -> tuple[str, dict[str, str], bytes]:
    """The path that was asked, the answer's headers in lower case, and its body, of a capture that curl wrote."""
    command, _, answer = (CAPTURES / name).read_bytes().partition(b"\nHTTP/1.1 ")
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    path = "/" + command.decode().split(" ")[2].partition("/")[2]
    return path, headers, body[: int(headers["content-length"])]


def of_capture(name: str, protocol: str, labels: tuple[Any, ...], output: Output) -> Sample:
    """The sample that a capture is."""
    path, headers, body = captured(name)
    return Sample(name, protocol, path, body, labels, output, headers)


_THREE, _TWO, _NAMED = Output(classes=(0, 1, 2)), Output(classes=(0, 1)), Output(classes=("legit", "fraud"))
_V1, _MLFLOW = "/v1/models/fraud:predict", "/invocations"

SAMPLES = [
    of_capture("mlserver/infer.http", "oip", (0, 2), _THREE),
    of_capture("mlserver/infer_proba.http", "oip", (0, 2), _THREE),
    of_capture("kserve/v2_infer.http", "oip", (0, 2), _THREE),
    of_capture("kserve/v1_predict.http", "kserve-v1", (0, 2), _THREE),
    Sample("v1 scores", "kserve-v1", _V1, b'{"predictions": [[0.90, 1e-1], [2.5E-1,0.75]\n]}', (0, 1)),
    Sample("v1 named scores", "kserve-v1", _V1, b'{"predictions":[[0.9,0.1],[0.25,0.75]]}', ("legit", "fraud"), _NAMED),
    Sample(
        "v1 objects", "kserve-v1", _V1,
        b'{ "predictions" : [{"scores":[0.9,0.10],"label":"legit"},{"label":"fr\\u0061ud","scores":[0,1]}], "x": [1.50]}',
        ("legit", "fraud"), _NAMED,
    ),
    Sample(
        "v1 objects by class", "kserve-v1", _V1,
        b'{"predictions":[{"probabilities":{"legit":0.9,"fraud":0.1}},{"probabilities":{"legit":0.30,"fraud":0.7}}]}',
        ("legit", "fraud"),
    ),
    Sample(
        "v1 one score", "kserve-v1", _V1, b'{"predictions":[[0.12],[0.97],[0.930]]}', ("legit", "fraud", "fraud"),
        Output(classes=("legit", "fraud"), positive="fraud", threshold=0.93),
    ),
    Sample(
        "tensorflow columns", "kserve-v1", "/v1/models/fraud/versions/3:predict",
        b'{\n    "outputs": {\n        "class_ids": [[0], [1]],\n        "probabilities": [[0.9, 0.1], [0.25, 0.75]]\n    }\n}',
        (0, 1),
    ),
    Sample("tensorflow one column", "kserve-v1", _V1, b'{"outputs": [[0.9, 0.1], [0.25, 0.75]]}', (0, 1)),
    of_capture("mlflow/split.http", "mlflow", (0, 1), _TWO),
    of_capture("mlflow/proba.http", "mlflow", (0, 1), _TWO),
    Sample("mlflow bare list", "mlflow", _MLFLOW, b"[0, 1,1]\n", (0, 1, 1), _TWO),
    Sample("mlflow decimals", "mlflow", _MLFLOW, b'{"predictions": [0.0, 1.0]}', (0.0, 1.0), _TWO),
    Sample("mlflow truth", "mlflow", _MLFLOW, b'{"predictions": [false, true]}', (False, True), Output(classes=(False, True))),
    Sample("mlflow records", "mlflow", _MLFLOW, b'{"predictions": [{"0": "legit"}, {"0": "fraud"}]}', ("legit", "fraud"), _NAMED),
    Sample(
        "mlflow columns", "mlflow", "/serving-endpoints/fraud/invocations",
        b'{"predictions": {"prediction": ["legit", "fraud"], "other": [1.0, 2.0]}}', ("legit", "fraud"), _NAMED,
    ),
    Sample(
        "paths", "json", "/score", b'{"took": 1.50, "rows": [{"id": 7, "say": "no", "p": [0.6, 0.40]}, {"p": [0.1, 0.9], "say": "yes"}]}',
        ("no", "yes"), Output("$.rows[*].say", "$.rows[*].p", ("no", "yes")),
    ),
    Sample(
        "path of one score", "json", "/score", b'{"rows": [{"p": 0.2}, {"p": 0.95}]}', ("not fraud", "fraud"),
        Output(score="$.rows[*].p", positive="fraud", threshold=0.93),
    ),
    Sample(
        "chat", "openai", "/v1/chat/completions",
        b'{"choices":[{"index":0,"message":{"role":"assistant","content":"legit"},"finish_reason":"stop"}, {"index":1,"message":{"content":"fraud"}}]'
        b',"usage":{"total_tokens":1.0}}', ("legit", "fraud"), _NAMED,
    ),
    Sample(
        "completions", "openai", "/v1/completions", b'{"choices": [{"text": "fraud", "index": 0}, {"text": "legit", "index": 1}]}\n', ("fraud", "legit"), _NAMED,
    ),
    Sample(
        "responses", "openai", "/v1/responses",
        b'{"output":[{"type":"message","content":[{"type":"output_text","text":"legit"},{"type":"output_text","text":"fr\\u0061ud"}]}],"usage":{"n":1}}',
        ("legit", "fraud"), _NAMED,
    ),
]  # fmt: skip
