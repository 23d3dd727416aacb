"""The shipped probe catalogue: every query parses, and gives what its own sample says, by promtool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import promql_parser
import pytest

from chaos.lab.monitoring import Tools
from chaos.probe import Probe, parse_probes
from tests.lab.promtool import Expected, World, check

FOLDER = Path(__file__).parents[2] / "probes"
PROBES: Mapping[str, Probe] = {
    name: probe
    for file in sorted(FOLDER.rglob("*.yaml"))
    for name, probe in parse_probes(file.read_text(), str(file)).items()
}


def world_of(name: str, probe: Probe, gives: float | None = None) -> World:
    """The probe's sample as promtool is asked: one series, with that value; and one denominator."""
    sample = probe.sample
    assert sample is not None
    query, count = probe.render(sample.with_)
    wanted = sample.gives if gives is None else gives
    expected = [
        Expected(f"count({query})", sample.at, {"{}": 1}),
        Expected(f"count(abs(({query}) - {wanted}) < 1e-9)", sample.at, {"{}": 1}),
    ]
    if count is not None:
        expected.append(Expected(f"count(({count}) > 0)", sample.at, {"{}": 1}))
    pairs = [one.rpartition("} ") for one in sample.series]
    return World(name, "1m", [(labels + brace.strip(), values) for labels, brace, values in pairs], expected)


def test_names_are_unique_over_all_files() -> None:
    count = sum(len(parse_probes(file.read_text(), str(file))) for file in FOLDER.rglob("*.yaml"))
    assert count == len(PROBES) > 5


@pytest.mark.parametrize("name", PROBES)
def test_every_query_and_every_count_parses(name: str) -> None:
    probe = PROBES[name]
    query, count = probe.render({variable: "30s" if variable == "window" else "x" for variable in probe.names()})
    promql_parser.parse(query)
    if count is not None:
        promql_parser.parse(count)


@pytest.mark.parametrize("name", PROBES)
def test_every_entry_has_a_sample_a_sentence_and_a_least_count_where_it_divides(name: str) -> None:
    probe = PROBES[name]
    assert probe.sample is not None
    assert probe.sample.with_.keys() == probe.names()
    assert len(probe.doc) > 20
    if probe.unit == "ratio":
        assert probe.count is not None
        assert probe.needs > 0


def test_every_query_gives_what_its_sample_says(tools: Tools, tmp_path: Path) -> None:
    assert check(tools, tmp_path, [world_of(name, probe) for name, probe in PROBES.items()]) == ""


def test_a_wrong_sample_would_be_noticed_for_every_entry(tools: Tools, tmp_path: Path) -> None:
    worlds = [
        world_of(name, probe, gives=(probe.sample.gives if probe.sample else 0) + 0.01)
        for name, probe in PROBES.items()
    ]
    said = check(tools, tmp_path, worlds)
    assert said.count("got:") == len(PROBES)
