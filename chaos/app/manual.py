"""What `chaos faults`, `chaos probes` and `chaos protocols` print: the catalogues, read from the code and the files themselves."""

from __future__ import annotations

import inspect

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaos.app.fault_facts import by_family, common_parameters, facts_of
from chaos.document import did_you_mean
from chaos.errors import ChaosError
from chaos.faults import catalogue as fault_catalogue
from chaos.probe import Catalogue, Probe
from chaos.protocols import catalogue as protocol_catalogue
from chaos.protocols.base import Asking, Protocol, Streaming
from chaos.report.hanging import Hanging


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


# --- faults -----------------------------------------------------------------------------------------------------------


def list_faults() -> RenderableType:
    """Every fault, family by family, and what goes wrong with it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for family, faults in by_family():
        table.add_row(Text(family, style="bold"), "")
        for one in faults:
            table.add_row(Text(one.name), Text(one.what.rstrip(".")))
        table.add_row("", "")
    return Group(
        table,
        Text("`chaos faults NAME` explains one: its parameters, which alert must catch it, which must stay quiet."),
    )


def explain_fault(name: str) -> RenderableType:
    """One fault: what it looks like in real life, its parameters with units, and how it is written. Raises Unknown."""
    known = fault_catalogue()
    if name not in known:
        raise Unknown(f"there is no fault `{name}`; {did_you_mean(name, known)}")
    one = facts_of(known[name])
    parameters = _table("parameter", "", "value", "what it says")
    for parameter in [*one.parameters, *common_parameters()]:
        parameters.add_row(*map(Text, (parameter.name, parameter.needed, parameter.form, parameter.says)))
    sentences = [f"It happens {one.when}. It needs {one.needs}.", *one.notes]
    sentences += [f"What must catch it: {one.must}. What must stay quiet: {one.quiet}."]
    sentences += [f"Blind spot: {one.blind}"] if one.blind else []
    return Group(
        Text("\n\n".join([f"{name}: {one.what}", *one.real_life, *one.does, " ".join(sentences)]) + "\n"),
        parameters,
        Text("\nWritten under `faults:`"),
        *(Text(f"  - {example.yaml}\n      {example.does}") for example in one.examples),
    )


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
        table.add_row(Text(name), Text(_about(protocol)[0]))
    return Group(
        table, Text("\n`chaos protocols NAME` explains one: its messages, and what the proxy can change in them.")
    )


def explain_protocol(name: str) -> RenderableType:
    """One protocol: what its own file says of it, what the proxy can do in it, and how it is written. Raises Unknown."""
    known = protocol_catalogue()
    if name not in known:
        raise Unknown(f"there is no protocol `{name}`; {did_you_mean(name, known)}")
    one = known[name]
    facts = _table("", "")
    facts.show_header = False
    facts.add_row("faults on inputs", Text("yes" if isinstance(one, Asking) else "no"))
    facts.add_row("streamed answers", Text("yes" if isinstance(one, Streaming) else "no"))
    written = f"\nWritten under `targets:` of the system file\n  model: {{protocol: {name}, proxies: [http://127.0.0.1:8474]}}"
    said: list[RenderableType] = []
    for part in _about(one):
        messages = part.split("\n") if part.startswith(" ") else []
        said += [*(Hanging(line, indent="") for line in messages), Text()] if messages else [Text(f"{part}\n")]
    return Group(*said, facts, Text(written))


def _about(one: Protocol) -> list[str]:
    """The paragraphs that its own file says; what is indented there stays as it is."""
    said = inspect.cleandoc(inspect.getdoc(inspect.getmodule(type(one))) or "")
    return [part if part.startswith(" ") else " ".join(part.split()) for part in said.split("\n\n")]
