"""MLflow's scoring server, and hosts that speak like it (SageMaker, Databricks), JSON over HTTP.

    POST [/PREFIX]/invocations → {"predictions": [...]}, before MLflow 2 the bare list

A prediction is a label, a list of scores (one per class), or an object: a record of the model's table. A table of one column is that
column; of several, the system file names the keys, else usual ones are looked for (`label`, `prediction`, … and `probabilities`, …).
`predictions` may be an object of columns, too. With `positive` or `threshold` in the system file a lone number is a score.

A request is a table (`dataframe_split`, `dataframe_records`) or has rows under `instances`, columns under `inputs`. CSV is not read.

Sources: MLflow, Deploy MLflow Model as a Local Inference Server; mlflow/exceptions.py for the error codes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chaos.protocols.base import InputNames, Output, Undecodable
from chaos.protocols.json_answers import JsonAnswers
from chaos.protocols.json_found import Found, of_list_or_columns
from chaos.protocols.json_inputs import Asked, JsonInputs, items_of, of_rows, of_rows_or_columns
from chaos.protocols.json_path import by_paths, matches

_PATH = re.compile(r"(?:/[^/]+)*/invocations")
_ERROR_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    429: "REQUEST_LIMIT_EXCEEDED",
    501: "NOT_IMPLEMENTED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class MLflow(JsonAnswers, JsonInputs):
    """The protocol."""

    name = "mlflow"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether this is a prediction request of the protocol."""
        del request_headers
        return _PATH.fullmatch(path) is not None

    def found(self, whole: Any, output: Output) -> Sequence[Found]:
        """What `predictions`, or the bare list, say. Raises Undecodable."""
        if output.paths():
            return by_paths(whole, output)
        if isinstance(whole, list):
            return of_list_or_columns(whole, (), output)
        if isinstance(whole, dict) and "predictions" in whole:
            return of_list_or_columns(whole["predictions"], ("predictions",), output)
        raise Undecodable("neither `predictions` nor a list")

    def asked(self, whole: Any, names: InputNames) -> Asked:
        """What the table, `instances` or `inputs` ask for. Raises Undecodable."""
        if names.rows is not None:
            return of_rows(matches(whole, names.rows), names)
        if not isinstance(whole, dict):
            raise Undecodable("no object")
        if "dataframe_split" in whole:
            return _of_split(whole["dataframe_split"], names)
        for key in ("dataframe_records", "instances"):
            if key in whole:
                return of_rows(items_of(whole[key], (key,)), names)
        if "inputs" in whole:
            return of_rows_or_columns(whole["inputs"], ("inputs",), names)
        raise Undecodable("no `dataframe_split`, `dataframe_records`, `instances` or `inputs`")

    def error(self, status: int, message: str) -> tuple[bytes, Mapping[str, str]]:
        """`{"error_code": …, "message": …}`, as the scoring server says."""
        code = _ERROR_CODES.get(status, "INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")
        return json.dumps({"error_code": code, "message": message}).encode(), {"content-type": "application/json"}


def _of_split(table: Any, names: InputNames) -> Asked:
    """What a table asks for whose columns are named once. Raises Undecodable."""
    if not isinstance(table, dict):
        raise Undecodable("a `dataframe_split` that is no object")
    rows = items_of(table.get("data"), ("dataframe_split", "data"))
    columns = table.get("columns")
    if columns is None:
        return of_rows(rows, names)
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise Undecodable("`columns` that are no names")
    return of_rows(rows, names, (columns, ("dataframe_split", "columns")))


PROTOCOL = MLflow()
