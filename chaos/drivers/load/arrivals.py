"""Who comes, and with which row: decided by the seed alone. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from chaos.arms import REQUEST_HEADER, SYNTHETIC_HEADER, Arms, place_of, sign_synthetic, unit_interval
from chaos.drivers.load.plan import LoadPlan
from chaos.drivers.load.template import fill
from chaos.slices import Slice


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to send: its bytes, its headers, its arm, and what it will be judged by."""

    number: int
    subject: str
    first: bool
    arm: str
    row: Mapping[str, Any]
    body: bytes
    headers: Mapping[str, str]
    target: str = "/"
    """Path and query."""

    def wants_feedback(self, seed: str, share: float) -> bool:
        """Whether this one's true outcome will come back."""
        return unit_interval(seed, "feedback", self.number) < share


class Arrivals:
    """The sequence of arrivals of one load; the same plan gives the same sequence."""

    def __init__(self, plan: LoadPlan, rows: list[Mapping[str, Any]]) -> None:
        self.plan = plan
        self.rows = rows
        self._arms = Arms(plan.seed, plan.traffic, plan.by, plan.where)
        self._slice = Slice.parse(plan.where) if plan.where is not None else None
        self._kind, self._name = place_of(plan.by) or ("header", REQUEST_HEADER)
        address = urlsplit(plan.url)
        self._target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        self._key = bytes.fromhex(plan.synthetic_key)
        self._subjects = 0

    def draw(self, number: int) -> Arrival:
        """The arrival of this number, from 0 on; to be drawn in order."""
        plan = self.plan
        row = self.rows[int(unit_interval(plan.seed, "row", number) * len(self.rows))]
        first = not self._subjects or unit_interval(plan.seed, "returning", number) >= plan.returning
        if first:
            place, self._subjects = self._subjects, self._subjects + 1
        else:
            place = int(unit_interval(plan.seed, "who", number) * self._subjects)
        subject = f"{plan.run}-{place}"
        body = json.dumps(fill(plan.request_json, {"row": row})).encode() if plan.request_json is not None else b""
        headers = {
            name.lower(): header_value(str(fill(value, {"row": row}))) for name, value in plan.request_headers.items()
        }
        headers |= {
            "content-type": "application/json",
            REQUEST_HEADER: f"{plan.run}-{number}",
            SYNTHETIC_HEADER: sign_synthetic(self._key, plan.run, subject),
        }
        target = self._name_subject(subject, headers)
        arm = self._arms.arm_of(subject)
        if self._slice is not None and not self._slice.matches(headers, body, target):
            return Arrival(number, subject, first, "outside", row, body, headers, target)
        return Arrival(number, subject, first, arm, row, body, headers, target)

    def _name_subject(self, subject: str, headers: dict[str, str]) -> str:
        """The request says who its subject is, first where a name could be repeated; its target."""
        if self._kind == "query":
            path, mark, query = self._target.partition("?")
            return f"{path}?{urlencode({self._name: subject})}" + (f"&{query}" if mark else "")
        if self._kind == "cookie":
            others = headers.get("cookie")
            headers["cookie"] = f"{self._name}={subject}" + (f"; {others}" if others else "")
        else:
            headers[self._name] = subject
        return self._target


def header_value(text: str) -> str:
    """The text as a header can carry it: everything but visible ASCII and spaces is percent-encoded UTF-8."""
    return "".join(sign if " " <= sign <= "~" else quote(sign, errors="replace") for sign in text)


def read_rows(path: str) -> list[Mapping[str, Any]]:
    """The labelled rows of a JSON-lines or CSV file. Raises ValueError when there are none."""
    rows: list[Mapping[str, Any]] = []
    with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123 - runs inside Locust, before anything of ours
        if path.endswith(".csv"):
            import csv

            rows = list(csv.DictReader(file))
        else:
            rows = [json.loads(line) for line in file if line.strip()]
    if not rows:
        raise ValueError(f"{path} has no rows")
    return rows
