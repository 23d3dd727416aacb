"""The probe catalogue: templates that render whole, in one unit, and the user's own come first."""

from __future__ import annotations

import promql_parser
import pytest

from chaos.app.files import content
from chaos.bounds import kind_of_unit
from chaos.errors import InvalidFile
from chaos.probe import merge, parse_probes, unknown
from tests.values import PROBES, edited, probes

SHIPPED = merge({path.name: path.read_text() for path in sorted(content("probes").rglob("*.yaml"))})


def test_a_probe_becomes_promql_with_every_name_filled_in():
    query, count = probes()["accuracy"].render({"job": "loan", "window": "30s"})
    assert query == 'sum(increase(right{job="loan"}[30s])) / sum(increase(feedback{job="loan"}[30s]))'
    assert count == 'sum(increase(feedback{job="loan"}[30s]))'


def test_a_name_without_a_value_is_never_rendered_as_nothing():
    with pytest.raises(KeyError, match="job"):
        probes()["accuracy"].render({"window": "30s"})


def test_a_probe_knows_what_it_needs_and_whether_it_reads_over_the_window():
    assert probes()["accuracy"].names() == {"job", "window"}
    assert probes()["accuracy"].windowed()
    steady = parse_probes("up: {query: 'sum(up{job=\"$job\"})', unit: count, better: higher, doc: x}", "probes.yaml")[
        "up"
    ]
    assert not steady.windowed()


def test_braces_and_doubled_dollars_survive_rendering():
    text = 'a: {query: \'sum({__name__=~"x.*$$", job="$job"})\', unit: count, better: higher, doc: x}'
    assert parse_probes(text, "probes.yaml")["a"].render({"job": "m"}) == ('sum({__name__=~"x.*$", job="m"})', None)


def test_the_first_file_to_name_a_probe_keeps_it():
    mine = edited(PROBES, ("Share of answers that turned out right.", "mine"))
    merged = merge(
        {"mine.yaml": mine, "shipped.yaml": PROBES + "more: {query: up, unit: '1', better: higher, doc: x}\n"}
    )
    assert merged["accuracy"].doc == "mine"
    assert "more" in merged


def test_the_problems_of_all_files_come_at_once():
    with pytest.raises(InvalidFile) as refused:
        merge({"one.yaml": "a: {}", "two.yaml": "- b", "three.yaml": PROBES})
    assert {problem.path for problem in refused.value.problems} == {"one.yaml", "two.yaml"}


@pytest.mark.parametrize("arms", ["proxy", "load", "none", "label:arm", "label:_arm2"])
def test_the_arms_of_a_probe_are_known_by_one_of_four(arms):
    assert probes(("arms: load", f"arms: '{arms}'"))["accuracy"].arms == arms


@pytest.mark.parametrize("arms", ["", "both", "label:", "label:2", "label:a-b", "proxy load", "load\\n"])
def test_other_arms_are_refused_with_what_to_write(arms):
    with pytest.raises(InvalidFile, match="write proxy, load, none, or label:NAME"):
        probes(("arms: load", f'arms: "{arms}"'))


def test_an_unknown_probe_is_told_with_the_nearest_one():
    assert unknown("acuracy", probes()) == "the probe `acuracy` is unknown; did you mean `accuracy`?"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_shipped_probe_is_promql_and_says_what_it_is(name):
    probe = SHIPPED[name]
    variables = {**dict.fromkeys(probe.names(), "m"), "window": "30s"}
    for text in probe.render(variables):
        if text is not None:
            promql_parser.parse(text)
    assert probe.doc.endswith(".")
    assert probe.sample is not None
    assert probe.count is None or probe.needs > 0
    assert kind_of_unit(probe.unit) != "number" or "quantile" not in probe.query
