"""What editors show is whole: every key says what it means, and defaults and examples are as people write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chaos.app.schema_words import WORDS
from chaos.app.schemas import KINDS, schema_of, write_all
from chaos.faults import catalogue


def keys(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = schema_of(kind)
    for model, part in [(schema["title"], schema), *schema.get("$defs", {}).items()]:
        for key, said in part.get("properties", {}).items():
            yield f"{model}.{key}", said


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_says_what_it_means(kind: str) -> None:
    assert [name for name, said in keys(kind) if not said.get("description") and name != "Experiment.faults"] == []


def test_nothing_is_said_of_keys_that_are_not_there() -> None:
    assert set(WORDS) - {name for kind in KINDS for name, _ in keys(kind)} == set()


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_and_examples_are_what_may_be_written(kind: str) -> None:
    schema = schema_of(kind)
    for name, said in keys(kind):
        whole = Draft202012Validator({**said, "$defs": schema.get("$defs", {})})
        for value in [*([said["default"]] if said.get("default") not in (None, {}) else []), *said.get("examples", [])]:
            if not isinstance(value, dict | list):
                assert whole.is_valid(value), (name, value)


def test_a_fault_says_in_one_sentence_what_goes_wrong() -> None:
    schema = schema_of("experiment")
    offered = schema["properties"]["faults"]["items"]["properties"]["fault"]["oneOf"]
    assert {one["const"] for one in offered} == set(catalogue())
    assert all(one["description"] for one in offered)


def test_all_schemas_stand_in_the_folder(tmp_path: Path) -> None:
    written = write_all(tmp_path / "new")
    assert [path.name for path in written] == [f"{kind}.schema.json" for kind in KINDS]
    for path in written:
        Draft202012Validator.check_schema(json.loads(path.read_text()))
