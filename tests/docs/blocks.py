"""The code blocks of README and docs, and what kind of thing each is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL)
ELIDED = "…"
"""Stands in a block for what was left out: then only its form is checked."""


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its fence."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """README and every page."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(*languages: str) -> Iterator[Block]:
    """Every block of these languages."""
    for page in pages():
        text = page.read_text()
        for found in _BLOCK.finditer(text):
            if found["language"] in languages:
                line = text.count("\n", 0, found.start()) + 1
                yield Block(page, line, found["language"], textwrap.dedent(found["text"]))


def commands(block: Block) -> list[str]:
    """The commands of a console block, whose prompt is `$ `, or of a block whose lines are commands; continued lines are one."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    if block.language == "console":
        return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]
    return [line for line in joined.splitlines() if re.match(r"(chaos|make) ", line)]
