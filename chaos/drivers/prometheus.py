"""Prometheus, through prometheus-api-client: queries, rules with their alerts, targets, intervals.

The client library's defaults are no time-out and some retries; here every call has a time-out and none is repeated, since a
look that comes late is worth less than the next one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from chaos.drivers.http import TIMEOUT_S, ask, json_of, session, understood, without_secrets
from chaos.errors import Unreachable
from chaos.telemetry import RecordingRule, RuleAlert, RuleInfo, Series, TargetHealth
from chaos.units import parse_duration

WHAT = "Prometheus"


def wall_of(text: str | None) -> float:
    """Seconds since the epoch of an RFC 3339 time (nanoseconds and all); 0.0 for none and for Go's zero time."""
    if not text or text.startswith("0001-01-01"):
        return 0.0
    text = text.replace("Z", "+00:00")
    if "." in text:
        head, _, rest = text.partition(".")
        digits = rest[: next((place for place, sign in enumerate(rest) if not sign.isdigit()), len(rest))]
        text = f"{head}.{digits[:6].ljust(6, '0')}{rest[len(digits) :]}"
    return datetime.fromisoformat(text).timestamp()


class PrometheusDriver:
    """One Prometheus server (or anything that speaks its API)."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._session = session(headers)
        self._headers = dict(headers or {})
        self._shown = without_secrets(url)
        self._client: Any = None

    def _connect(self) -> Any:
        """prometheus-api-client's connection; imported at first use, since it is heavy."""
        if self._client is None:
            from prometheus_api_client import PrometheusConnect
            from urllib3.util.retry import Retry

            self._client = PrometheusConnect(
                self.url,
                headers=self._headers,
                session=self._session,
                retry=Retry(total=0, read=False, raise_on_status=False),
                timeout=self.timeout_s,
            )
        return self._client

    def _get(self, path: str, **parameters: str) -> Any:
        answer = ask(self._session, "GET", f"{self.url}{path}", what=WHAT, timeout_s=self.timeout_s, params=parameters)
        with understood(WHAT, self.url):
            return json_of(answer, WHAT)["data"]

    def _call(self, promql: str, call: Any) -> list[Any]:
        from prometheus_api_client.exceptions import PrometheusApiClientException
        from requests import ConnectionError as NotConnected
        from requests import RequestException, Timeout

        try:
            found: list[Any] = call()
        except PrometheusApiClientException as error:
            said = str(error)[:300]  # a gateway in between may answer with a page
            raise Unreachable(f"Prometheus at {self._shown} refused the query `{promql}`: {said}") from error
        except Timeout as error:
            raise Unreachable(
                f"Prometheus at {self._shown} did not answer the query `{promql}` within {self.timeout_s:g}s; is it overloaded?"
            ) from error
        except NotConnected as error:
            raise Unreachable(
                f"Prometheus at {self._shown} cannot be reached; is it running, and is the address right?"
            ) from error
        except (LookupError, TypeError, ValueError, RecursionError, RequestException) as error:
            raise Unreachable(
                f"Prometheus at {self._shown} answered what cannot be understood: {without_secrets(str(error))}"
            ) from error
        if not isinstance(found, list):
            raise Unreachable(f"Prometheus at {self._shown} answered what cannot be understood; is the address right?")
        return found

    # --- queries ------------------------------------------------------------------------------------------------------

    def query(self, promql: str, at_wall_s: float | None = None) -> list[Series]:
        """The series that the query returns at one moment (now, unless said otherwise), one sample each; NaN is kept."""
        parameters = {"timeout": f"{self.timeout_s:g}s"} | (
            {"time": f"{at_wall_s:.3f}"} if at_wall_s is not None else {}
        )
        client = self._connect()
        rows = self._call(promql, lambda: client.custom_query(promql, params=parameters))
        if rows and not isinstance(rows[0], dict):  # a scalar is one pair and no list of series
            rows = [{"metric": {}, "value": rows}]
        with understood(WHAT, self.url):
            return [_series(row) for row in rows]

    def raw(self, selector: str, seconds: float, at_wall_s: float | None = None) -> list[Series]:
        """Every stored sample of these series over the last `seconds`, with its own time."""
        return self.query(f"{selector}[{max(1, int(seconds + 0.999))}s]", at_wall_s)

    def query_range(self, promql: str, start_wall_s: float, end_wall_s: float, step_s: float) -> list[Series]:
        """The query evaluated every `step_s` seconds between the two moments."""
        start, end = datetime.fromtimestamp(start_wall_s, UTC), datetime.fromtimestamp(end_wall_s, UTC)
        # The library rounds both moments to whole seconds, which would reach outside the fault; these win over its own.
        exactly = {"start": f"{start_wall_s:.3f}", "end": f"{end_wall_s:.3f}", "timeout": f"{self.timeout_s:g}s"}
        client = self._connect()
        rows = self._call(promql, lambda: client.custom_query_range(promql, start, end, f"{step_s:g}", params=exactly))
        with understood(WHAT, self.url):
            return [_series(row) for row in rows]

    # --- what it knows about itself -----------------------------------------------------------------------------------

    def ready(self) -> None:
        """It serves. Raises Unreachable when it does not."""
        answer = ask(self._session, "GET", f"{self.url}/-/ready", what=WHAT, timeout_s=self.timeout_s)
        if answer.status_code == 404:
            raise Unreachable(
                f"what answers at {self._shown} is no Prometheus (404 for /-/ready); is the address right?"
            )
        if answer.status_code != 200:
            raise Unreachable(f"Prometheus at {self._shown} is not ready yet ({answer.status_code}); wait for it")

    def rules(self) -> list[RuleInfo]:
        """Every alerting rule, with its instances."""
        data = self._get("/api/v1/rules", type="alert")
        with understood(WHAT, self.url):
            return [_rule(row, group) for group in data["groups"] for row in group["rules"]]

    def recording_rules(self) -> list[RecordingRule]:
        """Every recording rule."""
        data = self._get("/api/v1/rules", type="record")
        with understood(WHAT, self.url):
            return [
                RecordingRule(
                    row["name"], row["query"], dict(row.get("labels") or {}), float(group.get("interval", 0.0))
                )
                for group in data["groups"]
                for row in group["rules"]
            ]

    def metric_types(self) -> dict[str, str]:
        """Metric → counter, gauge, histogram or summary, as its targets say."""
        data = self._get("/api/v1/metadata")
        with understood(WHAT, self.url):
            return {name: str(said[0]["type"]) for name, said in data.items() if said}

    def metric_names(self) -> frozenset[str]:
        """Every metric that has, or had, a series in what it stores."""
        data = self._get("/api/v1/label/__name__/values")
        with understood(WHAT, self.url):
            return frozenset(str(name) for name in data)

    def declared(self) -> dict[str, frozenset[str]]:
        """Metric family → the types that its targets declare it as; without those that are declared by nobody."""
        data = self._get("/api/v1/metadata")
        with understood(WHAT, self.url):
            return {str(name): frozenset(str(row["type"]) for row in rows) for name, rows in data.items()}

    def described(self) -> dict[str, tuple[str, str]]:
        """Metric family → (type, help text), as the first target that declares it says."""
        data = self._get("/api/v1/metadata")
        with understood(WHAT, self.url):
            return {
                str(name): (str(rows[0]["type"]), str(rows[0].get("help", ""))) for name, rows in data.items() if rows
            }

    def alertmanagers(self) -> list[str]:
        """Addresses of the Alertmanagers that it tells."""
        data = self._get("/api/v1/alertmanagers")
        with understood(WHAT, self.url):
            return [str(row["url"]).split("/api/v", 1)[0] for row in data["activeAlertmanagers"]]

    def label_names(self, selector: str) -> tuple[str, ...]:
        """Every label that the series of this selector carry."""
        data = self._get("/api/v1/labels", **{"match[]": selector})
        with understood(WHAT, self.url):
            return tuple(str(name) for name in data if name != "__name__")

    def targets(self) -> list[TargetHealth]:
        """Every active scrape target."""
        data = self._get("/api/v1/targets", state="active")
        with understood(WHAT, self.url):
            return [
                TargetHealth(
                    job=row["labels"].get("job", ""),
                    instance=row["labels"].get("instance", ""),
                    health=row["health"],
                    interval_s=parse_duration(row.get("scrapeInterval") or "60s"),
                    last_error=row.get("lastError", ""),
                    last_scrape_wall_s=wall_of(row.get("lastScrape")),
                )
                for row in data["activeTargets"]
            ]

    def config(self) -> tuple[float, float]:
        """The global scrape and evaluation intervals, in seconds."""
        with understood(WHAT, self.url):
            whole = self._global()
            return tuple(parse_duration(whole.get(key, "1m")) for key in ("scrape_interval", "evaluation_interval"))  # type: ignore[return-value]

    def external_labels(self) -> dict[str, str]:
        """What it adds to what it sends elsewhere, and by which others know it."""
        with understood(WHAT, self.url):
            return {str(name): str(value) for name, value in (self._global().get("external_labels") or {}).items()}

    def _global(self) -> dict[str, Any]:
        data = self._get("/api/v1/status/config")
        return (yaml.safe_load(data["yaml"]) or {}).get("global") or {}

    def now_wall_s(self) -> float:
        """The server's own clock."""
        found = self.query("time()")
        return found[0].samples[-1][1] if found else time.time()

    def version(self) -> str:
        """Its version, `2.42.0`."""
        data = self._get("/api/v1/status/buildinfo")
        with understood(WHAT, self.url):
            return str(data.get("version", "?"))


def _series(row: dict[str, Any]) -> Series:
    pairs = row["values"] if "values" in row else [row["value"]]
    return Series(dict(row["metric"]), tuple((float(at), float(value)) for at, value in pairs))


def _rule(row: dict[str, Any], group: dict[str, Any]) -> RuleInfo:
    return RuleInfo(
        name=row["name"],
        expr=row["query"],
        for_s=float(row.get("duration", 0.0)),
        keep_firing_s=float(row.get("keepFiringFor", 0.0)),
        labels=dict(row.get("labels") or {}),
        annotations=dict(row.get("annotations") or {}),
        health=row.get("health", "unknown"),
        last_error=row.get("lastError", ""),
        state=row.get("state", "inactive"),
        group=group.get("name", ""),
        interval_s=float(group.get("interval", 0.0)),
        last_evaluation_wall_s=wall_of(row.get("lastEvaluation")),
        evaluation_time_s=float(row.get("evaluationTime", 0.0)),
        alerts=tuple(
            RuleAlert(dict(one["labels"]), one["state"], wall_of(one.get("activeAt")), _number(one.get("value")))
            for one in row.get("alerts") or ()
        ),
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
