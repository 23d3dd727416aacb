"""What is tried: server, client and protocol; which faults can apply; and what each row must be when one is armed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chaos.arms import Arms, row_selected

SEED = "a seed"
TRAFFIC = 0.6
SHARE = 0.6
BY = "x-user-id"
GROUP = "x-group"
DELAY_S = 0.4
STATUS = 503
CLASSES = [0, 1, 2]
SUBJECTS = [{BY: f"user-{number}", GROUP: "hurt" if number % 3 else "spared"} for number in range(12)]
OTHER_ANSWER = "I do not know."

FAULTS: dict[str, dict[str, Any]] = {
    "wrong_predictions": {"fault": "wrong_predictions", "share": SHARE},
    "biased_outputs": {"fault": "biased_outputs", "by": f"header:{GROUP}", "group": "hurt", "share": SHARE},
    "delay": {"fault": "delay", "by": f"{DELAY_S * 1000:.0f}ms", "share": SHARE},
    "http_error": {"fault": "http_error", "status": STATUS, "share": SHARE},
}
SEMANTIC = ("wrong_predictions", "biased_outputs")


@dataclass(frozen=True, slots=True)
class Case:
    """One server, asked by one client in one protocol.

    `environment` has the client, `calls` is what the client program is told, `package` is the client's. `output` goes into the arming:
    what the system file would say. `untouched` says why answers cannot be made wrong: then they must pass as they came.
    """

    server: str
    client: str
    protocol: str
    environment: str
    calls: str
    package: str
    output: dict[str, Any] = field(default_factory=dict)
    grpc: bool = False
    untouched: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.server} × {self.client} × {self.protocol}"


def _triton(server: str, protocol: str, kind: str) -> Case:
    return Case(server, "tritonclient", protocol, "clients", f"triton {kind}", "tritonclient", grpc=kind == "grpc")


def _kserve(server: str, protocol: str, kind: str, output: dict[str, Any] | None = None) -> Case:
    return Case(server, "kserve", protocol, "kserve", f"kserve {kind}", "kserve", output or {}, kind == "grpc")


def _openai(protocol: str, kind: str, untouched: str = "") -> Case:
    calls = f"openai {kind}"
    return Case("LLMock", "openai", protocol, "clients", calls, "openai", untouched=untouched)


_STREAMED = "no fault edits streamed text"
_LABELS = {"classes": CLASSES}
CASES = (
    _triton("MLServer", "V2, JSON", "json"),
    _triton("MLServer", "V2, gRPC", "grpc"),
    Case("MLServer", "requests", "V2, JSON, gzip", "clients", "requests v2", "requests"),
    _kserve("MLServer", "V2, JSON, gzip", "json"),
    _kserve("MLServer", "V2, gRPC", "grpc"),
    Case("MLflow, labels", "requests", "/invocations", "clients", "requests labels", "requests", _LABELS),
    Case("MLflow, probabilities", "requests", "/invocations", "clients", "requests probabilities", "requests"),
    _openai("chat", "chat"),
    _openai("chat, streamed", "chat-stream", _STREAMED),
    _openai("embeddings", "embeddings", "vectors have no classes"),
    _openai("responses", "responses"),
    _openai("responses, streamed", "responses-stream", _STREAMED),
    _triton("KServe", "V2, raw tensors", "binary"),
    _triton("KServe", "V2, gRPC", "grpc"),
    _kserve("KServe", "V1, JSON", "v1", _LABELS),
    _kserve("KServe", "V2, JSON", "json"),
    _kserve("KServe", "V2, raw tensors", "binary"),
    _kserve("KServe", "V2, gRPC", "grpc"),
)

LEFT_OUT = (
    ("MLServer × tritonclient × V2, raw tensors", "MLServer answers raw tensors over HTTP with 422"),
    (
        "KServe × tritonclient × V2, JSON",
        "KServe answers JSON without a Content-Type, which tritonclient sends, with 400",
    ),
)
"""What does not work without any proxy either; each was seen."""


# --- what must come out -----------------------------------------------------------------------------------------------


def arming(case: Case, fault: str, rows: list[list[Any]]) -> dict[str, Any]:
    """The body of the PUT that arms this fault, for `TRAFFIC` of all users."""
    classes = classes_of(case, rows)
    written = {**FAULTS[fault], "target": "model", **({"decision": classes[0]} if fault == "biased_outputs" else {})}
    named = {"classes": classes} if isinstance(classes[0], str) else {}
    return {
        "seed": SEED,
        "arms": {"traffic": TRAFFIC, "by": f"header:{BY}", "where": None},
        "subjects": "users",
        "output": {**case.output, **named},
        "faults": [{"index": 0, "fault": written}],
        "lease_s": 60,
        "deadline_s": 600,
    }


def classes_of(case: Case, rows: list[list[Any]]) -> list[Any]:
    """The classes; of a model that answers with text: another answer, and the one that it gives."""
    said = rows[0][0]
    return [OTHER_ANSWER, said] if isinstance(said, str) else CLASSES


def hurt(subject: dict[str, str], row: int = 0) -> bool:
    """Whether this row of this user's answers is selected."""
    if Arms(SEED, TRAFFIC).arm_of(subject[BY]) != "treatment":
        return False
    return row_selected(SEED, 0, subject[BY], row, SHARE)


def expected(case: Case, fault: str, subject: dict[str, str], rows: list[list[Any]]) -> list[list[Any]]:
    """The rows that this user must get, when without a fault they are `rows`."""
    if case.untouched or (fault == "biased_outputs" and subject[GROUP] != "hurt"):
        return rows
    classes = classes_of(case, rows)
    return [_wrong(row, fault, classes) if hurt(subject, place) else row for place, row in enumerate(rows)]


def _wrong(row: list[Any], fault: str, classes: list[Any]) -> list[Any]:
    label, scores = row
    found = classes.index(label)
    given = (found + 1) % len(classes) if fault == "wrong_predictions" else 0
    if scores is None:
        return [classes[given], None]
    moved = list(scores)
    moved[found], moved[given] = moved[given], moved[found]
    return [classes[given], moved]
