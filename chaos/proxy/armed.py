"""What the proxy is armed with, and what it has counted: one run at a time, under a lease. No I/O; time comes in.

The armed configuration is one immutable object, swapped as a whole; the data plane reads one attribute and sees either none or
all of it. Counters belong to the run and outlive its arming, so that removal can be proven.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chaos.arms import SYNTHETIC_HEADER, Arms, header_of, is_synthetic, subject_of
from chaos.errors import ChaosError
from chaos.faults import catalogue as faults
from chaos.faults.base import Fault
from chaos.protocols import catalogue as protocols
from chaos.protocols.base import Output, Protocol
from chaos.slices import Slice
from chaos.units import Share

Group = Literal["treatment", "control", "outside"]
LATENCY_LE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
KEPT_CHANGES = 1000
REMEMBERED_S = 600.0
"""How long a run's counts can be read after it was disarmed."""
MOST_UNTOUCHED = 1000


class Refusal(ChaosError):
    """The arming is refused: `status` is HTTP's, 409 when another run holds the proxy, 422 when it is wrong."""

    def __init__(self, status: int, problems: list[str]) -> None:
        self.status = status
        self.problems = problems
        super().__init__("; ".join(problems))


class ArmsBody(BaseModel):
    """How subjects are split, as the control API takes it."""

    model_config = ConfigDict(extra="forbid")
    traffic: float = Field(ge=0, le=1)
    by: str
    where: str | None = None


class FaultBody(BaseModel):
    """One fault, as the control API takes it: its place in the experiment, and what people wrote."""

    model_config = ConfigDict(extra="forbid")
    index: int = Field(ge=0, le=1000)
    fault: dict[str, Any]


class OutputBody(BaseModel):
    """Where the decision is in an answer."""

    model_config = ConfigDict(extra="forbid")
    label: str | None = None
    scores: str | None = None
    classes: list[bool | int | float | str] = []
    score: str | None = None
    positive: bool | int | float | str | None = None
    threshold: Share | None = None

    def output(self) -> Output:
        """What protocols take."""
        return Output(**{**self.model_dump(), "classes": tuple(self.classes), "threshold": self.threshold})


class Arming(BaseModel):
    """The body of `PUT /runs/{id}`."""

    model_config = ConfigDict(extra="forbid")
    seed: str
    arms: ArmsBody
    mode: Literal["live", "shadow"] = "live"
    subjects: Literal["synthetic", "users"] = "synthetic"
    synthetic_key: str = ""
    protocol: str = "auto"
    output: OutputBody = OutputBody()
    faults: list[FaultBody] = []
    lease_s: float = Field(10.0, gt=0, le=3600)
    deadline_s: float = Field(gt=0, le=7 * 86400)


@dataclass(slots=True)
class ArmCounts:
    """One arm's requests since the run was armed."""

    requests: int = 0
    first_attempts: int = 0
    subjects_unknown: int = 0
    errors: int = 0
    untouched_since_disarm: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_LE_S) + 1))

    def answered(self, seconds: float, *, failed: bool, first: bool) -> None:
        """One answer went out."""
        if not first:
            return
        self.errors += failed
        place = next((place for place, bound in enumerate(LATENCY_LE_S) if seconds <= bound), len(LATENCY_LE_S))
        self.latency[place] += 1

    def as_json(self) -> dict[str, object]:
        """For the control API; latency cumulative."""
        total, cumulative = 0, {}
        for bound, count in zip([*(f"{bound:g}" for bound in LATENCY_LE_S), "+Inf"], self.latency, strict=True):
            total += count
            cumulative[bound] = total
        return {
            "requests": self.requests, "first_attempts": self.first_attempts, "subjects_unknown": self.subjects_unknown,
            "errors": self.errors, "untouched_since_disarm": self.untouched_since_disarm, "latency_buckets": cumulative,
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
        return {name: getattr(self, name) for name in FaultCounts.__slots__}


@dataclass(frozen=True, slots=True)
class ArmedFault:
    """One fault that is on. `since_s` is when it was armed first, on the monotonic clock."""

    index: int
    fault: Fault
    since_s: float
    counts: FaultCounts


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
    shadow: bool = False
    """Whether clients get untouched answers, and faults happen to copies alone."""

    def has(self, index: int) -> bool:
        """Whether the fault with this place in the experiment is on."""
        return any(fault.index == index for fault in (*self.request_faults, *self.answer_faults))

    def needs_body(self) -> bool:
        """Whether a request's body must be read before its arm is known."""
        return self.slice is not None and self.slice.needs_body

    def group_of(self, headers: Mapping[str, str], body: bytes) -> tuple[Group, str | None]:
        """The arm of a request, and its subject. Nothing without a subject, outside the slice or unmarked is touched."""
        subject = subject_of(self.arms.by, headers)
        if subject is None:
            return "outside", None
        if self.synthetic_key is not None and not is_synthetic(
            self.synthetic_key, self.run, subject, headers.get(SYNTHETIC_HEADER)
        ):
            return "outside", subject
        if self.slice is not None and not self.slice.matches(headers, body):
            return "outside", subject
        return self.arms.arm_of(subject), subject


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
    changes: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=KEPT_CHANGES))
    changed: int = 0
    last_armed: Armed | None = None
    last_arming: Arming | None = None
    seconds: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=120))

    def over(self, now_s: float) -> bool:
        """Whether nobody renewed the lease in time, or the deadline has come."""
        return now_s - self.renewed_s > self.lease_s or now_s - self.begun_s > self.deadline_s

    def count_second(self, wall_s: float, group: Group, *, failed: bool) -> None:
        """One first attempt was answered, in the second that this is."""
        second = int(wall_s)
        if not self.seconds or self.seconds[-1]["wall_s"] != second:
            self.seconds.append({"wall_s": second})
        row = self.seconds[-1].setdefault(group, {"first_attempts": 0, "errors": 0})
        row["first_attempts"] += 1
        row["errors"] += failed

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
        }


def hashed(text: str | bytes) -> str:
    """A name for something that must not be kept itself."""
    return sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


class Registry:
    """Who holds this proxy. `armed` is what the data plane reads; `monotonic` is the clock of leases."""

    def __init__(self, monotonic: Callable[[], float], protocol: str = "auto") -> None:
        self._monotonic = monotonic
        self._protocol = protocol
        """What an arming means that says `auto`; `auto` itself: told by each request's path."""
        self.armed: Armed | None = None
        self.holder: RunState | None = None
        self.runs: dict[str, RunState] = {}
        self.expiries = 0
        self._last: RunState | None = None
        self.waiting: dict[Callable[[], None], int | None] = {}
        """What lets go whoever waits in a delay, and the index of the fault: called once that one is off."""

    # --- the control API ----------------------------------------------------------------------------------------------

    def arm(self, run: str, arming: Arming) -> RunState:
        """The proxy is armed with exactly this. Raises Refusal."""
        now_s = self._monotonic()
        self.expire()
        if self.holder is not None and self.holder.run != run:
            raise Refusal(
                409,
                [
                    f"the run {self.holder.run} holds this proxy; its lease ends within {self.holder.lease_s:g}s of its runner's death"
                ],
            )
        state = self.runs.get(run)
        if state is None:
            state = RunState(run, begun_s=now_s)
        elif state.state == "expired":
            raise Refusal(409, ["this run has expired at this proxy; its runner was silent for longer than its lease"])
        elif now_s - state.begun_s > state.deadline_s:
            raise Refusal(409, ["this run's deadline at this proxy is over; start a new run"])
        built = self._build(run, state, arming, now_s)
        state.deadline_s = arming.deadline_s if not state.deadline_s else min(state.deadline_s, arming.deadline_s)
        state.generation, state.state, state.ended_s = built.generation, "armed", None
        state.lease_s, state.renewed_s, state.last_armed, state.last_arming = arming.lease_s, now_s, built, arming
        self.runs[run] = state
        self.holder, self.armed = state, built
        self._release({index for index in self.waiting.values() if index is None or not built.has(index)})
        self._forget(now_s)
        return state

    def _build(self, run: str, state: RunState, arming: Arming, now_s: float) -> Armed:
        problems: list[str] = []
        built: list[ArmedFault] = []
        for body in arming.faults:
            fault = _fault(body, problems)
            if fault is not None:
                since_s = state.since_s.get(body.index, now_s)
                built.append(ArmedFault(body.index, fault, since_s, state.faults.get(body.index) or FaultCounts()))
        named = self._protocol if arming.protocol == "auto" else arming.protocol
        protocol = protocols().get(named)
        if named != "auto" and protocol is None:
            problems.append(f"the protocol {named!r} is unknown; known: auto, {', '.join(protocols())}")
        if len({body.index for body in arming.faults}) < len(arming.faults):
            problems.append("two faults have the same index; write each index once")
        if header_of(arming.arms.by) is None:
            problems.append(f"{arming.arms.by!r} names no subject; write request or header:NAME")
        sliced: Slice | None = None
        key: bytes | None = None
        try:
            sliced = Slice.parse(arming.arms.where) if arming.arms.where is not None else None
            key = bytes.fromhex(arming.synthetic_key) if arming.subjects == "synthetic" else None
        except ValueError as error:
            problems.append(str(error))
        if key is not None and len(key) < 16:
            problems.append("`subjects: synthetic` needs a synthetic_key of at least 16 bytes, in hexadecimal")
        problems += _shadow_problems(state, arming, built)
        if problems:
            raise Refusal(422, problems)
        for one in built:
            state.faults[one.index] = one.counts
            state.since_s[one.index] = one.since_s
        return Armed(
            run=run,
            generation=state.generation + 1,
            arms=Arms(arming.seed, arming.arms.traffic, arming.arms.by, arming.arms.where),
            slice=sliced,
            synthetic_key=key,
            protocol=protocol,
            output=arming.output.output(),
            request_faults=tuple(one for one in built if one.fault.acts_on == "request"),
            answer_faults=tuple(one for one in built if one.fault.acts_on == "answer"),
            shadow=arming.mode == "shadow",
        )

    def renew(self, run: str) -> RunState | None:
        """The lease lives on; None when the run does not hold this proxy any more."""
        self.expire()
        if self.holder is None or self.holder.run != run:
            return None
        self.holder.renewed_s = self._monotonic()
        return self.holder

    def disarm(self, run: str | None, *, expired: bool = False) -> None:
        """No new request can be touched by this run (None: by any), and whoever waits is let go. Idempotent."""
        holder = self.holder
        if holder is None or (run is not None and holder.run != run):
            return
        self.armed = None
        self.holder = None
        holder.state = "expired" if expired else "disarmed"
        holder.ended_s = self._monotonic()
        holder.untouched, self._last = 0, holder
        self._release(set(self.waiting.values()))

    def _release(self, indexes: set[int | None]) -> None:
        """Whoever waits in a delay of these faults goes on."""
        for release in [release for release, index in self.waiting.items() if index in indexes]:
            self.waiting.pop(release, None)
            release()

    def expire(self) -> None:
        """A run whose lease or deadline is over is disarmed by itself."""
        if self.holder is not None and self.holder.over(self._monotonic()):
            self.expiries += 1
            self.disarm(self.holder.run, expired=True)

    @property
    def active(self) -> tuple[Armed, ...]:
        """Every run that holds this proxy."""
        return (self.armed,) if self.armed is not None else ()

    def holder_of(self, run: str) -> RunState | None:
        """The state of a run that holds this proxy."""
        return self.holder if self.holder is not None and self.holder.run == run else None

    def obeys(self, armed: Armed, index: int) -> bool:
        """Whether a fault may still touch what it began to: its run holds the proxy and has not taken it off."""
        return any(now.run == armed.run and now.has(index) for now in self.current())

    def current(self) -> tuple[Armed, ...]:
        """What the data plane must obey right now: nothing once the lease is over, even if no timer has run yet."""
        holder = self.holder
        if holder is None:
            return ()
        if holder.over(self._monotonic()):
            self.expire()
        return self.active

    def lately(self) -> RunState | None:
        """The run that was disarmed last, while its removal is still being proven; then, idle costs nothing again."""
        last = self._last
        if last is None or self.holder is not None:
            return None
        over = last.ended_s is None or self._monotonic() - last.ended_s > REMEMBERED_S
        if over or last.untouched >= MOST_UNTOUCHED:
            self._last = None
            return None
        return last

    def _forget(self, now_s: float) -> None:
        for name, state in list(self.runs.items()):
            if state.ended_s is not None and now_s - state.ended_s > REMEMBERED_S:
                del self.runs[name]


def _fault(body: FaultBody, problems: list[str]) -> Fault | None:
    name = body.fault.get("fault")
    kind = faults().get(name) if isinstance(name, str) else None
    if kind is None:
        problems.append(f"the fault {name!r} is unknown to this proxy")
        return None
    if kind.acts_on == "container":
        problems.append(f"{name} acts on containers; a proxy cannot perform it")
        return None
    try:
        return kind.model_validate(body.fault)
    except ValidationError as error:
        problems.extend(f"{name}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return None


def _shadow_problems(state: RunState, arming: Arming, built: list[ArmedFault]) -> list[str]:
    """Why this cannot be armed in its mode: a copy has nobody who waits, and a run is live or shadow as a whole."""
    problems = [
        f"{one.fault.fault} hurts requests, and `mode: shadow` touches copies of answers alone; arm it live"
        for one in built
        if arming.mode == "shadow" and one.fault.acts_on == "request"
    ]
    if state.last_arming is not None and state.last_arming.mode != arming.mode:
        problems.append(f"this run was armed {state.last_arming.mode} here; start a new run for `mode: {arming.mode}`")
    return problems


def parse_arming(body: object) -> Arming:
    """The body of a PUT. Raises Refusal with every problem."""
    try:
        return _ARMING.validate_python(body)
    except ValidationError as error:
        raise Refusal(422, [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]) from error


_ARMING: TypeAdapter[Arming] = TypeAdapter(Arming)
