"""What `chaos faults`, `chaos probes` and `chaos protocols` print: the catalogues, read from the code and the files themselves."""

from __future__ import annotations

import inspect
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaos.document import did_you_mean
from chaos.errors import ChaosError
from chaos.faults import catalogue as fault_catalogue
from chaos.faults.base import Fault
from chaos.probe import Catalogue, Probe
from chaos.protocols import catalogue as protocol_catalogue
from chaos.units import format_duration, format_share


class Unknown(ChaosError):
    """The catalogue has no entry of this name."""

    exit_code = 2


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _prose(value: object) -> str:
    """A docstring without its line breaks inside paragraphs."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(str(value or "")).split("\n\n"))


def _about(fault: type[Fault]) -> str:
    return _prose(inspect.getmodule(fault).__doc__)


# --- faults -----------------------------------------------------------------------------------------------------------


def list_faults() -> RenderableType:
    """Every fault: its family, what it is, and which kind of alert must catch it."""
    table = _table("fault", "family", "what goes wrong", "must be caught by")
    for name, fault in sorted(fault_catalogue().items(), key=lambda item: (item[1].family, item[0])):
        what = _about(fault).split("\n\n")[0].removeprefix(f"{name}: ")
        table.add_row(Text(name), Text(fault.family), Text(what), Text(fault.must))
    return Group(table, Text("\n`chaos faults NAME` explains one."))


def explain_fault(name: str) -> RenderableType:
    """One fault: what it looks like in real life, its parameters with units, and how it is written. Raises Unknown."""
    known = fault_catalogue()
    if name not in known:
        raise Unknown(f"there is no fault `{name}`; {did_you_mean(name, known)}")
    fault = known[name]
    parameters = _table("parameter", "", "what it says")
    own = [key for key in fault.model_fields if key not in Fault.model_fields]
    for key in [*own, *(key for key in Fault.model_fields if key != "fault")]:
        field = fault.model_fields[key]
        needed = "required" if field.is_required() or key == "duration" else f"default {_written(key, field.default)}"
        parameters.add_row(Text(key), Text(needed), Text(_says(field)))
    examples = [Text(f"  - {example.yaml}\n      {example.does}") for example in fault.examples if example.does]
    where = {
        "request": "before the model is asked", "answer": "to the model's answer", "container": "to the container",
        "load": "in the run's own load",
    }  # fmt: skip
    return Group(
        Text(_about(fault)),
        Text(
            f"\nIt happens {where[fault.acts_on]}. What must catch it: {fault.must}. What must stay quiet: {fault.quiet}.\n"
        ),
        *([Text(f"A blind spot: {fault.blind}.\n")] if fault.blind else []),
        parameters,
        Text("\nWritten under `faults:`"),
        *examples,
    )


def _written(key: str, value: object) -> str:
    if isinstance(value, float):
        return format_share(value) if key == "share" else format_duration(value)
    return "none" if value in (None, "") else str(value)


def _says(field: Any) -> str:
    example = f", such as {field.examples[0]}" if field.examples else ""
    return (field.description or "") + example


# --- probes -----------------------------------------------------------------------------------------------------------


def list_probes(probes: Catalogue) -> RenderableType:
    """Every probe: unit, direction, what it says."""
    table = _table("probe", "unit", "better", "what it says")
    for name, probe in sorted(probes.items()):
        table.add_row(Text(name), Text(probe.unit), Text(probe.better), Text(_prose(probe.doc)))
    return Group(table, Text("\n`chaos probes NAME` shows one with its query."))


def explain_probe(name: str, probes: Catalogue) -> RenderableType:
    """One probe: its query, what it needs, where its definition comes from. Raises Unknown."""
    if name not in probes:
        raise Unknown(f"there is no probe `{name}`; {did_you_mean(name, probes)}")
    probe: Probe = probes[name]
    facts = _table("", "")
    facts.show_header = False
    facts.add_row("unit", Text(f"{probe.unit}, better {probe.better}"))
    facts.add_row("no data means", Text(probe.when_missing))
    if probe.count is not None:
        facts.add_row("counts", Text(f"{probe.count.strip()}\nat least {probe.needs:g}, or nothing is concluded"))
    facts.add_row("arms are known to", Text(probe.arms))
    facts.add_row("variables", Text(", ".join(sorted(probe.names())) or "none"))
    if probe.source:
        facts.add_row("source", Text(_prose(probe.source)))
    return Group(Text(_prose(probe.doc)), Padding(Text(probe.query.strip()), (1, 2)), facts)


# --- protocols --------------------------------------------------------------------------------------------------------


def list_protocols() -> RenderableType:
    """Every serving protocol that the proxy can read."""
    table = _table("protocol", "what it is")
    for name, protocol in protocol_catalogue().items():
        about = inspect.getmodule(type(protocol)).__doc__
        table.add_row(Text(name), Text(_prose(about).split("\n\n")[0]))
    return table
