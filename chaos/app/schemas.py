"""The JSON Schemas of what people write, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KINDS = ("experiment", "system", "probes")


def schema_of(kind: str) -> dict[str, Any]:
    """The schema of this kind of file, one of KINDS."""
    from chaos import experiment, probe
    from chaos.system import System

    made = {
        "experiment": experiment.json_schema,
        "system": System.model_json_schema,
        "probes": probe.json_schema,
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made[kind]()}


def write_all(folder: Path) -> list[Path]:
    """KIND.schema.json of every kind stands in the folder; whatever stood there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in KINDS:
        path = folder / f"{kind}.schema.json"
        path.write_text(json.dumps(schema_of(kind), indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written
