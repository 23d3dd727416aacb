"""Real and made requests of every protocol that reads them, for the promises in test_request_contract.py.

Whoever lets a protocol read requests adds some. A sample has at least two features.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.protocols import catalogue
from chaos.protocols.base import Asking, InputNames
from tests.protocols.protocol_contract import CAPTURES

_WIRE = re.compile(rb"<<<C->S (\d+) bytes>>>\n")


@dataclass(frozen=True, slots=True)
class Question:
    """A request that its protocol reads, and what it asks for.

    `redrawn` says whether its form can lose, gain and rename features, `renames` whether it can rename them; `headers` are in
    lower case.
    """

    name: str
    protocol: str
    body: bytes
    features: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    names: InputNames = field(default_factory=InputNames)
    headers: Mapping[str, str] = field(default_factory=dict)
    redrawn: bool = True
    renames: bool = True

    @property
    def speaks(self) -> Asking:
        """The protocol itself."""
        found = catalogue()[self.protocol]
        assert isinstance(found, Asking)
        return found


def asked(name: str) -> bytes:
    """The body that was sent, of a capture that curl wrote."""
    command, _, _ = (CAPTURES / name).read_bytes().partition(b"\nHTTP/1.1 ")
    return command.partition(b" -d ")[2]


def sent(name: str, number: int) -> tuple[dict[str, str], bytes]:
    """Headers in lower case and body of an inference request, of a capture of a client's bytes."""
    wire = (CAPTURES / name).read_bytes()
    found = [wire[match.end() : match.end() + int(match[1])] for match in _WIRE.finditer(wire)]
    head, _, body = [one for one in found if one.startswith(b"POST ")][number].partition(b"\r\n\r\n")
    return dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:]), body


def of_wire(name: str, number: int, values: tuple[tuple[Any, ...], ...], *, raw: bool) -> Question:
    """The sample that a request in a capture is."""
    headers, body = sent(name, number)
    return Question(f"{name} {number}", "oip", body, NUMBERS, values, headers=headers, redrawn=not raw, renames=False)


NUMBERS = ("0", "1", "2", "3")
_MEANS = ("mean radius", "mean texture", "mean perimeter", "mean area")
_ONE = ((17.99, 10.38, 122.8, 1001.0),)
_TWO = (*_ONE, (9.5, 12.4, 60.3, 273.9))
_IRIS = ((5.1, 3.5, 1.4, 0.2), (6.7, 3.0, 5.2, 2.3))
_FLOATS = (
    (5.099999904632568, 3.5, 1.399999976158142, 0.20000000298023224),
    (6.699999809265137, 3.0, 5.199999809265137, 2.299999952316284),
)
_LOAN = InputNames(("age", "income"))

QUESTIONS = [
    Question("mlserver/infer.http", "oip", asked("mlserver/infer.http"), NUMBERS, _IRIS, renames=False),
    Question("kserve/v2_infer.http", "oip", asked("kserve/v2_infer.http"), NUMBERS, _IRIS, renames=False),
    *(of_wire("mlserver/tritonclient_http_wire.bin", number, _FLOATS, raw=number in (1, 2)) for number in range(4)),
    *(of_wire("kserve/tritonclient_http_wire.bin", number, _FLOATS, raw=number in (1, 2)) for number in range(4)),
    Question(
        "tensor with names", "oip",
        b'{"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "parameters": {"names": ["age", "income"]}, "data": [31, 5.50, null, 1e3]}]}',
        ("age", "income"), ((31.0, 5.5), (None, 1000.0)), InputNames(("other", "names")),
    ),
    Question(
        "tensor that the system file names", "oip",
        b'{"inputs":[{"name":"x","shape":[2,2],"datatype":"INT64","data":[[31,5],[40,7]]}]}', ("age", "income"), ((31, 5), (40, 7)), _LOAN, renames=False,
    ),
    Question(
        "a tensor a feature", "oip",
        b'{"id": "7", "inputs": [{"name": "age", "shape": [2, 1], "datatype": "INT64", "data": [31, 40]},\n'
        b'{"name": "purpose", "shape": [2, 1], "datatype": "BYTES", "data": ["car", "\\u0061"]}]}',
        ("age", "purpose"), ((31, "car"), (40, "a")),
    ),
    Question(
        "tensors of several widths", "oip",
        b'{"inputs":[{"name":"age","shape":[2],"datatype":"INT64","data":[31,40]},{"name":"x","shape":[2,2],"datatype":"FP64","data":[1.0,2.0,3.0,4.0]}]}',
        ("age", "x.0", "x.1"), ((31, 1.0, 2.0), (40, 3.0, 4.0)),
    ),
    Question("kserve/v1_predict.http", "kserve-v1", asked("kserve/v1_predict.http"), NUMBERS, _IRIS, renames=False),
    Question(
        "v1 objects", "kserve-v1", b'{"instances": [{"age": 31, "more": {"a": 1.0}, "income": [5.50]}, {"income": [7], "age": null}], "x": 1.0}',
        ("age", "income"), ((31, 5.5), (7, None)),
    ),
    Question(
        "v1 named tensor", "kserve-v1", b'{"instances":[{"x":[31,5.50]},{"x":[40,7]}]}', ("age", "income"), ((31, 5.5), (40, 7)), _LOAN, renames=False,
    ),
    Question(
        "tensorflow columns", "kserve-v1", b'{\n  "inputs": {\n    "age": [[31], [40]],\n    "income": [[5.50], [7]]\n  }\n}',
        ("age", "income"), ((31, 5.5), (40, 7)),
    ),
    Question("tensorflow one column", "kserve-v1", b'{"inputs": [[31,5.50],[40,7]]}', ("0", "1"), ((31, 5.5), (40, 7)), renames=False),
    Question("v1 at a path", "kserve-v1", b'{"wrapped":{"rows":[[31,5.50]]}}', ("age", "income"), ((31, 5.5),), InputNames(("age", "income"), "$.wrapped.rows[*]"), renames=False),
    Question("mlflow/inputs_named.http", "mlflow", asked("mlflow/inputs_named.http"), _MEANS, _ONE),
    Question("mlflow/instances_named.http", "mlflow", asked("mlflow/instances_named.http"), _MEANS, _ONE),
    Question("mlflow/records.http", "mlflow", asked("mlflow/records.http"), _MEANS, _ONE),
    Question("mlflow/split.http", "mlflow", asked("mlflow/split.http"), _MEANS, _TWO),
    Question("mlflow/proba.http", "mlflow", asked("mlflow/proba.http"), _MEANS, _TWO),
    Question("mlflow split without names", "mlflow", b'{"dataframe_split": {"data": [[31, "car"], [40, true]]}}', ("0", "1"), ((31, "car"), (40, True)), renames=False),
    Question("mlflow instances", "mlflow", b'{"instances": [[31, NaN]]}', ("age", "income"), ((31, None),), _LOAN, renames=False),
    Question("paths to objects", "json", b'{"rows": [{"age": 31, "income": 5.50}, {"income": 7}]}', ("age", "income"), ((31, 5.5), (7,)), InputNames(rows="$.rows[*]")),
    Question("path to one object", "json", b'{"application": {"age": 31, "income": 5.50}}', ("age", "income"), ((31, 5.5),), InputNames(rows="$.application")),
    Question("the whole body", "json", b' {"age": 31, "income": 5.50} ', ("age", "income"), ((31, 5.5),), InputNames(rows="$")),
]  # fmt: skip
