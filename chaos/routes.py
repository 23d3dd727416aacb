"""Whom Alertmanager tells: its routing tree as a value, and which way an alert takes through it. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from chaos.expressions import matches
from chaos.units import parse_duration


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a route on a label."""

    name: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool | None:
        """Whether these labels meet it; a missing label counts as empty, expressions are anchored. None when nobody can tell."""
        found = labels.get(self.name, "")
        if self.operator in ("=", "!="):
            return (found == self.value) == (self.operator == "=")
        matched = matches(self.value, found)
        return None if matched is None else matched == (self.operator == "=~")


@dataclass(frozen=True, slots=True)
class Route:
    """One node of Alertmanager's routing tree, with its inherited defaults filled in."""

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    group_by: tuple[str, ...] = ()
    group_wait_s: float = 30.0
    group_interval_s: float = 300.0
    repeat_interval_s: float = 14400.0
    continue_: bool = False
    children: tuple[Route, ...] = ()

    def routes_for(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes that an alert with these labels takes: children first, the first match unless it continues.

        Where nobody can tell whether a route matches, it is among them, and so is what would be taken without it.
        """
        return self._taken(labels)[0]

    def _taken(self, labels: Mapping[str, str]) -> tuple[list[Route], bool | None]:
        """The routes that may be taken here, and whether any of them is for certain."""
        met = _all(matcher.holds(labels) for matcher in self.matchers)
        if met is False:
            return [], False
        taken: list[Route] = []
        certain = False
        for child in self.children:
            found, sure = child._taken(labels)  # noqa: SLF001 - a route like this one
            taken += found
            certain = certain or sure is True
            if sure and not child.continue_:
                break
        return (taken if certain else [*taken, self]), met

    def receivers_for(self, labels: Mapping[str, str]) -> frozenset[str]:
        """Every receiver that an alert with at least these labels may be sent to, whatever else it carries."""
        if _met(self.matchers, labels) is False:
            return frozenset()
        found: frozenset[str] = frozenset()
        for child in self.children:
            found |= child.receivers_for(labels)
            if _met(child.matchers, labels) and not child.continue_:
                return found
        taken = any(_met(child.matchers, labels) for child in self.children)
        return found if taken else found | {self.receiver}


def _met(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool | None:
    """Whether all of these hold for an alert with at least these labels; None when that depends on its other labels."""
    return _all(one.holds(labels) if one.name in labels else None for one in matchers)


def _all(each: Iterable[bool | None]) -> bool | None:
    """True when all are, False when one is not, else None."""
    known = tuple(each)
    return False if False in known else None if None in known else True


@dataclass(frozen=True, slots=True)
class ActiveSilence:
    """One active silence: it holds back what all of its matchers hold for."""

    matchers: tuple[Matcher, ...]
    created_by: str = ""
    comment: str = ""
    ends_at: str = ""

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds back every alert with at least these labels."""
        return bool(self.matchers) and _met(self.matchers, labels) is True

    def __str__(self) -> str:
        said = ", ".join(f'{one.name}{one.operator}"{one.value}"' for one in self.matchers)
        return f"{{{said}}} by {self.created_by or 'nobody named'} until {self.ends_at}" + (
            f" ({self.comment})" if self.comment else ""
        )


_MATCHER = re.compile(r'\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^",]*))\s*(?:,|$)')
_ESCAPED = re.compile(r'\\([\\"n])')


def _unquoted(text: str) -> str:
    """What stands between quotes: Alertmanager knows three escapes, and leaves every other backslash where it is."""
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)


def _matchers(row: Mapping[str, Any]) -> tuple[Matcher, ...]:
    found: list[Matcher] = []
    listed = row.get("matchers") or []
    for said in listed if isinstance(listed, list) else [listed]:
        text = str(said).strip()
        inside = text[1:-1] if text.startswith("{") and text.endswith("}") else text
        for one in _MATCHER.finditer(inside):
            value = _unquoted(one[3]) if one[3] is not None else one[4].strip()
            found.append(Matcher(one[1], one[2], value))  # type: ignore[arg-type]
    found += [Matcher(name, "=", str(value)) for name, value in (row.get("match") or {}).items()]
    found += [Matcher(name, "=~", str(value)) for name, value in (row.get("match_re") or {}).items()]
    return tuple(found)


MOST_ROUTES = 5000
"""Of one configuration, aliases written out."""


def _route(row: Mapping[str, Any], above: Route, count: Iterator[int]) -> Route:
    if next(count) > MOST_ROUTES:
        raise ValueError(f"this configuration has more than {MOST_ROUTES:,} routes, aliases written out")

    def seconds(key: str, inherited: float) -> float:
        return parse_duration(row[key]) if key in row else inherited

    here = Route(
        receiver=row.get("receiver") or above.receiver,
        matchers=_matchers(row),
        group_by=tuple(row.get("group_by", above.group_by)),
        group_wait_s=seconds("group_wait", above.group_wait_s),
        group_interval_s=seconds("group_interval", above.group_interval_s),
        repeat_interval_s=seconds("repeat_interval", above.repeat_interval_s),
        continue_=bool(row.get("continue", False)),
    )
    children = tuple(_route(child, here, count) for child in row.get("routes") or ())
    return Route(
        here.receiver, here.matchers, here.group_by, here.group_wait_s, here.group_interval_s, here.repeat_interval_s,
        here.continue_, children,
    )  # fmt: skip


def parse_alertmanager_config(text: str) -> Route:
    """The routing tree of an Alertmanager configuration. Raises ValueError when there is none."""
    row = yaml.safe_load(text)
    if not isinstance(row, dict) or not isinstance(row.get("route"), dict):
        raise ValueError("this configuration has no route")
    return _route(row["route"], Route(""), itertools.count(1))


def parse_integrations(text: str) -> Mapping[str, bool]:
    """Receiver of an Alertmanager configuration → whether it has any integration, and so can tell anybody."""
    row = yaml.safe_load(text)
    if not isinstance(row, dict) or not isinstance(row.get("receivers"), list):
        raise ValueError("this configuration has no receivers")
    return {
        str(one["name"]): any(key.endswith("_configs") and said for key, said in one.items())
        for one in row["receivers"]
        if isinstance(one, dict)
    }
