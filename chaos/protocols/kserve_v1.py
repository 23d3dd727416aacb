"""KServe V1 and TensorFlow Serving, JSON over HTTP.

    POST [/PREFIX]/v1/models/NAME[/versions/V|/labels/L]:predict → {"predictions": [...]} or {"outputs": …}

A prediction is a label, a list of scores (one per class), or an object with both under the keys that the system file names, else
under usual ones (`label`, `class_ids`, … and `scores`, `probabilities`, …). TensorFlow Serving's columns (`outputs`) are a list, or
an object of lists by tensor. With `positive` or `threshold` in the system file a lone number is the score of the positive class.
`:classify`, `:regress` and `:explain` are passed on untouched.

A request has its rows under `instances`, each a list, an object or a scalar, or its columns under `inputs`.

Sources: KServe, V1 Inference Protocol; TensorFlow Serving, RESTful API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chaos.protocols.base import InputNames, Output, Undecodable
from chaos.protocols.json_answers import JsonAnswers
from chaos.protocols.json_found import Found, of_list_or_columns
from chaos.protocols.json_inputs import Asked, JsonInputs, items_of, of_rows, of_rows_or_columns
from chaos.protocols.json_path import by_paths, matches

_PATH = re.compile(r"(?:/[^/]+)*/v1/models/[^/:]+(?:/(?:versions|labels)/[^/:]+)?(?::|%3[aA])predict")
"""Some clients escape the colon."""


class KServeV1(JsonAnswers, JsonInputs):
    """The protocol."""

    name = "kserve-v1"

    def detect(self, path: str, request_headers: Mapping[str, str]) -> bool:
        """Whether this is a prediction request of the protocol."""
        del request_headers
        return _PATH.fullmatch(path) is not None

    def found(self, whole: Any, output: Output) -> Sequence[Found]:
        """What `predictions` or `outputs` say. Raises Undecodable."""
        if output.paths():
            return by_paths(whole, output)
        if isinstance(whole, dict):
            if isinstance(whole.get("predictions"), list):
                return of_list_or_columns(whole["predictions"], ("predictions",), output)
            if "outputs" in whole and "predictions" not in whole:
                return of_list_or_columns(whole["outputs"], ("outputs",), output)
        raise Undecodable("neither a list of `predictions` nor `outputs`")

    def asked(self, whole: Any, names: InputNames) -> Asked:
        """What `instances` or `inputs` ask for. Raises Undecodable."""
        if names.rows is not None:
            return of_rows(matches(whole, names.rows), names)
        if isinstance(whole, dict):
            if "instances" in whole:
                return of_rows(items_of(whole["instances"], ("instances",)), names)
            if "inputs" in whole:
                return of_rows_or_columns(whole["inputs"], ("inputs",), names)
        raise Undecodable("neither `instances` nor `inputs`")


PROTOCOL = KServeV1()
