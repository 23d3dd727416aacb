"""The documents are true: their files parse, their tables are whole, their picture is the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.main import get_command

from chaos.app.cli import app
from chaos.app.fault_facts import FAMILIES
from chaos.app.fault_page import page
from chaos.calendar import Calendar
from chaos.document import read_document
from chaos.engine import picture
from chaos.experiment import (
    BlastRadius,
    Expect,
    ExpectedAlert,
    Experiment,
    Load,
    SteadyInline,
    SweepEntry,
    json_schema,
    link,
    parse,
)
from chaos.faults import catalogue
from chaos.faults.base import Fault
from chaos.gameday import GameDay, Schedule, Step, Tell, parse_gameday
from chaos.gameday import json_schema as gameday_schema
from chaos.gameday.file import Email, Limits
from chaos.probe import merge
from chaos.proxy.arming import parse_arming
from chaos.proxy.registry import Registry
from chaos.system import Request, System, Target, Telemetry, parse_system
from chaos.verdict import EXIT_CODE, MEANING

ROOT = Path(__file__).parents[1]
EXPERIMENT = (ROOT / "docs" / "experiment.md").read_text()
SYSTEM = (ROOT / "docs" / "your-system.md").read_text()
GAMEDAYS = (ROOT / "docs" / "gamedays.md").read_text()
README = (ROOT / "README.md").read_text()


def block(text: str, language: str = "yaml") -> str:
    """The first code block of this language."""
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_documented_experiment_fits_the_documented_system() -> None:
    variables = {"CHAOS_PROXY_TOKEN": "0123456789abcdef"}
    system, _ = parse_system(block(SYSTEM), "system.yaml", variables)
    experiment, document = parse(
        block(EXPERIMENT).replace("lab:applications", "staging:applications"), "experiment.yaml", {}
    )
    probes = merge({str(path): path.read_text() for path in (ROOT / "probes").glob("*.yaml")})
    assert link(experiment, document, system, probes) == []


def overlays() -> list[str]:
    """The documented pieces of an experiment, but for the one whose fault is another tool's."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", EXPERIMENT, re.MULTILINE | re.DOTALL)[1:]
    return [text for text in blocks if "faults:" not in text]


@pytest.mark.parametrize("piece", overlays())
def test_every_documented_piece_fits_the_documented_experiment(piece: str) -> None:
    whole = yaml.safe_load(block(EXPERIMENT)) | yaml.safe_load(piece)
    made, _ = parse(yaml.safe_dump(whole, allow_unicode=True, sort_keys=False), "experiment.yaml", {})
    assert set(yaml.safe_load(piece)) <= made.model_fields_set
    assert list(Draft202012Validator(json_schema()).iter_errors(whole)) == []


def test_the_documented_game_day_is_right() -> None:
    variables = {
        "SLACK_URL": "https://chat.example/a",
        "HOOK_URL": "https://hooks.example/b",
        "SMTP_PASSWORD": "hunter2",
    }
    made, _ = parse_gameday(block(GAMEDAYS), "gameday.yaml", variables)
    assert len(made.tell) == 3
    assert (
        list(Draft202012Validator(gameday_schema()).iter_errors(read_document(block(GAMEDAYS), "g", variables).data))
        == []
    )


def keys(*models: type) -> set[str]:
    return {field.alias or name for model in models for name, field in model.model_fields.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "models"),
    [
        (EXPERIMENT, (Experiment, Load, BlastRadius, Expect, ExpectedAlert, SteadyInline, SweepEntry, Fault)),
        (SYSTEM, (System, Target, Request, Telemetry, Calendar)),
        (GAMEDAYS, (GameDay, Schedule, Step, Limits, Tell, Email)),
    ],
)
def test_every_key_is_documented(text: str, models: tuple[type, ...]) -> None:
    missing = {key for key in keys(*models) if not re.search(rf"\b{key}:|`{key}`", text)}
    assert not missing - {"when_missing"}


def test_the_verdict_table_has_every_verdict_with_its_exit_code_and_meaning_worst_first() -> None:
    rows = re.findall(r"^\| (\w+) \| (\d+) \| ([^|]+) \|", EXPERIMENT, re.MULTILINE)
    assert [(name, int(code), meaning.strip()) for name, code, meaning in rows] == [
        (name, code, MEANING[name]) for name, code in EXIT_CODE.items()
    ]


def test_the_state_diagram_is_the_codes() -> None:
    assert block((ROOT / "docs" / "how-it-works.md").read_text(), "mermaid") == picture()


def test_the_readmes_excerpt_is_the_shipped_experiment() -> None:
    shown = yaml.safe_load(block(README))
    shipped = yaml.safe_load((ROOT / "experiments" / "quickstart.yaml").read_text())
    assert shown["faults"] == shipped["faults"]
    assert shown["blast_radius"].items() <= shipped["blast_radius"].items()
    assert {name: value for name, value in shown["load"].items() if name != "warmup"}.items() <= shipped["load"].items()
    assert all(entry in shipped["steady_state"] for entry in shown["steady_state"])
    assert shown["expect"]["harms"] == shipped["expect"]["harms"]
    assert shown["expect"]["alerts"][0].items() <= shipped["expect"]["alerts"][0].items()


def test_every_command_that_the_documents_name_exists() -> None:
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        named = set(re.findall(r"(?:^\$ |`|&& |; )chaos ([a-z]+)\b", path.read_text(), re.MULTILINE))
        assert named <= known, path


def test_links_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_arming_on_the_proxys_page_is_one_that_a_proxy_takes() -> None:
    page = (ROOT / "docs" / "proxy.md").read_text()
    found = re.search(r"\$ cat arming\.json\n(\{.*?\})\n\$ curl -X PUT", page, re.DOTALL)
    assert found is not None
    state = Registry(lambda: 0.0).arm("by-hand", parse_arming(json.loads(found[1])))
    assert state.last_armed is not None
    assert [fault.name for fault in state.last_armed.answer_faults] == ["wrong_predictions"]


def test_every_target_that_a_page_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"\bmake ([a-z-]+)`", page.read_text())}
    assert named <= targets
    assert {"quickstart", "test", "bench"} <= named | targets


def test_the_page_of_faults_is_what_the_faults_say_today() -> None:
    assert (ROOT / "docs" / "faults.md").read_text() == page(), "run `make docs`"


def test_the_page_of_faults_has_a_heading_for_each_and_all_that_is_known_of_it() -> None:
    sections = re.split(r"^### ", page(), flags=re.MULTILINE)[1:]
    named = {section.splitlines()[0]: section for section in sections}
    assert named.keys() == catalogue().keys()
    for name, section in named.items():
        kind = catalogue()[name]
        own = {field.alias or key for key, field in kind.model_fields.items() if key not in Fault.model_fields}
        assert all(f"| `{key}` |" in section for key in own), name
        assert all(text in section for text in (f"{kind.must}.", f"{kind.quiet}.", kind.blind)), name
        assert yaml.safe_load(block(section))["faults"][0]["fault"] == name


def test_every_family_is_one_of_the_catalogue() -> None:
    assert {kind.family for kind in catalogue().values()} <= set(FAMILIES)


def test_no_parameter_of_a_fault_stands_there_without_what_may_be_written_for_it() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", page(), re.MULTILINE)
    assert rows
    assert all(needed == "required" or needed.startswith("default ") for _, needed, _, _ in rows)
    assert all(form and says for _, _, form, says in rows)


def test_every_test_that_the_security_page_names_exists_and_every_threat_names_one() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    threats = page.partition("## Threats")[2].partition("## What is not defended")[0]
    rows = [row for row in threats.splitlines() if row.startswith("| ") and not row.startswith("| what could")]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::((?:\w+::)*)(test_\w+)`", row.split(" | ")[-1])
        assert named, row
        for path, _, name in named:
            assert f"def {name}(" in (ROOT / "tests" / path).read_text() or _shared(path, name), f"{path}::{name}"


def _shared(path: str, name: str) -> bool:
    """Whether the test is one of a contract that the file's class inherits."""
    file = ROOT / "tests" / path
    contracts = [one.read_text() for one in file.parent.glob("*contract*.py")]
    return "Contract" in file.read_text() and any(f"def {name}(" in text for text in contracts)


def test_no_two_decisions_have_one_number() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == [f"{place:04}" for place in range(1, len(numbers) + 1)]
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        assert re.match(rf"# 0*{int(path.name[:4])}[.:] ", path.read_text()), path.name


INSTALLS = re.compile(r"""install\b[^\n`]{0,60}[ '"]chaos-ml\b(?!/)""")


@pytest.mark.parametrize(
    "said", ["pip install chaos-ml", "pip install -U 'chaos-ml[ui]'", "-m pip install --upgrade chaos-ml"]
)
def test_an_install_from_a_registry_is_known_by_its_words(said: str) -> None:
    assert INSTALLS.search(said)
    assert not INSTALLS.search(said.replace("chaos-ml", "."))


def test_nothing_says_to_install_this_from_a_registry() -> None:
    """The name there is a stranger's: whoever installed it would run a stranger's code."""
    said = []
    for folder in ("chaos", "docs", "deploy", "scripts", "README.md", "CHANGELOG.md", "mkdocs.yml"):
        place = Path(__file__).parents[1] / folder
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.suffix in {".py", ".md", ".yaml", ".yml", ".j2", ".txt", ".service", ".sh", ""} and path.is_file():
                said += [f"{path}: {match[0]}" for match in INSTALLS.finditer(path.read_text("utf-8", "replace"))]
    assert said == []
