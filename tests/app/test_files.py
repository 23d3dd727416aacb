"""Which file a system's name stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.app.files import system_path
from chaos.errors import InvalidFile

EXPERIMENT = Path("experiment.yaml")


def with_files(state: Path, *names: str) -> Path:
    for name in names:
        file = state / "labs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return state / "labs"


def test_a_labs_name_is_its_system_and_its_language_models_with_llm_behind_it(tmp_path: Path) -> None:
    labs = with_files(tmp_path, "mine/system.yaml", "mine/system-llm.yaml")
    assert system_path("mine", EXPERIMENT, tmp_path) == labs / "mine" / "system.yaml"
    assert system_path("mine-llm", EXPERIMENT, tmp_path) == labs / "mine" / "system-llm.yaml"


def test_a_lab_that_is_called_like_that_itself_comes_first(tmp_path: Path) -> None:
    labs = with_files(tmp_path, "mine/system-llm.yaml", "mine-llm/system.yaml")
    assert system_path("mine-llm", EXPERIMENT, tmp_path) == labs / "mine-llm" / "system.yaml"


@pytest.mark.parametrize("name", ["-llm", "mine", "lab-llm", "other"])
def test_a_language_model_of_no_lab_is_no_system(name: str, tmp_path: Path) -> None:
    with_files(tmp_path, "other/system-llm.yaml", "system-llm.yaml")
    with pytest.raises(InvalidFile):
        system_path(name, EXPERIMENT, tmp_path)
