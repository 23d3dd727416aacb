"""A file of another kind gets one sentence that says which, and what to do with it; a file of the right kind never does."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.files import load
from chaos.app.gameday.loading import load_day
from chaos.document import LONGEST_ECHO, read_document
from chaos.errors import InvalidFile
from chaos.experiment import parse
from chaos.gameday import parse_gameday
from chaos.kinds import kind_of
from chaos.probe import parse_probes
from chaos.system import parse_system
from tests.values import EXPERIMENT, PROBES, SYSTEM

GAME_DAY = "name: tuesday\npurpose: learn\nsystem: lab\nsteps: [{experiment: e.yaml}]\n"
KUBERNETES = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {}\n"
PIPELINE = "name: ci\non: [push]\njobs: {}\n"
PARSERS = {"experiment": parse, "system": parse_system, "game day": parse_gameday}


def problems_of(text: str, wanted: str) -> list[str]:
    """What is wrong with this text where a file of this kind is wanted, without the places."""
    with pytest.raises(InvalidFile) as refused:
        PARSERS[wanted](text, "f.yaml", {})
    return [problem.message for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("text", "kind"),
    [(EXPERIMENT, "experiment"), (SYSTEM, "system"), (GAME_DAY, "game day"), (PROBES, "probes"), (PIPELINE, None)],
)
def test_a_file_is_told_by_its_keys(text: str, kind: str | None) -> None:
    assert kind_of(read_document(text, "f", {}).data) == kind


@pytest.mark.parametrize(
    ("text", "wanted", "sentence"),
    [
        (GAME_DAY, "experiment", "this is a game day, not an experiment; `chaos gameday run f.yaml` plays it"),
        (SYSTEM, "experiment", "this is a system file, not an experiment; write `--system f.yaml` beside an experiment"),
        (EXPERIMENT, "game day", "this is an experiment, not a game day; `chaos run f.yaml` runs it"),
        (EXPERIMENT, "system", "this is an experiment, not a system file; `chaos run f.yaml` runs it"),
        (GAME_DAY, "system", "this is a game day, not a system file; `chaos gameday run f.yaml` plays it"),
        (KUBERNETES, "experiment", "this is a Kubernetes manifest, and no experiment; `chaos init` writes the first ones"),
        (KUBERNETES, "system", "this is a Kubernetes manifest, and no system file; `chaos init` writes one"),
        ("name: shop\nservices: {web: {image: x}}\n", "experiment", "this is a Compose file, and no experiment; `chaos init` writes the first ones"),
        (PIPELINE, "experiment", "this is no experiment, which has `steady_state`, `blast_radius`, `faults` and `expect`; `chaos init` writes the first ones"),
        (PIPELINE + "steps: [{run: make}]\n", "game day", "this is no game day, which has `purpose` and `steps`; docs/gamedays.md shows one"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_has_one_sentence_and_no_other(text: str, wanted: str, sentence: str) -> None:
    assert problems_of(text, wanted) == [sentence]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name: x\nsteady_sate: []\nfautls: []\n", "experiment"),
        ("name: x\nsystem: lab\ntags: [a]\nfoo: 1\n", "experiment"),
        ("name: x\nenvironment: staging\ntelemetri: {}\n", "system"),
        ("name: x\npurpse: learn\nstep: []\n", "game day"),
        ("foo: 1\n", "experiment"),
    ],
)
def test_a_file_that_is_only_misspelt_is_told_every_mistake(text: str, wanted: str) -> None:
    assert len(problems_of(text, wanted)) > 1


def test_an_experiment_that_also_has_a_key_of_a_system_stays_an_experiment() -> None:
    assert problems_of(EXPERIMENT + "telemetry: {}\n", "experiment")[0].startswith("unknown key")


def test_probes_that_are_called_like_keys_of_other_kinds_stay_probes() -> None:
    assert "steps" in parse_probes(PROBES.replace("accuracy:", "steps:", 1), "f")


def test_several_manifests_in_one_file_are_told_to_be_that_and_not_to_be_parted() -> None:
    assert "these are Kubernetes manifests" in problems_of(f"{KUBERNETES}---\n{KUBERNETES}", "experiment")[0]


def test_nothing_is_said_beside_it_of_the_system_that_the_wrong_file_names(tmp_path: Path) -> None:
    (tmp_path / "day.yaml").write_text(GAME_DAY)
    (tmp_path / "e.yaml").write_text(EXPERIMENT)
    for read in (lambda: load(tmp_path / "day.yaml", state=tmp_path), lambda: load_day(tmp_path / "e.yaml")):
        with pytest.raises(InvalidFile) as refused:
            read()
        assert len(refused.value.problems) == 1


def test_a_message_repeats_only_the_beginning_of_a_long_text_or_key() -> None:
    long = "abc " * 100
    for text in (
        long,
        f"name: '{long}'\nfaults: []\n",
        f"faults: []\n'{long}': 1\n",
        f"faults: []\na: !{'t' * 400} x\n",
    ):
        with pytest.raises(InvalidFile) as refused:
            parse(text, "f", {})
        assert "…" in str(refused.value)
        assert "abc " * 20 not in str(refused.value)
        assert "t" * (LONGEST_ECHO + 1) not in str(refused.value)


def test_a_long_secret_is_not_shown_in_short_either() -> None:
    with pytest.raises(InvalidFile) as refused:
        parse_system(SYSTEM.replace("environment: lab", "environment: ${TOKEN}"), "f", {"TOKEN": "hunter2" * 20})
    assert "hunter2" not in str(refused.value)
    assert "${TOKEN}" in str(refused.value)
