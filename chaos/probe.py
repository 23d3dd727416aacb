"""The probe catalogue: named PromQL with unit, direction and missing-data rule.

probes/*.yaml ─▶ parse_probes() ─▶ {name: Probe} ─▶ Probe.render(variables) ─▶ PromQL
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, RootModel, model_validator

from chaos.document import did_you_mean, read_document
from chaos.errors import InvalidFile, Problem
from chaos.faults.base import Signal
from chaos.strict import Strict, validate

Better = Literal["lower", "higher", "neither"]
Missing = Literal["inconclusive", "zero"]


_ARMS = re.compile(r"^(proxy|load|none|label:[A-Za-z_][A-Za-z0-9_]*)$")


def _arms(value: str) -> str:
    if _ARMS.fullmatch(value) is None:
        raise ValueError(f"{value!r} knows no arms; write proxy, load, none, or label:NAME")
    return value


class Sample(Strict):
    """Proves a query without a server: these series, at this time, give this value (promtool's notation)."""

    with_: dict[str, str] = Field(default_factory=dict, alias="with")
    series: list[str] = Field(examples=["['up{job=\"m\"} 1x10']"])
    at: str = Field(examples=["5m"])
    gives: float = Field(examples=["0.9"])


class Probe(Strict):
    """One number read from telemetry. `count` is its denominator, below `needs` of which no finding is made."""

    _name: str = PrivateAttr("")

    query: str = Field(examples=["sum(up)"])
    unit: str = Field(examples=["ratio"])
    better: Better = Field(examples=["higher"])
    when_missing: Missing = "inconclusive"
    count: str | None = None
    needs: float = 0
    arms: Annotated[str, AfterValidator(_arms), Field(json_schema_extra={"pattern": _ARMS.pattern})] = "none"
    signal: Signal | None = None
    doc: str = Field(examples=["what it says, in one sentence"])
    source: str = ""
    sample: Sample | None = None

    @model_validator(mode="after")
    def _whole_templates(self) -> Probe:
        for text in (self.query, self.count or ""):
            if not Template(text).is_valid():
                raise ValueError("a `$` that starts no name; write `$$` for the character itself")
        return self

    def names(self) -> set[str]:
        """The `$names` that the query and its count need."""
        return {name for text in (self.query, self.count or "") for name in Template(text).get_identifiers()}

    def windowed(self) -> bool:
        """Whether the probe reads over `$window`, so that it can be asked for exactly the fault's time."""
        return "window" in self.names()

    def render(self, variables: Mapping[str, str]) -> tuple[str, str | None]:
        """The PromQL of the value and of the count. Raises KeyError with the name that has no value."""
        query = Template(self.query).substitute(variables)
        return query.strip(), Template(self.count).substitute(variables).strip() if self.count else None


class _Catalogue(RootModel[dict[str, Probe]]):
    """One file of the catalogue."""


Catalogue = Mapping[str, Probe]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a catalogue file, for editors."""
    return _Catalogue.model_json_schema()


def parse_probes(text: str, path: str) -> dict[str, Probe]:
    """The entries of one catalogue file. Raises InvalidFile with every problem."""
    document = read_document(text, path, {})
    made, problems = validate(document, _Catalogue)
    if made is None or problems:
        raise InvalidFile(problems)
    return made.root


def merge(files: Mapping[str, str]) -> dict[str, Probe]:
    """One catalogue of several files (path → text), earlier ones first: the first to name a probe keeps it.

    So a `probes/` beside the user's experiments comes before the one that is shipped. Raises InvalidFile with the
    problems of all files.
    """
    merged: dict[str, Probe] = {}
    problems: list[Problem] = []
    for path, text in files.items():
        try:
            for name, probe in parse_probes(text, path).items():
                merged.setdefault(name, probe)
        except InvalidFile as error:
            problems += error.problems
    if problems:
        raise InvalidFile(problems)
    return merged


def unknown(name: str, catalogue: Catalogue) -> str:
    """The sentence about a probe that is not there."""
    return f"the probe `{name}` is unknown; {did_you_mean(name, catalogue)}"
