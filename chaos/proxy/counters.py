"""The proxy's own metrics, in Prometheus' text format. Plain integers: counting must cost next to nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

UPSTREAM_LE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STREAM_LE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Language models: single tokens follow each other in milliseconds, the first may take a minute."""


def _exact(value: float) -> str:
    """The number with every digit: a counter that is rounded stands still, then jumps."""
    return str(int(value)) if value == int(value) else repr(value)


class Counters:
    """Everything that `/metrics` says."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self.selected: dict[tuple[str, str], int] = defaultdict(int)
        self.changed: dict[tuple[str, str], int] = defaultdict(int)
        self.injected: dict[str, int] = defaultdict(int)
        self.delay_s: dict[str, float] = defaultdict(float)
        self.refused = 0
        self.unreachable: dict[str, int] = defaultdict(int)
        self.upstream: dict[str, list[int]] = {}
        self.upstream_s: dict[str, float] = defaultdict(float)
        self.streams: dict[tuple[str, str, str], int] = defaultdict(int)
        self.stream_events: dict[tuple[str, str], int] = defaultdict(int)
        self.first_event: dict[tuple[str, str], list[int]] = {}
        self.first_event_s: dict[tuple[str, str], float] = defaultdict(float)
        self.gap: dict[tuple[str, str], list[int]] = {}
        self.gap_s: dict[tuple[str, str], float] = defaultdict(float)
        self.observed_answers: dict[tuple[str, str], int] = defaultdict(int)
        self.observed_classes: dict[tuple[str, str], int] = defaultdict(int)
        self.observed_scores: dict[str, list[int]] = {}
        self.observed_score_sum: dict[str, float] = defaultdict(float)
        self.observed_strange: dict[str, int] = defaultdict(int)
        self.shadow_answers: dict[str, int] = defaultdict(int)

    def answered(self, route: str, arm: str, status: int) -> None:
        """An answer with this status went to a client."""
        self.requests[route, arm, status // 100] += 1

    def upstream_took(self, route: str, seconds: float) -> None:
        """An upstream answered after so long."""
        buckets = self.upstream.get(route)
        if buckets is None:
            buckets = self.upstream[route] = [0] * (len(UPSTREAM_LE_S) + 1)
        buckets[bisect_left(UPSTREAM_LE_S, seconds)] += 1
        self.upstream_s[route] += seconds

    def streamed(self, route: str, arm: str, events: int, *, first_s: float | None, gap_s: float) -> None:
        """So many events of a streamed answer arrived in one read: the first of the answer, or so long after the last one."""
        key = route, arm
        self.stream_events[key] += events
        if first_s is not None:
            _observe(self.first_event, self.first_event_s, key, first_s)
        else:
            _observe(self.gap, self.gap_s, key, gap_s)
        if events > 1:
            _observe(self.gap, self.gap_s, key, 0.0, times=events - 1)

    def stream_ended(self, route: str, arm: str, how: str) -> None:
        """A streamed answer is over: `whole`, `broken` by the upstream, `left` by the client, or `cut` by a fault."""
        self.streams[route, arm, how] += 1

    def text(self, *, armed: int, expiries: int) -> str:
        """Prometheus' text format; `armed` is how many runs hold the proxy now."""
        lines: list[str] = []

        def family(name: str, kind: str, told: str, rows: list[tuple[str, float]]) -> None:
            lines.extend([f"# HELP {name} {told}", f"# TYPE {name} {kind}"])
            lines.extend(f"{name}{labels} {_exact(value)}" for labels, value in rows)

        requests = [
            (f'{{route="{r}",arm="{a}",code_class="{c}xx"}}', float(n)) for (r, a, c), n in self.requests.items()
        ]
        family("chaos_proxy_requests_total", "counter", "Requests answered.", requests)
        for name, told, counted in (
            ("chaos_proxy_selected_rows_total", "Rows that a fault selected.", self.selected),
            ("chaos_proxy_changed_rows_total", "Rows that a fault changed.", self.changed),
        ):
            family(name, "counter", told, [(f'{{fault="{f}",arm="{a}"}}', float(n)) for (f, a), n in counted.items()])
        injected = [(f'{{fault="{name}"}}', float(count)) for name, count in self.injected.items()]
        family(
            "chaos_proxy_injected_errors_total",
            "counter",
            "Answers that were not the model's whole one: errors, other bodies, ends, resets, answers from elsewhere.",
            injected,
        )
        delayed = [(f'{{fault="{name}"}}', seconds) for name, seconds in self.delay_s.items()]
        family("chaos_proxy_added_delay_seconds_total", "counter", "Delay added.", delayed)
        family(
            "chaos_proxy_refused_messages_total",
            "counter",
            "Messages that could be read in two ways.",
            [("", self.refused)],
        )
        unreachable = [(f'{{route="{route}"}}', float(count)) for route, count in self.unreachable.items()]
        family("chaos_proxy_upstream_unreachable_total", "counter", "Upstreams that did not answer.", unreachable)
        family("chaos_proxy_armed", "gauge", "Runs that hold this proxy.", [("", float(armed))])
        family(
            "chaos_proxy_lease_expiries_total",
            "counter",
            "Runs that ended because nobody renewed them.",
            [("", expiries)],
        )
        ended = [(f'{{route="{r}",arm="{a}",end="{how}"}}', float(n)) for (r, a, how), n in self.streams.items()]
        family("chaos_proxy_streams_total", "counter", "Streamed answers that ended.", ended)
        events = [(f'{{route="{r}",arm="{a}"}}', float(n)) for (r, a), n in self.stream_events.items()]
        family("chaos_proxy_stream_events_total", "counter", "Events with data in streamed answers.", events)
        first = "Time from a request's head to the first event of its streamed answer, delays of faults included."
        _stream_histogram(lines, "chaos_proxy_stream_first_event_seconds", first, self.first_event, self.first_event_s)
        gaps = "Time between events of a streamed answer; events of one read follow each other at once."
        _stream_histogram(lines, "chaos_proxy_stream_gap_seconds", gaps, self.gap, self.gap_s)
        self._histogram(lines)
        return "\n".join(lines) + "\n"

    def _histogram(self, lines: list[str]) -> None:
        name = "chaos_proxy_upstream_seconds"
        lines.extend([f"# HELP {name} Time until the upstream's head.", f"# TYPE {name} histogram"])
        for route, buckets in self.upstream.items():
            total = 0
            for bound, count in zip([*(f"{bound:g}" for bound in UPSTREAM_LE_S), "+Inf"], buckets, strict=True):
                total += count
                lines.append(f'{name}_bucket{{route="{route}",le="{bound}"}} {total}')
            lines.append(f'{name}_sum{{route="{route}"}} {_exact(self.upstream_s[route])}')
            lines.append(f'{name}_count{{route="{route}"}} {total}')


_Buckets = dict[tuple[str, str], list[int]]
_Sums = dict[tuple[str, str], float]


def _observe(buckets: _Buckets, sums: _Sums, key: tuple[str, str], seconds: float, times: int = 1) -> None:
    held = buckets.get(key)
    if held is None:
        held = buckets[key] = [0] * (len(STREAM_LE_S) + 1)
    held[bisect_left(STREAM_LE_S, seconds)] += times
    sums[key] += seconds * times


def _stream_histogram(lines: list[str], name: str, told: str, buckets: _Buckets, sums: _Sums) -> None:
    lines.extend([f"# HELP {name} {told}", f"# TYPE {name} histogram"])
    for (route, arm), counts in buckets.items():
        total, labels = 0, f'route="{route}",arm="{arm}"'
        for bound, count in zip([*(f"{bound:g}" for bound in STREAM_LE_S), "+Inf"], counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {total}')
        lines.append(f"{name}_sum{{{labels}}} {_exact(sums[route, arm])}")
        lines.append(f"{name}_count{{{labels}}} {total}")
