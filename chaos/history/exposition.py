"""Metrics as text that OpenMetrics and Prometheus' own format both read: gauges alone, and an end that older parsers skip. Pure.

node_exporter's textfile collector reads Prometheus' text format, in which a state set, an info or a counter's `_total` under a family of
another name would be unknown; gauges are the same in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name (which ends with its unit, where it has one), what it says, and its samples."""

    name: str
    told: str
    samples: Sequence[tuple[Labels, float]]
    unit: str = ""


def text(families: Iterable[Family]) -> str:
    """The whole text, with its end. A family without samples is left out."""
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        lines += [f"# TYPE {family.name} gauge", *([f"# UNIT {family.name} {family.unit}"] if family.unit else [])]
        lines.append(f"# HELP {family.name} {_escaped(family.told)}")
        lines += [f"{family.name}{_labels(labels)} {_number(value)}" for labels, value in family.samples]
    return "\n".join([*lines, "# EOF", ""])


def _labels(labels: Labels) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _escaped(said: str) -> str:
    """What may stand in a label or a help text: no line ends within it, and every character can be encoded."""
    encoded = said.encode("utf-8", "replace").decode()
    return encoded.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", " ").replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
