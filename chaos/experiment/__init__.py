"""The experiment file: steady state, load, blast radius, faults, expectations.

text ─▶ parse() ─▶ Experiment        raises InvalidFile: every problem with file:line:column
                      │
                   link(system, probes) ─▶ problems that only show beside the other two files
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.document import Document, read_document
from chaos.errors import InvalidFile
from chaos.experiment.alone import own_problems
from chaos.experiment.beside import link, link_names
from chaos.experiment.sections import (
    AlertMatch,
    BlastRadius,
    Expect,
    ExpectedAlert,
    Experiment,
    GuardProbe,
    Load,
    SteadyInline,
    SteadyProbe,
    Sweep,
    model,
)
from chaos.strict import validate

__all__ = [
    "AlertMatch",
    "BlastRadius",
    "Expect",
    "ExpectedAlert",
    "Experiment",
    "GuardProbe",
    "Load",
    "SteadyInline",
    "SteadyProbe",
    "Sweep",
    "experiment_of",
    "json_schema",
    "link",
    "link_names",
    "model",
    "parse",
]


def parse(text: str, path: str, variables: Mapping[str, str]) -> tuple[Experiment, Document]:
    """The experiment and the document that it stood in. Raises InvalidFile with every problem of this file."""
    document = read_document(text, path, variables)
    return experiment_of(document), document


def experiment_of(document: Document) -> Experiment:
    """The experiment of a document that was read. Raises InvalidFile with every problem of this file."""
    made, problems = validate(document, model())
    if made is None:
        raise InvalidFile(problems)
    problems = own_problems(made, document)
    if problems:
        raise InvalidFile(problems)
    return made


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an experiment file, for editors."""
    return model().model_json_schema(mode="validation")
