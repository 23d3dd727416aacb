"""What the tests of the report share: a reader of pages, and journals that differ a little from a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from chaos.events import Collected, Record, RunStarted, State, StateEntered
from chaos.journal import Line, read
from chaos.judging import judge
from chaos.judging.trace import trace
from chaos.observation import SeriesRead
from chaos.plans import Plan
from chaos.report.html import render

VOID = {"meta", "link", "br", "input"}


class Page(HTMLParser):
    """A page taken apart: elements with their attributes and, for each, the text inside."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.said.append(data)
            self.inside.append((self.open[-1], data))

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def rendered(lines: list[Line]) -> str:
    return render(judge(lines), trace(lines).plan, lines)


def page(lines: list[Line]) -> Page:
    return Page(rendered(lines))


def planned(lines: list[Line], **changes: object) -> list[Line]:
    """The same journal of a run with another plan."""
    started = lines[0].record
    assert isinstance(started, RunStarted)
    changed = replace(Plan.from_json(started.plan), **changes)  # type: ignore[arg-type]
    return [replace(lines[0], record=replace(started, plan=changed.to_json())), *lines[1:]]


def changed(lines: list[Line], change: Callable[[Record], Record | None]) -> list[Line]:
    """Every record put through `change`; what becomes None is left out."""
    put = [(line, change(line.record)) for line in lines]
    return [replace(line, record=record) for line, record in put if record is not None]


def inserted(lines: list[Line], state: State, *records: Record) -> list[Line]:
    """The records stand just before this state is entered."""
    place = next(
        place
        for place, line in enumerate(lines)
        if isinstance(line.record, StateEntered) and line.record.state is state
    )
    return [*lines[:place], *(replace(lines[place], record=record) for record in records), *lines[place:]]


def collected(lines: list[Line], series: Callable[[tuple[SeriesRead, ...]], Iterable[SeriesRead]]) -> list[Line]:
    """Other series were collected: `series` maps the old ones to new ones."""

    def change(record: Record) -> Record:
        return replace(record, series=tuple(series(record.series))) if isinstance(record, Collected) else record

    return changed(lines, change)


def real_run() -> list[Line]:
    """The journal of a run of the quickstart that was confirmed."""
    return read((Path(__file__).parent / "journals" / "confirmed.jsonl").read_text())
