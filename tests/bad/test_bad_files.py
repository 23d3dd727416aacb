"""Files that people write wrongly, one mistake each, and every word that they are told.

Each file ends with a comment block that starts with `# says:` and holds the whole message. `system_*.yaml` are system
files and `probes_*.yaml` catalogue files; the others are experiments against `good/system.yaml` and the shipped probes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.files import load, read_text
from chaos.errors import InvalidFile
from chaos.probe import merge

FOLDER = Path(__file__).parent
BAD = sorted(path.name for path in FOLDER.glob("*.yaml"))
VARIABLES = {
    "CHAOS_TEST_WITHIN": "60s",
    "CHAOS_TEST_RATE": "40/s",
    "CHAOS_TEST_INJECTED": "one\nsystem: two",
    "CHAOS_TEST_SECRET": "hunter2",
}


def load_as_named(name: str) -> None:
    """The file is loaded in the way that its name says. Raises InvalidFile."""
    if name.startswith("probes_"):
        merge({name: read_text(Path(name))})
    elif name.startswith("system_"):
        load(Path("good/experiment.yaml"), system=name, variables=VARIABLES, state=Path("nowhere"))
    else:
        load(Path(name), variables=VARIABLES, state=Path("nowhere"))


def test_the_files_that_the_wrong_ones_were_made_of_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    assert load(Path("good/experiment.yaml"), system="good/system.yaml").experiment.name == "wrong-predictions"
    assert set(merge({"good/probes.yaml": read_text(Path("good/probes.yaml"))})) == {"accuracy"}


def test_no_message_repeats_a_value_that_was_put_in_for_a_variable() -> None:
    told = "".join(expected(name) for name in BAD)
    assert "hunter2" not in told
    assert "${CHAOS_TEST_SECRET}" in told


def expected(name: str) -> str:
    """What the comment block at the end of the file says that people are told."""
    text = (FOLDER / name).read_bytes().decode("utf-8", "replace")
    _, found, block = text.partition("# says:\n")
    assert found, f"{name} does not end with `# says:`"
    return "\n".join(line.removeprefix("# ").removeprefix("#") for line in block.splitlines())


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_file_is_refused_with_exactly_the_words_at_its_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(InvalidFile) as refused:
        load_as_named(name)
    assert str(refused.value) == expected(name)
