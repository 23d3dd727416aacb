"""What people and runs arm a proxy with: the body of `PUT /runs/{id}`, read strictly, every problem at once. No I/O."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chaos.caps import Most
from chaos.errors import ChaosError
from chaos.faults import catalogue as faults
from chaos.faults.base import Fault
from chaos.protocols.base import InputNames, Output
from chaos.units import Share


class Refusal(ChaosError):
    """The arming is refused: `status` is HTTP's, 409 when it cannot be beside what holds the proxy, 422 when it is wrong."""

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

    def built(self, problems: list[str]) -> Fault | None:
        """The fault that this means; None when a proxy cannot perform it, and `problems` then say why."""
        name = self.fault.get("fault")
        kind = faults().get(name) if isinstance(name, str) else None
        if kind is None:
            problems.append(f"the fault {name!r} is unknown to this proxy")
            return None
        if kind.acts_on not in ("request", "answer"):
            on = {"container": "containers", "load": "the run's own load"}.get(kind.acts_on, "what other tools do")
            problems.append(f"{name} acts on {on}; a proxy cannot perform it")
            return None
        try:
            built = kind.model_validate(self.fault)
        except ValidationError as error:
            problems.extend(f"{name}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            return None
        if (aim := built.aim()) is not None:
            problems.append(
                f"{name}: a proxy knows no {aim.outcome}; write the `share` that a plan finds for `to_{aim.outcome}`"
            )
        return built


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


def _cap(text: str) -> str:
    Most.parse(text)
    return text


class InputBody(BaseModel):
    """What the features of a request are called, and where its rows are."""

    model_config = ConfigDict(extra="forbid")
    features: list[str] = []
    rows: str | None = None

    def names(self) -> InputNames:
        """What protocols take."""
        return InputNames(tuple(self.features), self.rows)


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
    input: InputBody = InputBody()
    faults: list[FaultBody] = []
    most: Annotated[str, AfterValidator(_cap)] | None = None
    lease_s: float = Field(10.0, gt=0, le=3600)
    deadline_s: float = Field(gt=0, le=7 * 86400)


def parse_arming(body: object) -> Arming:
    """The body of a PUT. Raises Refusal with every problem."""
    try:
        return _ARMING.validate_python(body)
    except ValidationError as error:
        raise Refusal(422, [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]) from error


_ARMING: TypeAdapter[Arming] = TypeAdapter(Arming)
