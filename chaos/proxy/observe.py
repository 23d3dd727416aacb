"""What a sampled share of answers says, for `/metrics`: class mix, scores, empty and malformed answers. Never a byte is changed.

Every name begins with `chaos_observed_`: this is what the proxy reads in passing, and not the service's own monitoring. Answers are
read as clients get them, after they are on their way, and by what the protocol itself tells: nothing depends on what is armed.
Texts that models wrote are never labels of a metric.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from chaos.arms import ATTEMPT_HEADER, REQUEST_HEADER, unit_interval
from chaos.protocols import catalogue, sniff
from chaos.protocols.base import Output, Protocol
from chaos.proxy import coding, wire
from chaos.proxy.counters import Counters
from chaos.rows import Label, Row

log = logging.getLogger("chaos.proxy")

LARGEST_OBSERVED = 256 * 1024
"""Bytes of an answer above which it counts as `unread`: decoding more would hold everybody else up."""
MOST_CLASSES = 20
"""Different classes of a route that are told apart, in each process; the first ones stay, all others are `other`."""
LONGEST_CLASS = 64
SCORE_LE = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


_READ = ("identity", "gzip", "x-gzip", "deflate")


def _coding(answer: wire.Head) -> str:
    return answer.headers.get("content-encoding", "identity").strip().lower()


def _streams(answer: wire.Head) -> bool:
    return answer.headers.get("content-type", "")[:17].lower() == "text/event-stream"


def copied(answer: wire.Head) -> bool:
    """Whether a copy of the answer with this head is needed, to see what it says."""
    if answer.status != 200 or _streams(answer) or answer.length == 0:
        return False
    return _coding(answer) in _READ and (answer.length is None or answer.length <= LARGEST_OBSERVED)


class Observer:
    """Looks at a `share` of this process's predictions. `protocol` is a name, or `auto`: told by each request's path."""

    def __init__(self, share: float, counters: Counters, protocol: str = "auto") -> None:
        self._share = share
        self._counters = counters
        self._named = catalogue().get(protocol)
        self._nameless = 0.0
        self._classes: dict[str, set[str]] = {}

    def wants(self, request: wire.Head) -> bool:
        """Whether the answer to this request is of the sample: the first attempt at a prediction. Never raises."""
        try:
            return request.method == "POST" and self._sampled(request)
        except Exception:  # a protocol of others that cannot say whether this is its own: traffic goes on
            log.debug("nobody can tell whether this is a prediction", exc_info=True)
            return False

    def _sampled(self, request: wire.Head) -> bool:
        """By the hash of the request's id, so that every proxy samples the same ones; without an id, every so many-th."""
        if request.headers.get(ATTEMPT_HEADER, "1") != "1":
            return False
        name = request.headers.get(REQUEST_HEADER)
        if name is not None:
            drawn = unit_interval("observe", name) < self._share
        else:
            self._nameless += self._share
            drawn = self._nameless >= 1.0
            self._nameless -= drawn
        return drawn and self._protocol(request, None) is not None

    def _protocol(self, request: wire.Head, body: bytes | None) -> Protocol | None:
        path = request.target.split("?", 1)[0]
        if self._named is not None and self._named.detect(path, request.headers):
            return self._named
        return sniff(path, request.headers, body)

    def see(self, route: str, request: wire.Head, answer: wire.Head, body: bytes | None) -> None:
        """The answer has been counted. `body` is None where no copy was kept. Never raises."""
        try:
            outcome, rows, protocol = self._read(request, answer, body)
        except Exception:  # the protocol's Undecodable, and whatever a protocol of others raises
            log.debug("an observed answer could not be read", exc_info=True)
            outcome, rows, protocol = "malformed", (), None
        self._counters.observed_answers[route, outcome] += 1
        text = getattr(protocol, "free_text", False)
        for row in rows:
            self._see_row(route, row, free_text=text)

    def _read(
        self, request: wire.Head, answer: wire.Head, body: bytes | None
    ) -> tuple[str, Sequence[Row], Protocol | None]:
        """What became of it, and its rows. Raises Undecodable."""
        if answer.status != 200:
            return "error", (), None
        if _streams(answer):
            return "streamed", (), None
        if answer.length == 0 or body == b"":
            return "empty", (), None
        if body is None or len(body) > LARGEST_OBSERVED or _coding(answer) not in _READ:
            return "unread", (), None
        body = coding.opened(body, _coding(answer))
        if len(body) > LARGEST_OBSERVED:
            return "unread", (), None
        protocol = self._protocol(request, body)
        if protocol is None:
            return "unread", (), None
        rows = protocol.rows(body, answer.headers, Output())
        nothing = all(row.label in (None, "") and row.scores is None for row in rows)
        return "empty" if nothing else "read", rows, protocol

    def _see_row(self, route: str, row: Row, *, free_text: bool) -> None:
        counters = self._counters
        counters.observed_classes[route, self._class(route, row.label, free_text=free_text)] += 1
        if row.scores and not free_text:  # an embedding has numbers, and no scores
            score = row.scores[row.classes.index(row.label)] if row.label in row.classes else max(row.scores)
            buckets = counters.observed_scores.setdefault(route, [0] * (len(SCORE_LE) + 1))
            if math.isfinite(score):
                buckets[next((at for at, bound in enumerate(SCORE_LE) if score <= bound), len(SCORE_LE))] += 1
                counters.observed_score_sum[route] += score
            else:
                counters.observed_strange[route] += 1

    def _class(self, route: str, label: Label | None, *, free_text: bool) -> str:
        """The class as a metric may say it: one of a bounded number, and nothing that a model or a person has written."""
        told = _told(label)
        if free_text and told != "none":
            return "text"
        known = self._classes.setdefault(route, set())
        if told not in known:
            if len(known) >= MOST_CLASSES:
                return "other"
            known.add(told)
        return told


@lru_cache(1024)
def _of_text(label: str) -> str:
    return label if label.isprintable() and len(label) <= LONGEST_CLASS else "other"


def _told(label: Label | None) -> str:
    match label:
        case None | "":
            return "none"
        case bool():
            return str(label).lower()
        case float():  # a regression has no classes
            return f"{label:g}" if label.is_integer() and abs(label) < 1e6 else "number"
        case int():
            return str(label) if abs(label) < 10**12 else "other"
        case str():
            return _of_text(label)


# --- /metrics ---------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def observed_text(share: float, counters: Counters) -> str:
    """What was observed, in Prometheus' text format; nothing when nobody observes."""
    if not share:
        return ""
    lines: list[str] = []

    def family(name: str, kind: str, told: str, rows: Mapping[str, float]) -> None:
        lines.extend([f"# HELP {name} {told}", f"# TYPE {name} {kind}"])
        lines.extend(f"{name}{labels} {value!r}" for labels, value in rows.items())

    family(
        "chaos_observed_share", "gauge", "Share of predictions that the fault proxy looks at in passing.", {"": share}
    )
    answers = {f"{{route={_quoted(r)},outcome={_quoted(o)}}}": n for (r, o), n in counters.observed_answers.items()}
    family("chaos_observed_answers_total", "counter", "Sampled answers, as the fault proxy could read them.", answers)
    classes = {f"{{route={_quoted(r)},class={_quoted(c)}}}": n for (r, c), n in counters.observed_classes.items()}
    family("chaos_observed_rows_total", "counter", "Rows of sampled answers, by the class decided for.", classes)
    strange = {f"{{route={_quoted(r)}}}": n for r, n in counters.observed_strange.items()}
    family(
        "chaos_observed_not_finite_scores_total", "counter", "Sampled scores that are infinite or no number.", strange
    )
    name = "chaos_observed_score"
    lines += [f"# HELP {name} Score of the class decided for, in sampled answers.", f"# TYPE {name} histogram"]
    for route, buckets in counters.observed_scores.items():
        total, label = 0, f"route={_quoted(route)}"
        for bound, count in zip([*(f"{bound:g}" for bound in SCORE_LE), "+Inf"], buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{label},le="{bound}"}} {total}')
        lines.append(f"{name}_sum{{{label}}} {counters.observed_score_sum[route]!r}")
        lines.append(f"{name}_count{{{label}}} {total}")
    return "\n".join(lines) + "\n"
