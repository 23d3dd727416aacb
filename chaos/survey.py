"""What the drivers found when they asked the system once, before the plan. A value; the asking is done by the app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from chaos.routes import Route
from chaos.rulecheck.facts import RuleFacts
from chaos.telemetry import AlertInstance, RuleInfo


@dataclass(frozen=True, slots=True)
class ContainerFound:
    """One container of a target: what `ContainerDriver.find` said, and whether it carries the opt-in label."""

    name: str
    id: str
    status: str
    labels: Mapping[str, str]
    opted_in: bool
    started_at: str = ""
    before: Mapping[str, JsonValue] = field(default_factory=dict)
    """What `ContainerDriver.inspect` said: the state that an undo goes back to."""
    held_by: str | None = None
    """Another run that may hurt it now."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One run that holds a fault proxy, and its slice as it was written; None: it may touch every request."""

    run: str
    where: str | None = None
    alone: bool = False
    """Whether the proxy is an older one, which one run at a time can hold, and which does not say its slice."""


@dataclass(frozen=True, slots=True)
class ProxyFound:
    """One fault proxy: `holders` are the runs that hold it, `error` is why it cannot be used."""

    address: str
    version: str = ""
    holders: tuple[Holder, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that the plan needs to know about the system as it is now. `errors` say what could not be asked."""

    at_wall_s: float
    scrape_s: float = 1.0
    evaluation_s: float = 1.0
    clock_offset_s: float = 0.0
    rules: tuple[RuleInfo, ...] = ()
    rule_values: Mapping[str, float | None] = field(default_factory=dict)
    """Alert name → what its left side reads now; None when it returns nothing."""
    rule_facts: Mapping[int, RuleFacts] = field(default_factory=dict)
    """Index of an expected alert's rule in `rules` → what is known of it; without those that could not be asked."""
    outcomes: Mapping[str, float | None] = field(default_factory=dict)
    """Steady-state probe that a fault aims at, or whose events the load counts by arm → what it usually reads in the steady state.

    None when nobody knows, or it is several.
    """
    route: Route | None = None
    silenced: tuple[AlertInstance, ...] = ()
    containers: Mapping[str, tuple[ContainerFound, ...]] = field(default_factory=dict)
    cannot: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """Index of a fault → id of a container to which it cannot be done → why not."""
    driver: Mapping[str, str] = field(default_factory=dict)
    """Target → what it runs in: `docker` or `process`."""
    proxies: Mapping[str, tuple[ProxyFound, ...]] = field(default_factory=dict)
    sinks: Mapping[str, str | None] = field(default_factory=dict)
    """Receiver → None when its sink answers, else why not."""
    errors: tuple[str, ...] = ()
