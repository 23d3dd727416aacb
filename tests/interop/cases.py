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
    "shouting": {"fault": "shouting", "share": SHARE},
}
SEMANTIC = ("wrong_predictions", "biased_outputs")
TEXT = "shouting"
"""A fault from a plugin, which edits streamed text (`programs/shouting.py`): none of our own does."""


@dataclass(frozen=True, slots=True)
class Case:
    """One server, asked by one client in one protocol.

    `environment` has the client, `calls` is what the client program is told, `package` is the client's. `output` goes into the arming:
    what the system file would say. `untouched` says why the faults that make whole answers wrong cannot do so here: then answers must
    pass as they came. What is `streamed` is for `TEXT`.
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
    streamed: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.server} × {self.client} × {self.protocol}"

    def faults(self) -> tuple[str, ...]:
        """The faults that are armed here; those that cannot apply among them, where answers must then pass as they came."""
        return tuple(fault for fault in FAULTS if self.streamed or fault != TEXT)

    def applies(self, fault: str) -> bool:
        """Whether the fault can do here what it is for."""
        return fault in self.faults() and not (self.untouched and fault in SEMANTIC)


def _triton(server: str, protocol: str, kind: str) -> Case:
    return Case(server, "tritonclient", protocol, "clients", f"triton {kind}", "tritonclient", grpc=kind == "grpc")


def _kserve(server: str, protocol: str, kind: str, output: dict[str, Any] | None = None) -> Case:
    return Case(server, "kserve", protocol, "kserve", f"kserve {kind}", "kserve", output or {}, kind == "grpc")


def _requests(server: str, protocol: str, kind: str, output: dict[str, Any] | None = None) -> Case:
    return Case(server, "requests", protocol, "clients", f"requests {kind}", "requests", output or {})


def _openai(server: str, protocol: str, kind: str, untouched: str = "") -> Case:
    return Case(server, "openai", protocol, "clients", f"openai {kind}", "openai", untouched=untouched)


def _openai_streamed(server: str, client: str, protocol: str, kind: str) -> Case:
    # llama.cpp closes the connection after a stream, and does not say so: who asks again over it may fail, with or without a proxy.
    calls = f"{client} {kind} alone" if server == _LLAMA else f"{client} {kind}"
    return Case(server, client, protocol, "clients", calls, client, untouched=_STREAMED, streamed=True)


_STREAMED = "wrong_predictions and biased_outputs need the whole text, of which a stream brings a piece at a time"
_VECTORS = "vectors have no classes"
_LABELS = {"classes": CLASSES}
_LLAMA, _LLMOCK = "xllamacpp, llama.cpp's server", "LLMock"
CASES = (
    _triton("MLServer", "V2, JSON", "json json"),
    _triton("MLServer", "V2, JSON, gzip both ways", "json json gzip"),
    _triton("MLServer", "V2, JSON, raw tensors asked for", "json raw"),
    _triton("MLServer", "V2, gRPC", "grpc"),
    _requests("MLServer", "V2, JSON, gzip", "v2"),
    _kserve("MLServer", "V2, JSON, gzip", "json"),
    _kserve("MLServer", "V2, gRPC", "grpc"),
    _requests("MLflow, labels", "/invocations", "labels", _LABELS),
    _requests("MLflow, probabilities", "/invocations", "probabilities"),
    _triton("KServe", "V2, JSON", "json json typed"),
    _triton("KServe", "V2, raw tensors", "raw raw"),
    _triton("KServe", "V2, JSON in, raw tensors out", "json raw typed"),
    _triton("KServe", "V2, raw tensors in, JSON out", "raw json"),
    _triton("KServe", "V2, gRPC", "grpc"),
    _kserve("KServe", "V1, JSON", "v1", _LABELS),
    _kserve("KServe", "V2, JSON", "json"),
    _kserve("KServe", "V2, raw tensors", "raw"),
    _kserve("KServe", "V2, gRPC", "grpc"),
    _openai(_LLAMA, "chat, three choices", "chat 3"),
    _openai_streamed(_LLAMA, "openai", "chat, streamed", "chat-stream"),
    _openai_streamed(_LLAMA, "requests", "chat, streamed, read to its end", "chat-stream"),
    _openai(_LLAMA, "completions, three prompts", "completions"),
    _openai_streamed(_LLAMA, "openai", "completions, streamed", "completions-stream"),
    _openai(_LLAMA, "responses", "responses"),
    _openai_streamed(_LLAMA, "openai", "responses, streamed", "responses-stream"),
    _openai(_LLAMA, "embeddings, base64", "embeddings base64", _VECTORS),
    _openai(_LLAMA, "embeddings, numbers", "embeddings float", _VECTORS),
    _openai(_LLMOCK, "chat", "chat 1"),
    _openai_streamed(_LLMOCK, "openai", "chat, streamed", "chat-stream"),
    _openai_streamed(_LLMOCK, "requests", "chat, streamed, read to its end", "chat-stream"),
    _openai(_LLMOCK, "responses", "responses"),
    _openai_streamed(_LLMOCK, "openai", "responses, streamed", "responses-stream"),
    _openai(_LLMOCK, "embeddings", "embeddings base64", _VECTORS),
)

LEFT_OUT = (
    (
        "MLServer × tritonclient or kserve × V2, raw tensors in, over HTTP",
        "MLServer reads JSON alone there, whatever Content-Type it is told: 422 or 500. Raw tensors reach it over gRPC",
    ),
    ("KServe × tritonclient × V2, gzip", "KServe does not decode what the client then sends: 400"),
    ("LLMock × openai × completions", "LLMock has none: 404"),
    (
        "MLflow × its own ScoringServerClient",
        "it sends no header of its caller's, by which users could be told apart, and is `requests` otherwise",
    ),
)
"""What does not work without any proxy either, or could not be told apart by user; each was seen."""


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
    if not case.applies(fault) or (fault == "biased_outputs" and subject[GROUP] != "hurt"):
        return rows
    classes = classes_of(case, rows)
    return [_wrong(row, fault, classes) if hurt(subject, place) else row for place, row in enumerate(rows)]


def _wrong(row: list[Any], fault: str, classes: list[Any]) -> list[Any]:
    label, scores = row
    if fault == TEXT:
        return [label.upper(), None]
    found = classes.index(label)
    given = (found + 1) % len(classes) if fault == "wrong_predictions" else 0
    if scores is None:
        return [classes[given], None]
    moved = list(scores)
    moved[found], moved[given] = moved[given], moved[found]
    return [classes[given], moved]
