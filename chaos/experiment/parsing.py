"""From the text of an experiment file to an Experiment, or every problem of it."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.document import Document, read_document
from chaos.errors import InvalidFile, Problem
from chaos.experiment.problems import own_problems
from chaos.experiment.whole import Experiment, model
from chaos.strict import misplaced, validate


def parse(text: str, path: str, variables: Mapping[str, str]) -> tuple[Experiment, Document]:
    """The experiment and the document that it stood in. Raises InvalidFile with every problem of this file."""
    document = read_document(text, path, variables)
    return experiment_of(document), document


def experiment_of(document: Document) -> Experiment:
    """The experiment of a document that was read. Raises InvalidFile with every problem of this file."""
    made, problems = validate(document, model(), "experiment")
    if made is None:
        raise InvalidFile(problems)
    problems = [*own_problems(made, document)]
    if problems:
        raise InvalidFile(problems)
    return made


def elsewhere(document: Document) -> Problem | None:
    """The one problem of a file that is no experiment at all; None where it may be one."""
    return misplaced(document, model(), "experiment")
