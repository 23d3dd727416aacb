"""What every fault is: parameters people write, and behaviour without I/O.

    request ─▶ act()         ─▶ Wait | Answer | Reset | Redirect    before the model is asked
            ─▶ edit_inputs() ─▶ inputs                              what the model is asked
    answer  ─▶ edit()          ─▶ rows                              after it has answered, whole
            ─▶ edit_text()     ─▶ a piece of text                   streamed
            ─▶ edit_document() ─▶ values in its JSON                whole, or event by event
            ─▶ edit_body()     ─▶ bytes                             what no protocol reads
            ─▶ deliver()       ─▶ Wait | End | Reset                on its way to the client, part by part
    load    ─▶ see `chaos.faults.loads`                             what the run's own load sends and says
    container                                                       a verb that a driver knows
    outside   see `chaos.faults.external`                           another tool does it, and a query shows it

A fault never touches a socket. It says what should happen in a closed set of actions, or returns other values; the proxy
performs them, tests read them. Chance comes in with the call, and so does what the fault remembers: the same seed, request and
memory give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from chaos.arms import HeaderValues, row_selected, unit_interval
from chaos.faults.aims import Aim
from chaos.json_places import Address
from chaos.rows import Input, Piece, Row, TextSoFar
from chaos.units import Duration, Share, parse_duration


class Signal(StrEnum):
    """What a probe or an alert reads, as far as a fault can predict it. The plan uses it for dilution."""

    accuracy = "accuracy"
    error_ratio = "error_ratio"
    latency = "latency"
    fairness_gap = "fairness_gap"
    positive_rate = "positive_rate"
    availability = "availability"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing happens for so long. Disarming releases it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The client gets this instead of the model's answer; the model is not asked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection to the client is reset; of a part of an answer, it gets `after` bytes first."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another model is asked instead, at this `http://HOST:PORT`; what it says goes on to the client."""

    address: str


@dataclass(frozen=True, slots=True)
class End:
    """The client gets `after` more bytes of this part, and then the end of the answer.

    `clean`: a well-formed end, as far as the answer's framing has one (the last chunk); else its connection ends within the answer.
    """

    after: int = 0
    clean: bool = False


Action = Wait | Answer | Reset | Redirect
Delivery = Wait | End | Reset


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer that is about to go to the client: its head, a piece of its body, or a whole event of a stream.

    `index` counts the parts of its kind from 0, `size` is its length and `before` that of the body's parts before it, in bytes.
    """

    kind: Literal["head", "piece", "event"]
    index: int
    size: int
    before: int


REMEMBERED_ROWS = 512
REMEMBERED_BYTES = 4 * 1024 * 1024


class NotThere(ValueError):
    """What a fault acts on is not in this request: it passes untouched, and is counted as one that cannot be read."""


class Memory:
    """What one fault remembers, in one process, from its arming until it is taken off; bounded.

    `selected` counts the requests (of a `deliver`: the answers) that it had selected before this one; the proxy counts, once a
    request, after the fault was asked first. `rows`, `body` and `number` are the fault's own, at most REMEMBERED_ROWS and
    REMEMBERED_BYTES of the first two.
    """

    __slots__ = ("body", "number", "rows", "selected")

    def __init__(self) -> None:
        self.selected = 0
        self.number = 0.0
        self.rows: list[Row] = []
        self.body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a fault sees it.

    `subject` is what was assigned to the treatment arm, `share` the fault's share of rows right now (its own share times
    the shape's intensity), `headers` lower-case. `body` is the request's, or b"" when nobody needed it. `elapsed_s` is how long the
    fault has been on. `texts` has what became of each row's text in this answer, before and after this fault, for one that edits
    text and documents.
    """

    seed: str
    fault_index: int
    subject: str
    share: float
    headers: HeaderValues
    body: bytes = b""
    elapsed_s: float = 0.0
    memory: Memory = field(default_factory=Memory)
    texts: dict[int, TextSoFar] = field(default_factory=dict)

    def selected(self, row: int = 0) -> bool:
        """Whether the fault hurts this row."""
        if self.share >= 1:
            return True  # as the hash would say: it is below one
        return row_selected(self.seed, self.fault_index, self.subject, row, self.share)

    def chance(self, row: int, what: str) -> float:
        """A number in [0, 1) for this row and purpose, the same at every retry."""
        return unit_interval(self.seed, what, self.fault_index, self.subject, row)


class Shape(BaseModel):
    """How a fault's intensity moves over its time: step, ramp T, or pulse ON/OFF."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["step", "ramp", "pulse"] = "step"
    rise_s: float = 0.0
    on_s: float = 0.0
    off_s: float = 0.0

    def intensity(self, elapsed_s: float) -> float:
        """The factor in [0, 1] on the fault's share, `elapsed_s` seconds after its arming."""
        match self.kind:
            case "ramp":
                return min(1.0, max(0.0, elapsed_s / self.rise_s)) if self.rise_s > 0 else 1.0
            case "pulse":
                return 1.0 if elapsed_s % (self.on_s + self.off_s) < self.on_s else 0.0
            case _:
                return 1.0

    def __str__(self) -> str:
        match self.kind:
            case "ramp":
                return f"ramp {self.rise_s:g}s"
            case "pulse":
                return f"pulse {self.on_s:g}s/{self.off_s:g}s"
            case _:
                return "step"


def parse_shape(value: object) -> object:
    """`step`, `ramp 30s` or `pulse 5s/10s` become a Shape; anything else is refused with what to write."""
    if isinstance(value, (Shape, dict)):
        return value
    words = str(value).split()
    match words:
        case ["step"]:
            return Shape()
        case ["ramp", rise]:
            return Shape(kind="ramp", rise_s=parse_duration(rise))
        case ["pulse", times] if times.count("/") == 1:
            on, off = (parse_duration(time) for time in times.split("/"))
            if on > 0 and off > 0:
                return Shape(kind="pulse", on_s=on, off_s=off)
    raise ValueError(f"{value!r} is no shape; write step, `ramp 30s` or `pulse 5s/10s`")


ShapeText = Annotated[
    Shape,
    BeforeValidator(parse_shape),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["step", "ramp 30s", "pulse 5s/10s"]}),
]


@dataclass(frozen=True, slots=True)
class Example:
    """One way to write the fault, and what it then does, or the message with which it is refused."""

    yaml: str
    does: str | None = None
    refused: str | None = None


class Fault(BaseModel):
    """What is written under `faults:`; the parameters that every fault has. Subclasses add their own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    acts_on: ClassVar[Literal["request", "answer", "container", "load", "outside"]]
    """request: before the model is asked · answer: on what it said · container: on what it runs in · load: on what the run's own
    load sends. · outside: another tool does it. Of the first two it says where the fault mostly happens: each may use the hooks of both."""
    works_on: ClassVar[Literal["any", "predictions", "text"]] = "any"
    """What the target's answers must be for the fault to exist: a language model has no classes, a tabular one no tokens."""
    semantic: ClassVar[bool] = False
    """Whether it makes answers wrong (law 9 applies)."""
    changes_bytes: ClassVar[bool] = False
    edits_text: ClassVar[bool] = False
    """Whether it can hurt an answer that is streamed, piece by piece (`edit_text`)."""
    edits_inputs: ClassVar[bool] = False
    """Whether it changes what the model is asked (`edit_inputs`)."""
    edits_documents: ClassVar[bool] = False
    """Whether it changes values in the answer's JSON that are no rows (`edit_document`)."""
    edits_bodies: ClassVar[bool] = False
    """Whether it makes other bytes of an answer, whatever its method, status and protocol (`edit_body`)."""
    inconsistent: ClassVar[bool] = False
    """Whether label and scores may contradict each other afterwards: then that is its purpose."""
    breaks_protocol: ClassVar[bool] = False
    """Whether what the client gets need not be an answer of the protocol any more."""
    delivers: ClassVar[bool] = False
    """Whether it decides how the answer reaches the client (`deliver`)."""
    whole_target: ClassVar[bool] = False
    """Whether everything that goes to the target is hurt, without arms: what asks there is monitoring, and no user."""
    family: ClassVar[str]
    must: ClassVar[str]
    """The kind of alert that should catch it."""
    quiet: ClassVar[str]
    """The kind of alert that would be a false lead."""
    blind: ClassVar[str] = ""
    """Why no alert can see it, where that is so."""
    examples: ClassVar[tuple[Example, ...]] = ()

    fault: str
    target: str = Field(description="a target of the system")
    share: Share = Field(1.0, description="share of the treatment arm's predictions or requests that are hurt")
    start: Duration = Field(0.0, description="how long after the baseline the fault begins")
    duration: Duration | None = Field(
        None, description="the most that it lasts; it ends sooner once every expectation is decided"
    )
    until: Literal["decided", "full"] = Field("decided", description="`full` keeps the fault on for its whole duration")
    shape: ShapeText = Field(Shape(), description="step, `ramp 30s` or `pulse 5s/10s`")

    def explain(self) -> str:
        """One plain sentence: what goes wrong, for whom."""
        raise NotImplementedError

    def needs_body(self) -> bool:
        """Whether it asks for the request's body (`Call.body`); then every request is read whole before its arm is known."""
        return False

    def aim(self) -> Aim | None:
        """The outcome that people wrote instead of a share; None where they did not. The plan finds the share that gives it."""
        return None

    def aimed(self, now: float, classes: int | None) -> Self:
        """The same fault with the share that its aim takes, and without the aim, where the outcome reads `now` in [0, 1].

        `classes` is how many classes the model has; None where nobody knows. Only with an `aim`. Raises OutOfReach.
        """
        raise NotImplementedError

    @classmethod
    def uncounted(cls) -> str:
        """What it hurts as a whole, so that nobody counts the predictions in it; empty when it hurts single ones."""
        if (cls.acts_on == "request" and not cls.edits_inputs) or cls.act is not Fault.act:
            return "requests"
        return "whole answers" if cls.delivers or cls.edits_bodies else ""

    @classmethod
    def beyond_copies(cls) -> str:
        """What it does that cannot be done to a copy of an answer, whose client nobody waits with; empty when all of it can."""
        beyond = {
            "container": "hurts containers",
            "load": "hurts the run's own load",
            "outside": "is what another tool does",
        }
        if cls.acts_on in beyond:
            return beyond[cls.acts_on]
        if cls.acts_on == "request" or cls.act is not Fault.act or cls.edits_inputs:
            return "hurts requests"
        if cls.delivers:
            return "hurts how answers reach their clients"
        return "makes other bytes of an answer" if cls.edits_bodies else ""

    def act(self, call: Call) -> Iterator[Action]:  # noqa: ARG002
        """What happens to a selected request before the model is asked; nothing, unless the fault says otherwise."""
        return iter(())

    def edit(self, rows: Sequence[Row], call: Call) -> Sequence[Row]:  # noqa: ARG002
        """The rows that the client gets; the very same objects wherever nothing is hurt."""
        return rows

    def edit_text(self, piece: Piece, call: Call) -> str:  # noqa: ARG002
        """What the client gets instead of a piece of streamed text; asked for selected rows, and only with `edits_text`."""
        return piece.text

    def edit_inputs(self, inputs: Sequence[Input], call: Call) -> Sequence[Input]:  # noqa: ARG002
        """What the model is asked instead; the very same objects wherever nothing is hurt. Only with `edits_inputs`.

        Raises NotThere when no selected input has what the fault acts on.
        """
        return inputs

    def selects_requests(self) -> bool:
        """Whether a request's inputs are hurt all or none, as its first row is selected. Only with `edits_inputs`."""
        return False

    def edit_document(self, document: object, call: Call) -> Mapping[Address, object]:  # noqa: ARG002
        """Which values of a selected answer's JSON (of each event's, when it is streamed) become which others.

        A fault that edits rows or text as well is asked about every answer that it may hurt, after these edits, so that what
        belongs to a text follows it; `call.texts` says what was changed, and what is changed here is not counted as another row.
        """
        return {}

    def edit_body(self, body: bytes, call: Call) -> bytes:  # noqa: ARG002
        """What the client gets instead of a selected answer's body; the very same object when nothing is hurt."""
        return body

    def deliver(self, part: Part, call: Call) -> Iterator[Delivery]:  # noqa: ARG002
        """What happens before this part of a selected answer goes to the client; nothing, unless the fault says otherwise."""
        return iter(())

    def treated(self, signal: Signal, control: float) -> float | None:  # noqa: ARG002
        """What `signal` reads in the treatment arm when it reads `control` elsewhere; None when nobody can say."""
        return None
