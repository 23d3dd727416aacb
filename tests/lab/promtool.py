"""Asks promtool: the oracle for what rules and queries say, without a server."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from chaos.lab.monitoring import Tools


@dataclass(frozen=True, slots=True)
class Expected:
    """At this time the expression gives these series: labels as promtool writes them → value."""

    expr: str
    at: str
    gives: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class World:
    """Series in promtool's notation, one sample every `interval`, and what is expected of them."""

    name: str
    interval: str
    series: Sequence[tuple[str, str]]
    expected: Sequence[Expected]


def check(tools: Tools, folder: Path, worlds: Sequence[World], rules: Path | None = None) -> str:
    """What promtool complains about; empty when everything is as expected."""
    tests = [
        {
            "name": world.name,
            "interval": world.interval,
            "input_series": [{"series": name, "values": values} for name, values in world.series],
            "promql_expr_test": [
                {
                    "expr": one.expr,
                    "eval_time": one.at,
                    "exp_samples": [{"labels": labels, "value": value} for labels, value in one.gives.items()],
                }
                for one in world.expected
            ],
        }
        for world in worlds
    ]
    file = folder / "test.yml"
    file.write_text(
        yaml.safe_dump(
            {"rule_files": [str(rules)] if rules else [], "evaluation_interval": "1s", "tests": tests}, width=10_000
        )
    )
    done = subprocess.run(
        [str(tools.promtool), "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=200
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
