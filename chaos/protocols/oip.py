"""Open Inference Protocol (V2) over HTTP: MLServer, KServe, Triton, Seldon and the lab's own replicas.

    POST /v2/models/NAME[/versions/V]/infer  {"inputs": [{"name", "shape", "datatype", "data"}]}
                                           → {"outputs": [{"name", "shape", "datatype", "data"}]}

Tensors are in the JSON, or raw behind it. Where they stand: `chaos.protocols.oip_messages`; what outputs mean:
`chaos.protocols.oip_tensors`; what inputs mean: `chaos.protocols.oip_inputs`.

Source: KServe, Open Inference Protocol, rest_predict_v2.yaml and the binary tensor data extension.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos import json_codec
from chaos.protocols import oip_inputs
from chaos.protocols.base import InputNames, Output, Rows, Undecodable
from chaos.protocols.oip_messages import HEADER_LENGTH, Message, encoded, message_of, parts_of
from chaos.protocols.oip_tensors import Decision, changes_of, decision_of, rows_of
from chaos.rows import Input, Row

_PATH = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")


@dataclass(slots=True)
class _Answer:
    """A decoded answer. `told` is its Inference-Header-Content-Length, `output` what the system file says about it."""

    body: bytes
    told: str | None
    output: Output
    message: Message
    decision: Decision

    def of(self, body: bytes, told: str | None, output: Output) -> bool:
        """Whether it is what these say."""
        return self.body is body and self.told == told and self.output is output


def _read(body: bytes, told: str | None, output: Output) -> _Answer:
    """The answer, decoded. Raises Undecodable."""
    header, raw = parts_of(body, told)
    try:
        answer = _answer(body, told, output, header, raw, json_codec.quickly(header))
        label = answer.decision.label
        if label is None or not json_codec.doubtful(label.values):
            return answer
    except ValueError:
        pass  # the standard library may see more in it
    try:
        whole = json_codec.exactly(header)
    except ValueError as error:
        raise Undecodable(f"this is no JSON: {error}") from error
    return _answer(body, told, output, header, raw, whole)


def _answer(body: bytes, told: str | None, output: Output, header: bytes, raw: bytes, whole: Any) -> _Answer:
    message = message_of(header, whole, raw, "outputs", binary=told is not None)
    return _Answer(body, told, output, message, decision_of(message.tensors, output))


class OpenInference:
    """The protocol."""

    name = "oip"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether this is an inference request of the protocol, its tensors in JSON or raw."""
        del request_headers
        return _PATH.fullmatch(path) is not None

    def rows(self, body: bytes, headers: Mapping[str, str], output: Output) -> Sequence[Row]:
        """The rows of an answer. Raises Undecodable."""
        answer = _read(body, headers.get(HEADER_LENGTH), output)
        rows = Rows(rows_of(answer.decision, output))
        rows.read = answer
        return rows

    def encode(
        self, body: bytes, headers: Mapping[str, str], output: Output, before: Sequence[Row], after: Sequence[Row]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the bytes of changed labels and scores replaced; sizes that change with them are corrected."""
        told = headers.get(HEADER_LENGTH)
        answer = getattr(before, "read", None)
        if type(answer) is not _Answer or not answer.of(body, told, output):
            answer = _read(body, told, output)
        changes = changes_of(answer.decision, before, after)
        if not changes:
            return body, {}
        return encoded(answer.message, told, changes)

    def inputs(self, body: bytes, headers: Mapping[str, str], names: InputNames) -> Sequence[Input]:
        """The inputs of a request. Raises Undecodable."""
        return oip_inputs.inputs_of(body, headers.get(HEADER_LENGTH), names)

    def encode_inputs(
        self,
        body: bytes,
        headers: Mapping[str, str],
        names: InputNames,
        before: Sequence[Input],
        after: Sequence[Input],
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body with the elements of changed values replaced, and features dropped, renamed and added; sizes are corrected."""
        return oip_inputs.encoded_inputs(body, headers.get(HEADER_LENGTH), names, before, after)

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """`{"error": …}`, as the protocol says."""
        del status
        return json.dumps({"error": message}).encode(), {"content-type": "application/json"}


PROTOCOL = OpenInference()
