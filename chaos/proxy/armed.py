"""What one run has armed here, and what it has counted: values of the data plane, and how an arming becomes one. No I/O.

The armed configuration of a run is one immutable object, swapped as a whole. Counters belong to the run and outlive its arming, so
that removal can be proven.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any, Literal

from chaos.arms import SYNTHETIC_HEADER, Arms, HeaderValues, is_synthetic, place_of, said_at, subject_in
from chaos.caps import Cap, Most
from chaos.faults.base import Fault, Memory
from chaos.protocols import catalogue as protocols
from chaos.protocols.base import InputNames, Output, Protocol
from chaos.proxy.arming import Arming, Refusal
from chaos.slices import Slice

Group = Literal["treatment", "control", "outside"]
LATENCY_LE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
KEPT_CHANGES = 1000
SAMPLED_PER_S = 100
"""Changed answers of which the rows are kept as ground truth, in each second and process: more would only cost time."""
SLOWEST_FAST = LATENCY_LE_S.index(2.5)
"""The bucket up to which an answer is not slow (`chaos.observation.SLOW_S`)."""
MET_BITS = 23
"""A subject is remembered by one of so many bits' worth of places: 1 MiB for each run and process, however many come."""
MOST_UNTOUCHED = 1000
"""Requests that prove a removal; more would prove no more."""


@dataclass(slots=True)
class ArmCounts:
    """One arm's requests since the run was armed."""

    requests: int = 0
    first_attempts: int = 0
    subjects_unknown: int = 0
    errors: int = 0
    subjects: int = 0
    """First requests of their subjects that were answered; the arms are compared by these alone, and by what of them was bad."""
    subjects_failed: int = 0
    subjects_slow: int = 0
    gathered: int = 0
    """Not 0 where several processes' counts were added up: each may have met the same subject, and how many there were nobody knows."""
    untouched_since_disarm: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_LE_S) + 1))

    def as_json(self) -> dict[str, object]:
        """For the control API; latency cumulative."""
        total, cumulative = 0, {}
        for bound, count in zip([*(f"{bound:g}" for bound in LATENCY_LE_S), "+Inf"], self.latency, strict=True):
            total += count
            cumulative[bound] = total
        return {
            "requests": self.requests, "first_attempts": self.first_attempts, "subjects_unknown": self.subjects_unknown,
            "errors": self.errors, "subjects": None if self.gathered else self.subjects, "subjects_failed": self.subjects_failed,
            "subjects_slow": self.subjects_slow, "untouched_since_disarm": self.untouched_since_disarm, "latency_buckets": cumulative,
        }  # fmt: skip


@dataclass(slots=True)
class FaultCounts:
    """What one fault did."""

    selected_requests: int = 0
    selected_rows: int = 0
    changed_rows: int = 0
    injected: int = 0
    delayed_s: float = 0.0
    undecodable: int = 0
    first_effect: dict[str, float] | None = None
    last_effect: dict[str, float] | None = None

    def happened(self, wall_s: float, monotonic_s: float) -> None:
        """An effect was performed."""
        self.last_effect = {"wall_s": wall_s, "monotonic_s": monotonic_s}
        if self.first_effect is None:
            self.first_effect = self.last_effect

    def as_json(self) -> dict[str, object]:
        """For the control API."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


class ArmedFault:
    """One fault that is on; never changed once it is made. `since_s` is when it was armed first, on the monotonic clock.

    What every request asks for is read from the fault's model once.
    """

    def __init__(
        self, index: int, fault: Fault, since_s: float, counts: FaultCounts, memory: Memory | None = None
    ) -> None:
        self.index = index
        self.fault = fault
        self.since_s = since_s
        self.counts = counts
        self.memory = memory if memory is not None else Memory()
        self.name = fault.fault
        self.needs_body = fault.needs_body()
        kind = type(fault)
        self.acts = kind.act is not Fault.act
        """Whether it says something before the model is asked."""
        self.edits_rows = kind.edit is not Fault.edit
        self.edits_answers = self.edits_rows or kind.edits_text or kind.edits_documents
        """Whether it changes what a protocol reads of an answer."""
        self.counted_early = self.acts or self.edits_answers
        """Whether a request that it selects is counted before its answer is delivered, or gets another body."""
        self._share = fault.share
        self._steady = fault.shape.kind == "step"

    def share(self, now_s: float) -> float:
        """The fault's share of rows at this moment: its own, times the intensity of its shape."""
        return self._share if self._steady else self._share * self.fault.shape.intensity(now_s - self.since_s)


@dataclass(frozen=True, slots=True)
class Armed:
    """Everything that the data plane needs to decide about a request. Immutable; swapped as a whole."""

    run: str
    generation: int
    arms: Arms
    slice: Slice | None
    synthetic_key: bytes | None
    protocol: Protocol | None
    output: Output
    request_faults: tuple[ArmedFault, ...]
    answer_faults: tuple[ArmedFault, ...]
    """A fault that has hooks of both kinds is in both."""
    input_names: InputNames
    input_faults: tuple[ArmedFault, ...]
    """Those that change what the model is asked; `request_faults` are the others that act before it is."""
    document_faults: tuple[ArmedFault, ...] = ()
    """Those of all faults that change values in an answer's JSON."""
    subject_kind: str = "header"
    """Where a request says who its subject is: in a header, a cookie, the query or its body (`json`)."""
    subject_name: str = ""
    """The name of that header (lower-case), cookie or parameter, or the path in the body."""
    most: Most | None = None
    """This process's part of the most that the run may hurt."""
    body_faults: tuple[ArmedFault, ...] = ()
    """Those that make other bytes of a body, of either list."""
    delivery_faults: tuple[ArmedFault, ...] = ()
    """Those that decide how an answer reaches its client, of either list."""
    shadow: bool = False
    """Whether clients get untouched answers, and faults happen to copies alone."""

    @property
    def faults(self) -> tuple[ArmedFault, ...]:
        """Every fault that is on."""
        others = (one for one in self.answer_faults if one not in self.request_faults)
        return (*self.request_faults, *self.input_faults, *others)

    def has(self, index: int) -> bool:
        """Whether the fault with this place in the experiment is on."""
        for faults in (self.request_faults, self.input_faults, self.answer_faults):
            for fault in faults:
                if fault.index == index:
                    return True
        return False

    def arm_needs_body(self) -> bool:
        """Whether a request's body must be read to know its arm."""
        return self.subject_kind == "json" or (self.slice is not None and self.slice.needs_body)

    def needs_body(self) -> bool:
        """Whether a request's body must be read whole before it goes on: its arm, or a fault, depends on it."""
        if self.arm_needs_body():
            return True
        for faults in (self.request_faults, self.answer_faults):
            for fault in faults:
                if fault.needs_body:
                    return True
        return False

    def group_of(self, headers: HeaderValues, body: bytes, target: str = "") -> tuple[Group, str | None]:
        """The arm of a request, and its subject. Nothing without a subject, outside the slice or unmarked is touched.

        `target` is the request's path and query.
        """
        if self.subject_kind == "json":
            subject = subject_in(body, self.subject_name)
        else:
            subject = said_at(self.subject_kind, self.subject_name, headers, target)
        if subject is None:
            return "outside", None
        if self.synthetic_key is not None and not is_synthetic(
            self.synthetic_key, self.run, subject, headers.get(SYNTHETIC_HEADER)
        ):
            return "outside", subject
        if self.slice is not None and not self.slice.matches(headers, body, target):
            return "outside", subject
        return self.arms.arm_of(subject), subject


def active_text(active: Iterable[Armed]) -> str:
    """Which faults are on here, in Prometheus' text format: they go with their lease, whatever became of their runner."""
    rows = [
        f'chaos_proxy_fault_active{{run="{armed.run}",fault="{fault.name}"}} 1'
        for armed in active
        for fault in {one.name: one for one in armed.faults}.values()
    ]
    head = [
        "# HELP chaos_proxy_fault_active Faults that a run has on at this proxy.",
        "# TYPE chaos_proxy_fault_active gauge",
    ]
    return "\n".join([*head, *rows]) + "\n"


@dataclass
class RunState:
    """One run at this proxy: its counters, its lease, and what it did."""

    run: str
    generation: int = 0
    state: Literal["armed", "expired", "disarmed"] = "armed"
    begun_s: float = 0.0
    deadline_s: float = 0.0
    lease_s: float = 0.0
    renewed_s: float = 0.0
    ended_s: float | None = None
    untouched: int = 0
    """Treatment requests since it was disarmed, as this process has seen them; never handed on."""
    arms: dict[Group, ArmCounts] = field(
        default_factory=lambda: {"treatment": ArmCounts(), "control": ArmCounts(), "outside": ArmCounts()}
    )
    faults: dict[int, FaultCounts] = field(default_factory=dict)
    since_s: dict[int, float] = field(default_factory=dict)
    memories: dict[int, Memory] = field(default_factory=dict)
    """What each fault that is on remembers, in this process."""
    changes: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=KEPT_CHANGES))
    changed: int = 0
    cap: Cap | None = None
    """What is left of this process's part of the run's cap; None: there is none. It outlives every arming of the run."""
    last_armed: Armed | None = None
    last_arming: Arming | None = None
    seconds: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=120))
    _second: int = -1
    _sampled: int = 0
    _met: bytearray | None = None

    def adopt(self, armed: Armed) -> None:
        """The run is armed with exactly this from now on, and what its faults do is counted here."""
        for fault in armed.faults:
            self.faults[fault.index] = fault.counts
            self.since_s[fault.index] = fault.since_s
        if armed.most is not None and self.cap is None:
            self.cap = Cap(armed.most)
        self.memories = {fault.index: fault.memory for fault in armed.faults}
        for counts in self.arms.values():
            counts.untouched_since_disarm = 0  # what proved an earlier removal proves no later one
        self.generation, self.state, self.ended_s, self.last_armed = armed.generation, "armed", None, armed

    def over(self, now_s: float) -> bool:
        """Whether nobody renewed the lease in time, or the deadline has come."""
        return now_s - self.renewed_s > self.lease_s or now_s - self.begun_s > self.deadline_s

    def meets(self, subject: str) -> bool:
        """Whether this process sees this subject for the first time in this run.

        Two subjects may share a place, and then the later one is taken for met: who that is depends on nothing that happens to it.
        """
        if self._met is None:
            self._met = bytearray(1 << (MET_BITS - 3))
        place = hash(subject) & ((1 << MET_BITS) - 1)
        index, bit = place >> 3, 1 << (place & 7)
        if self._met[index] & bit:
            return False
        self._met[index] |= bit
        return True

    def answered(self, group: Group, seconds: float, wall_s: float, *, failed: bool, met: bool = False) -> None:
        """The answer to a first attempt went out after so long, in the second that this is; `met`: its subject's first in the run."""
        counts = self.arms[group]
        counts.errors += failed
        bucket = bisect_left(LATENCY_LE_S, seconds)
        counts.latency[bucket] += 1
        if met:
            counts.subjects += 1
            counts.subjects_failed += failed
            counts.subjects_slow += bucket > SLOWEST_FAST
        second = int(wall_s)
        if not self.seconds or self.seconds[-1]["wall_s"] != second:
            self.seconds.append({"wall_s": second})
        row = self.seconds[-1].get(group)
        if row is None:
            row = self.seconds[-1][group] = {"first_attempts": 0, "errors": 0}
        row["first_attempts"] += 1
        row["errors"] += failed

    def samples(self, now_s: float) -> bool:
        """Whether this changed answer is kept as ground truth: the first SAMPLED_PER_S of each second are."""
        second = int(now_s)
        if second != self._second:
            self._second, self._sampled = second, 0
        self._sampled += 1
        return self._sampled <= SAMPLED_PER_S

    def note_change(self, change: dict[str, object]) -> None:
        """One changed row is kept as ground truth; the oldest are forgotten first."""
        self.changed += 1
        self.changes.append({"id": self.changed, **change})

    def as_json(self, now_s: float) -> dict[str, object]:
        """For the control API."""
        armed = self.state == "armed"
        return {
            "run": self.run,
            "generation": self.generation,
            "state": self.state,
            "mode": self.last_arming.mode if self.last_arming is not None else "live",
            "lease_remaining_s": max(0.0, self.lease_s - (now_s - self.renewed_s)) if armed else 0.0,
            "deadline_remaining_s": max(0.0, self.deadline_s - (now_s - self.begun_s)) if armed else 0.0,
            "arms": {name: counts.as_json() for name, counts in self.arms.items()},
            "faults": {str(index): counts.as_json() for index, counts in self.faults.items()},
            "by_second": list(self.seconds),
            "cap": None
            if self.cap is None
            else {"most": f"{self.cap.most} {self.cap.what}", "hurt": self.cap.hurt, "withheld": self.cap.withheld},
        }


def hashed(text: str | bytes) -> str:
    """A name for something that must not be kept itself."""
    return sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


def armed_with(
    arming: Arming, state: RunState, *, generation: int, since_s: Mapping[int, float], protocol: str, now_s: float
) -> Armed:
    """What the data plane is to obey of this arming of a run; the run's own state stays as it is. Raises Refusal.

    `since_s` has when each fault was armed first, by its index: now, where it has none. `protocol` is what `auto` means here.
    """
    problems: list[str] = []
    built: list[ArmedFault] = []
    for body in arming.faults:
        fault = body.built(problems)
        if fault is not None:
            counts = state.faults.get(body.index) or FaultCounts()
            since, memory = since_s.get(body.index, now_s), state.memories.get(body.index)
            built.append(ArmedFault(body.index, fault, since, counts, memory))
    named = protocol if arming.protocol == "auto" else arming.protocol
    known = protocols().get(named)
    if named != "auto" and known is None:
        problems.append(f"the protocol {named!r} is unknown; known: auto, {', '.join(protocols())}")
    if len({body.index for body in arming.faults}) < len(arming.faults):
        problems.append("two faults have the same index; write each index once")
    place = place_of(arming.arms.by)
    if place is None:
        problems.append(
            f"{arming.arms.by!r} names no subject; write request, header:NAME, cookie:NAME, query:NAME or json:$.PATH"
        )
    sliced: Slice | None = None
    key: bytes | None = None
    try:
        sliced = Slice.parse(arming.arms.where) if arming.arms.where is not None else None
        key = bytes.fromhex(arming.synthetic_key) if arming.subjects == "synthetic" else None
    except ValueError as error:
        problems.append(str(error))
    if key is not None and len(key) < 16:
        problems.append("`subjects: synthetic` needs a synthetic_key of at least 16 bytes, in hexadecimal")
    problems += _shadow_problems(state, arming, built) + _cap_problems(state, arming, built)
    if problems or place is None:
        raise Refusal(422, problems)
    return Armed(
        run=state.run,
        generation=generation,
        arms=Arms(arming.seed, arming.arms.traffic, arming.arms.by, arming.arms.where),
        slice=sliced,
        synthetic_key=key,
        protocol=known,
        output=arming.output.output(),
        request_faults=tuple(
            one for one in built if (one.fault.acts_on == "request" and not one.fault.edits_inputs) or one.acts
        ),
        answer_faults=tuple(one for one in built if one.fault.acts_on == "answer" or one.edits_answers),
        document_faults=tuple(one for one in built if one.fault.edits_documents),
        body_faults=tuple(one for one in built if one.fault.edits_bodies),
        delivery_faults=tuple(one for one in built if one.fault.delivers),
        input_names=arming.input.names(),
        input_faults=tuple(one for one in built if one.fault.edits_inputs),
        subject_kind=place[0],
        subject_name=place[1],
        most=Most.parse(arming.most) if arming.most is not None else None,
        shadow=arming.mode == "shadow",
    )


def _cap_problems(state: RunState, arming: Arming, built: list[ArmedFault]) -> list[str]:
    """Why this cap cannot be kept: it moves under the run, or counts what a fault does not know."""
    problems: list[str] = []
    if arming.most is not None and Most.parse(arming.most).what == "predictions":
        problems += [
            f"{one.name} hurts {one.fault.uncounted()}, whose predictions nobody has counted; write `most: N requests`"
            for one in built
            if one.fault.uncounted()
        ]
    if state.last_arming is not None and state.last_arming.most != arming.most:
        problems.append(f"this run was armed here with `most: {state.last_arming.most}`; a run's cap stays what it is")
    return problems


def _shadow_problems(state: RunState, arming: Arming, built: list[ArmedFault]) -> list[str]:
    """Why this cannot be armed in its mode: a copy has nobody who waits, and a run is live or shadow as a whole."""
    problems = [
        f"{one.fault.fault} {one.fault.beyond_copies()}, and `mode: shadow` touches copies of answers alone; arm it live"
        for one in built
        if arming.mode == "shadow" and one.fault.beyond_copies()
    ]
    if state.last_arming is not None and state.last_arming.mode != arming.mode:
        problems.append(f"this run was armed {state.last_arming.mode} here; start a new run for `mode: {arming.mode}`")
    return problems
