"""The docs site builds without a warning, has every page, and fetches nothing of its own from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chaos.app import reference_pages
from tests.docs.blocks import ROOT


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site is made of, in a folder of its own; the programs are those of this environment."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("docs", "experiments", "probes", "scripts", "deploy", "benchmarks", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*ROOT.glob("*.md"), ROOT / "mkdocs.yml", ROOT / "LICENSE", ROOT / "Makefile"]:
        shutil.copyfile(path, folder / path.name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    return folder


def built(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "scripts" / "site"], cwd=checkout, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_site_builds_without_a_warning_and_has_every_page(checkout: Path) -> None:
    done = built(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in (ROOT / "docs").rglob("*.md"):
        made = checkout / ".chaos" / "site" / "html" / page.relative_to(ROOT / "docs").with_suffix(".html")
        assert made.is_file(), made


def test_a_link_that_leads_nowhere_ends_the_build(checkout: Path) -> None:
    page = checkout / "docs" / "safety.md"
    before = page.read_text()
    page.write_text(before + "\n[nowhere](how-to/nothing.md)\n")
    try:
        assert built(checkout).returncode != 0
    finally:
        page.write_text(before)


def test_every_page_is_in_the_navigation_or_in_the_list_of_decisions() -> None:
    said = re.sub(r"!!python/name:\S+", "x", (ROOT / "mkdocs.yml").read_text())
    named = set(re.findall(r"[\w/-]+\.md", yaml.safe_dump(yaml.safe_load(said)["nav"])))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages - named if not page.startswith("decisions/")} == set()


@pytest.mark.parametrize("name", ["commands.md", "probes.md", "protocols.md"])
def test_a_page_of_the_reference_is_what_the_code_says_today(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == reference_pages.pages()[name], "run `make docs`"
