"""The Grafana dashboard over our metrics, as the JSON that Grafana imports. Pure.

Source: Grafana's documentation, Dashboard JSON model. `__inputs` asks whoever imports it for a Prometheus data source.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from chaos.verdict import MEANING, VerdictName

UID = "chaos-ml"
SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
STALE_S = 60
"""What a run said of itself longer ago is not shown as now: its runner may be dead."""
_SELECTED = 'system=~"$system", experiment=~"$experiment"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: its queries as (PromQL, legend), and its place in a grid that is 24 wide."""

    title: str
    kind: str
    told: str
    queries: tuple[tuple[str, str], ...]
    x: int
    y: int
    width: int
    height: int
    unit: str = "short"
    instant: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)


def colour(name: VerdictName) -> str:
    """Green for confirmed, yellow for what proves nothing, red for a weakness."""
    return {"confirmed": "green", "inconclusive": "yellow", "invalid": "yellow", "interrupted": "yellow"}.get(
        name, "red"
    )


_ON = (
    f"max by (experiment, fault, target) (chaos_fault_active{{{_SELECTED}}} * on (experiment, system) group_left () "
    f"(time() - chaos_run_seen_timestamp_seconds{{{_SELECTED}}} < bool {STALE_S}))"
)
_ON_OFF = [{"type": "value", "options": {"0": {"text": "off", "color": "green"}, "1": {"text": "on", "color": "red"}}}]
_TABLE = {
    "transformations": [
        {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True, "__name__": True}}}
    ]
}

PANELS = (
    Panel(
        "Faults that are on", "state-timeline", "As the runner says; nothing of a runner that has been silent for a minute.",
        ((_ON, "{{experiment}}: {{fault}} at {{target}}"),),
        0, 0, 24, 7, defaults={"mappings": _ON_OFF},
    ),
    Panel(
        "Last verdicts", "table", "The last run of every experiment.",
        ((f"chaos_last_run_info{{{_SELECTED}}}", ""),), 0, 7, 14, 9, instant=True,
        defaults={"mappings": [{"type": "value", "options": {
            name: {"text": name.replace("_", " "), "color": colour(name)} for name in MEANING
        }}]},
    ),
    Panel(
        "Detection score", "gauge", "Of the faults that broke the system, the share that told somebody in time.",
        (('chaos_detection_score_ratio{system=~"$system"}', "{{system}}"),), 14, 7, 5, 9, "percentunit", instant=True,
        defaults={"min": 0, "max": 1},
    ),
    Panel(
        "Age of the last run", "bargauge", "What is not tried again is not known any more.",
        ((f"time() - chaos_last_run_timestamp_seconds{{{_SELECTED}}}", "{{experiment}}"),), 19, 7, 5, 9, "s", instant=True,
    ),
    Panel(
        "Time to detect", "timeseries", "Of the last run, from the first effect until somebody was told; dashed: what is allowed.",
        (
            (f"chaos_alert_time_to_detect_seconds{{{_SELECTED}}}", "{{alert}} ({{experiment}})"),
            (f"chaos_alert_time_to_detect_budget_seconds{{{_SELECTED}}}", "{{alert}} allowed"),
        ),
        0, 16, 12, 9, "s", defaults={"min": 0},
    ),
    Panel(
        "Alerts that did not tell, or have become slower", "timeseries",
        "1: not told in time in the last run; or the last five runs are later.",
        (
            (f"1 - chaos_alert_detected{{{_SELECTED}}}", "{{alert}} did not tell ({{experiment}})"),
            (f"chaos_alert_slower{{{_SELECTED}}}", "{{alert}} slower ({{experiment}})"),
        ),
        12, 16, 12, 9, defaults={"min": 0, "max": 1},
    ),
    Panel(
        "Kept runs by verdict", "bargauge", "Folders that are kept; one that is deleted is not counted any more.",
        ((f"sum by (verdict) (chaos_kept_runs{{{_SELECTED}}}) > 0", "{{verdict}}"),), 0, 25, 8, 8, instant=True,
    ),
    Panel(
        "Fault proxies: requests a second", "timeseries", "By arm; without a run there is none.",
        (("sum by (arm) (rate(chaos_proxy_requests_total[$__rate_interval]))", "{{arm}}"),), 8, 25, 8, 8, "reqps", defaults={"min": 0},
    ),
    Panel(
        "Fault proxies: what is hurt", "timeseries",
        "Rows that were changed, answers that were replaced, and faults that are on, as each proxy itself says.",
        (
            ("sum by (fault) (rate(chaos_proxy_changed_rows_total[$__rate_interval]))", "{{fault}}: rows a second"),
            ("sum by (fault) (rate(chaos_proxy_injected_errors_total[$__rate_interval]))", "{{fault}}: errors a second"),
            ("sum by (fault) (chaos_proxy_fault_active)", "{{fault}}: proxies where it is on"),
        ),
        16, 25, 8, 8, defaults={"min": 0},
    ),
    Panel(
        "Fault proxies: held, expired, unreachable", "timeseries",
        "Runs that hold a proxy; leases that ended because nobody renewed them; upstreams that did not answer.",
        (
            ("sum(chaos_proxy_armed)", "runs that hold a proxy"),
            ("sum(increase(chaos_proxy_lease_expiries_total[$__rate_interval]))", "expired leases"),
            ("sum by (route) (rate(chaos_proxy_upstream_unreachable_total[$__rate_interval]))", "{{route}} unreachable"),
        ),
        0, 33, 24, 7, defaults={"min": 0},
    ),
)  # fmt: skip


def dashboard() -> str:
    """The dashboard's JSON, ready to be imported."""
    made = {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "uid": UID,
        "title": "Chaos experiments",
        "description": "What experiments have shown, what is on now, and what the fault proxies do.",
        "tags": ["chaos"],
        "timezone": "utc",
        "editable": True,
        "refresh": "10s",
        "schemaVersion": 39,
        "time": {"from": "now-7d", "to": "now"},
        "annotations": {"list": [_annotations()]},
        "templating": {"list": [_variable("system", ""), _variable("experiment", 'system=~"$system"')]},
        "panels": [_panel(number, one) for number, one in enumerate(PANELS, 1)],
    }
    return json.dumps(made, indent=2) + "\n"


def _annotations() -> dict[str, Any]:
    """Regions in which a fault was on, as `announce: {grafana: …}` writes them."""
    return {
        "name": "Faults",
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "iconColor": "red",
        "target": {"type": "tags", "tags": ["chaos"], "matchAny": False, "limit": 100},
    }


def _variable(name: str, within: str) -> dict[str, Any]:
    query = f"label_values(chaos_last_run_info{{{within}}}, {name})"
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
    }


def _panel(number: int, one: Panel) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend or "__auto",
            "instant": one.instant,
            "range": not one.instant,
            **({"format": "table"} if one.kind == "table" else {}),
        }
        for place, (query, legend) in enumerate(one.queries)
    ]
    return {
        "id": number,
        "type": one.kind,
        "title": one.title,
        "description": one.told,
        "datasource": SOURCE,
        "gridPos": {"x": one.x, "y": one.y, "w": one.width, "h": one.height},
        "targets": targets,
        "options": one.options,
        "fieldConfig": {"defaults": {"unit": one.unit, **one.defaults}, "overrides": []},
        **(_TABLE if one.kind == "table" else {}),
    }
