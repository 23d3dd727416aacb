"""The pages of the docs site, brought together in one folder.

docs/ ─────────────────────────▶ FOLDER/
files that its links lead to ──▶ FOLDER/files/…, and the links lead there
docs/decisions/*.md ───────────▶ FOLDER/decisions/index.md, a list of them
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_LINK = re.compile(r"(?<=\]\()(?P<to>[^)#:\s]+)(?P<anchor>#[^)]*)?(?=\))")


def pages() -> Iterator[Path]:
    """Every page, as a path below docs/."""
    yield from sorted(path.relative_to(DOCS) for path in DOCS.rglob("*.md"))


def outside(page: Path, link: str) -> Path | None:
    """The file or folder of the repository that this link of a page leads to, when it is outside of docs/."""
    target = (DOCS / page.parent / link).resolve()
    return None if target.is_relative_to(DOCS) else target


def carried(page: Path, link: str, into: Path) -> str:
    """The link as it is on the site: what it leads to outside of docs/ has been copied, as text that a browser shows."""
    target = outside(page, link)
    if target is None:
        return link
    name = target.relative_to(ROOT)
    here = PurePosixPath(*[".."] * len(page.parent.parts)) / "files"
    if target.is_dir():
        listed = into / "files" / name / "index.md"
        listed.parent.mkdir(parents=True, exist_ok=True)
        inner = sorted(
            one for one in target.iterdir() if one.is_file() and one.suffix in {".yaml", ".json", ".md", ".py"}
        )
        for one in inner:
            shutil.copyfile(one, listed.parent / f"{one.name}.txt")
        listed.write_text(f"# {name}\n\n" + "".join(f"- [{one.name}]({one.name}.txt)\n" for one in inner))
        return str(here / name.as_posix() / "index.md")
    copy = into / "files" / name.parent / f"{name.name}.txt"
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(target, copy)
    return str(here / name.parent.as_posix() / copy.name)


def with_carried(page: Path, text: str, into: Path) -> str:
    """The page, whose links all stay on the site."""
    return _LINK.sub(lambda found: carried(page, found["to"], into) + (found["anchor"] or ""), text)


def decisions() -> str:
    """The list of the decisions, by their titles."""
    rows = [
        (path.name, path.read_text().splitlines()[0].lstrip("# "))
        for path in sorted((DOCS / "decisions").glob("0*.md"))
    ]
    return "# Decisions\n\nWhat somebody will question later, with its reasons.\n\n" + "".join(
        f"- [{title}]({name})\n" for name, title in rows
    )


def main(into: Path) -> None:
    """The folder has everything that the site is made of, and nothing else."""
    shutil.rmtree(into, ignore_errors=True)
    for path in sorted(one for one in DOCS.rglob("*") if one.is_file() and one.suffix != ".md"):
        copy = into / path.relative_to(DOCS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for page in pages():
        copy = into / page
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(with_carried(page, (DOCS / page).read_text(), into))
    (into / "decisions" / "index.md").write_text(decisions())


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
