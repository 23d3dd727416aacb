"""Whom Alertmanager tells: its routing tree as a value, and which way an alert takes through it. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from chaos.units import parse_duration


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a route on a label."""

    name: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it; a missing label counts as empty, expressions are anchored."""
        found = labels.get(self.name, "")
        match self.operator:
            case "=":
                return found == self.value
            case "!=":
                return found != self.value
            case "=~":
                return re.fullmatch(self.value, found) is not None
            case "!~":
                return re.fullmatch(self.value, found) is None


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
        """The routes that an alert with these labels takes: children first, the first match unless it continues."""
        if not all(matcher.holds(labels) for matcher in self.matchers):
            return []
        taken: list[Route] = []
        for child in self.children:
            found = child.routes_for(labels)
            taken += found
            if found and not child.continue_:
                break
        return taken or [self]

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
    each: list[bool | None] = []
    for one in matchers:
        try:
            each.append(one.holds(labels) if one.name in labels else None)
        except re.error:  # Alertmanager's expressions are Go's, which know some that Python does not
            each.append(None)
    return False if False in each else None if None in each else True


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


_MATCHER = re.compile(r'\s*([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*"?((?:[^"\\]|\\.)*)"?\s*')


def _matchers(row: Mapping[str, Any]) -> tuple[Matcher, ...]:
    found: list[Matcher] = []
    listed = row.get("matchers") or []
    for text in listed if isinstance(listed, list) else [listed]:
        for part in str(text).strip().strip("{}").split(","):
            match = _MATCHER.fullmatch(part)
            if match is not None:
                found.append(Matcher(match[1], match[2], match[3]))  # type: ignore[arg-type]
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
