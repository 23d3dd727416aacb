"""Prometheus' rule files, read: what would be loaded. Pure."""

from __future__ import annotations

from typing import Any

import yaml

from chaos.telemetry import RecordingRule, RuleInfo
from chaos.units import parse_duration


def parse_rules(text: str, interval_s: float = 60.0) -> tuple[list[RuleInfo], list[RecordingRule]]:
    """The alerting and the recording rules of a file. `interval_s` is for groups that state none.

    Raises ValueError that says what is wrong; whether expressions can be evaluated, the server says.
    """
    try:
        data = yaml.safe_load(text)
        alerting: list[RuleInfo] = []
        recording: list[RecordingRule] = []
        for group in data["groups"] or ():
            every_s = parse_duration(group["interval"]) if "interval" in group else interval_s
            for row in group.get("rules") or ():
                if "alert" in row:
                    alerting.append(_alerting(row, group, every_s))
                else:
                    recording.append(RecordingRule(row["record"], row["expr"], _labels(row), every_s))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        said = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ValueError(f"these rules are no YAML: {where}{said}") from error
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no file of Prometheus' rules: {type(error).__name__} {error}") from error
    return alerting, recording


def _alerting(row: Any, group: Any, interval_s: float) -> RuleInfo:
    return RuleInfo(
        name=str(row["alert"]),
        expr=str(row["expr"]).strip(),
        for_s=parse_duration(row["for"]) if "for" in row else 0.0,
        keep_firing_s=parse_duration(row["keep_firing_for"]) if "keep_firing_for" in row else 0.0,
        labels=_labels(row),
        annotations={str(name): str(value) for name, value in (row.get("annotations") or {}).items()},
        group=str(group.get("name", "")),
        interval_s=interval_s,
    )


def _labels(row: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in (row.get("labels") or {}).items()}
