"""Who comes, and with which row: decided by the seed alone. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from chaos.arms import REQUEST_HEADER, SYNTHETIC_HEADER, Arms, place_of, sign_synthetic, unit_interval, with_subject
from chaos.drivers.load.faults import Deeds
from chaos.drivers.load.plan import LoadPlan
from chaos.drivers.load.template import fill
from chaos.faults.loads import Drawn, Population
from chaos.slices import Slice

Shift = Callable[[Drawn, str, Mapping[str, str]], tuple[Drawn, Deeds]]
"""What the faults that are on make of a treated subject's request (its row, the subject, its headers), and which of them did."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to send: its bytes, its headers, its arm, what it will be judged by, and which faults have shifted it."""

    number: int
    subject: str
    first: bool
    arm: str
    row: Mapping[str, Any]
    body: bytes
    headers: Mapping[str, str]
    target: str = "/"
    """Path and query."""
    label: Any = None
    shifted: Deeds = ()

    def wants_feedback(self, seed: str, share: float) -> bool:
        """Whether this one's true outcome will come back."""
        return unit_interval(seed, "feedback", self.number) < share


class Arrivals:
    """The sequence of arrivals of one load; the same plan gives the same sequence."""

    def __init__(self, plan: LoadPlan, rows: list[Mapping[str, Any]]) -> None:
        self.plan = plan
        self.population = Population(rows, plan.label_column, plan.positive)
        self._arms = Arms(plan.seed, plan.traffic, plan.by, plan.where)
        self._slice = Slice.parse(plan.where) if plan.where is not None else None
        self._kind, self._name = place_of(plan.by) or ("header", REQUEST_HEADER)
        address = urlsplit(plan.url)
        self._target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        self._key = bytes.fromhex(plan.synthetic_key)
        self._subjects = 0

    def draw(self, number: int, shift: Shift | None = None) -> Arrival:
        """The arrival of this number, from 0 on; to be drawn in order. `shift` is asked for treated subjects alone.

        A request that would leave the slice by its new row keeps the old one: what is outside is never touched.
        """
        plan = self.plan
        rows = self.population.rows
        row = rows[int(unit_interval(plan.seed, "row", number) * len(rows))]
        first = not self._subjects or unit_interval(plan.seed, "returning", number) >= plan.returning
        if first:
            place, self._subjects = self._subjects, self._subjects + 1
        else:
            place = int(unit_interval(plan.seed, "who", number) * self._subjects)
        subject = f"{plan.run}-{place}"
        asked = Drawn(number, row, self.population.label_of(row))
        made = self._made(asked, subject, first=first)
        if shift is None or made.arm != "treatment":
            return made
        drawn, shifted = shift(asked, subject, made.headers)
        if not shifted:
            return made
        other = self._made(drawn, subject, first=first)
        return replace(other, shifted=shifted) if other.arm == "treatment" else made

    def _made(self, drawn: Drawn, subject: str, *, first: bool) -> Arrival:
        """The request of this subject that is made of this row."""
        plan, known = self.plan, {"row": drawn.row}
        body = self._body(subject, fill(plan.request_json, known)) if plan.request_json is not None else b""
        headers = {name.lower(): header_value(str(fill(value, known))) for name, value in plan.request_headers.items()}
        headers |= {
            "content-type": "application/json",
            REQUEST_HEADER: f"{plan.run}-{drawn.number}",
            SYNTHETIC_HEADER: sign_synthetic(self._key, plan.run, subject),
        }
        target = self._name_subject(subject, headers)
        arm: str = self._arms.arm_of(subject)
        if self._slice is not None and not self._slice.matches(headers, body, target):
            arm = "outside"
        label = drawn.label
        if label is None and plan.label_column is not None:
            label = drawn.row.get(
                plan.label_column
            )  # a list of labels, say: known, but nothing that a fault may change
        return Arrival(drawn.number, subject, first, arm, drawn.row, body, headers, target, label)

    def _body(self, subject: str, filled: Any) -> bytes:
        """The request's body, which says who its subject is where that is its place. Raises ValueError when it cannot."""
        if self._kind == "json":
            try:
                filled = with_subject(filled, self._name, subject)
            except LookupError as error:
                raise ValueError(f"a row leaves no room for the subject at {self._name}") from error
        return json.dumps(filled).encode()

    def _name_subject(self, subject: str, headers: dict[str, str]) -> str:
        """The request says who its subject is, first where a name could be repeated; its target."""
        if self._kind == "query":
            path, mark, query = self._target.partition("?")
            return f"{path}?{urlencode({self._name: subject})}" + (f"&{query}" if mark else "")
        if self._kind == "cookie":
            others = headers.get("cookie")
            headers["cookie"] = f"{self._name}={subject}" + (f"; {others}" if others else "")
        elif self._kind == "header":
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
