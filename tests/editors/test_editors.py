"""The real yaml-language-server, which most editors run, offers, explains and marks what it should in the files that people write.

`make editors` installs it and runs this; nothing else collects this folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.app.schemas import write_all
from chaos.faults import catalogue
from chaos.first_steps.files import files_of
from chaos.first_steps.system_text import Wish
from tests.editors.server import Server
from tests.first_steps.test_files import FOUND

ROOT = Path(__file__).parents[2]
EXPERIMENT = "# yaml-language-server: $schema=./experiment.schema.json\n"
SYSTEM = "# yaml-language-server: $schema=./system.schema.json\n"
DELAY = (ROOT / "experiments" / "delay.yaml").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("editor")
    write_all(made)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    made = Server(os.environ["YAML_LANGUAGE_SERVER"].split(), folder)
    yield made
    made.close()


def test_every_fault_is_offered_behind_fault(server: Server, folder: Path) -> None:
    assert set(server.completions(folder / "faults.yaml", f"{EXPERIMENT}faults:\n  - fault: |\n")) == set(catalogue())


def test_the_parameters_of_the_fault_are_offered_and_those_of_no_other(server: Server, folder: Path) -> None:
    offered = server.completions(folder / "keys.yaml", f"{EXPERIMENT}faults:\n  - fault: delay\n    |\n")
    assert {"target", "by", "jitter", "duration", "share"} <= set(offered)
    assert not {"status", "group", "feature"} & set(offered)


def test_values_are_offered(server: Server, folder: Path) -> None:
    text = f"{EXPERIMENT}faults:\n  - fault: delay\n    until: |\n"
    assert server.completions(folder / "values.yaml", text) == ["decided", "full"]
    assert "openai" not in server.completions(folder / "values.yaml", text)


def test_keys_of_the_file_are_offered(server: Server, folder: Path) -> None:
    assert {"steady_state", "blast_radius", "expect"} <= set(
        server.completions(folder / "top.yaml", f"{EXPERIMENT}name: x\n|")
    )
    assert {"targets", "telemetry", "receivers"} <= set(
        server.completions(folder / "system.yaml", f"{SYSTEM}name: x\n|")
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("faults:\n  - fault: de|lay\n    by: 3s\n", "the model's answer takes longer"),
        ("faults:\n  - fault: delay\n    b|y: 3s\n", "how long"),
        ("base|line: 30s\n", "the quiet time before the fault"),
        ("expect:\n  alerts:\n    - alert: X\n      with|in: 3s\n", "how soon after the first proven effect"),
    ],
)
def test_a_hover_says_what_it_means(text: str, shown: str, server: Server, folder: Path) -> None:
    assert shown in server.hover(folder / "hover.yaml", EXPERIMENT + text)


@pytest.mark.parametrize(
    ("right", "wrong", "marked"),
    [
        ("recovery:", "recovry:", "recovry"),
        ("fault: delay", "fault: dealy", '"delay"'),
        ("    by: ", "    byy: ", "byy"),
        ("within: 60s", "within: 60 ", "string"),
    ],
)
def test_a_typo_is_marked_where_it_stands(right: str, wrong: str, marked: str, server: Server, folder: Path) -> None:
    assert right in DELAY
    text = EXPERIMENT + DELAY.replace(right, wrong, 1)
    line = text[: text.index(wrong)].count("\n") + 1 + wrong.count("\n")
    found = server.diagnostics(folder / "typo.yaml", text)
    assert any(marked in one and abs(int(one.split(":")[0]) - line) <= 1 for one in found), found


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").rglob("*.yaml")), ids=lambda path: path.name)
def test_nothing_is_marked_in_a_shipped_experiment(path: Path, server: Server, folder: Path) -> None:
    assert server.diagnostics(folder / f"shipped-{path.name}", EXPERIMENT + path.read_text()) == []


def test_nothing_is_marked_in_what_init_writes(server: Server, folder: Path) -> None:
    for one in files_of(FOUND, Wish())[0]:
        (folder / one.path).parent.mkdir(exist_ok=True)
        assert server.diagnostics(folder / one.path, one.text) == [], one.path
