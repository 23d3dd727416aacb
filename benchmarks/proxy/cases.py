"""What is asked of every peer: the backend's answers, the requests, and which of them are to be changed. Pure.

An answer is one prediction in the Open Inference Protocol: a label and the scores of all classes. To change it is to do what
`wrong_predictions` does: the label becomes the next class, and the scores of the two classes are swapped.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from chaos.arms import Arms

SEED = "benchmark"
IDS = 1000
"""How many different requests the load repeats; a tenth of them is in the treatment arm of the 10 % cases."""
TENTH = 0x199A
"""Peers that cannot hash take ids whose last four hexadecimal digits lie below this: 10 %, the same requests as ours."""


@dataclass(frozen=True, slots=True)
class Model:
    """One path of the backend. `size` is about how many bytes its answer has; `rows` predictions are in it."""

    name: str
    size: int
    rows: int = 1

    @property
    def path(self) -> str:
        """Where the backend answers with it."""
        return f"/v2/models/{self.name}/infer"


SMALL, LARGE = Model("small", 512), Model("large", 20_000)
SIZES = (
    SMALL,
    LARGE,
    Model("100kB", 100_000),
    Model("1MB", 1_000_000),
    Model("10MB", 10_000_000),
)
BATCHES = tuple(Model(f"rows-{rows}", 190 + 40 * rows, rows) for rows in (1, 10, 100, 400))
MODELS = {model.name: model for model in (*SIZES, *BATCHES)}


@dataclass(frozen=True, slots=True)
class Work:
    """What a peer does to answers: this share of them is changed, so many times each."""

    share: float
    times: int

    def __str__(self) -> str:
        return f"{self.share:g}x{self.times}"

    @classmethod
    def of(cls, text: str) -> Work:
        """As `str` writes it."""
        share, _, times = text.partition("x")
        return cls(float(share), int(times))


IDLE, SOME, ALL, MANY = Work(0.0, 0), Work(0.1, 1), Work(1.0, 1), Work(0.1, 10)
WORKS = (IDLE, SOME, ALL, MANY)
"""A peer listens once for each of these that it can do."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is measured. `share` of requests is changed, by `faults` faults; `connections` are kept open.

    With a `rate` it is an open loop of so many requests a second; without, each answer is followed by the next request.
    """

    name: str
    model: Model
    share: float = 0.0
    connections: int = 32
    faults: int = 1
    rate: float = 0.0

    @property
    def work(self) -> Work:
        """What a peer has to do."""
        return Work(self.share, self.faults) if self.share and self.faults else IDLE


CASES = (
    Case("idle, 0.5 kB", SMALL),
    Case("idle, 20 kB", LARGE),
    Case("10 % changed, 0.5 kB", SMALL, 0.1),
    Case("10 % changed, 20 kB", LARGE, 0.1),
    Case("all changed, 0.5 kB", SMALL, 1.0),
    Case("all changed, 20 kB", LARGE, 1.0),
)
RATES = (500, 2000)
"""Requests a second at which latency is measured."""
LATENCIES = tuple(Case(f"{rate}/s", SMALL, rate=rate) for rate in RATES)
TWO = "chaos-2"
"""Our proxy with two workers: it runs for the section `workers` alone."""
COMPILED = "chaos-compiled"
"""Our proxy with its data plane compiled from the same source."""
WORKERS = (
    Case("idle, 0.5 kB, 128 connections", SMALL, connections=128),
    Case("all changed, 0.5 kB, 128 connections", SMALL, 1.0, connections=128),
)


@dataclass(frozen=True, slots=True)
class Curve:
    """One case after the other along an axis; only these peers take part. `at` has the axis' value of each case."""

    name: str
    axis: str
    cases: tuple[Case, ...]
    at: tuple[float, ...]
    peers: tuple[str, ...]
    latency: bool = False
    """Whether it is about latency; otherwise about CPU and memory."""


_CONNECTIONS, _FAULTS, _CURVE_RATES = (1, 32, 512), (0, 1, 10), (250, 1000, 4000)
_PROXIES = ("chaos", "nginx", "haproxy", "envoy", "toxiproxy")
_CHANGING = ("chaos", "nginx+lua", "envoy+lua", "aiohttp", "mitmproxy")
_FAST = ("direct", "chaos", "nginx", "haproxy", "envoy", "toxiproxy")
CURVES = (
    Curve(
        "connections",
        "connections; idle, 0.5 kB",
        tuple(Case(f"{count} connections", SMALL, connections=count) for count in _CONNECTIONS),
        _CONNECTIONS,
        _PROXIES,
    ),
    Curve(
        "size",
        "bytes in the answer; idle",
        tuple(Case(f"idle, {model.name}", model, connections=8) for model in SIZES),
        tuple(model.size for model in SIZES),
        _PROXIES,
    ),
    Curve(
        "faults",
        "faults; 10 % of requests, 0.5 kB",
        tuple(Case(f"{count} faults", SMALL, 0.1, faults=count) for count in _FAULTS),
        _FAULTS,
        _CHANGING,
    ),
    Curve(
        "rows",
        "predictions in one answer; all changed",
        tuple(Case(f"{model.rows} rows", model, 1.0) for model in BATCHES),
        tuple(model.rows for model in BATCHES),
        _CHANGING,
    ),
    Curve(
        "latency-rate",
        "requests a second; idle, 0.5 kB",
        tuple(Case(f"{rate}/s, growing", SMALL, rate=rate) for rate in _CURVE_RATES),
        _CURVE_RATES,
        _FAST,
        latency=True,
    ),
    Curve(
        "latency-size",
        "bytes in the answer; idle, 20/s",
        tuple(Case(f"{model.name}, 20/s", model, connections=8, rate=20) for model in SIZES),
        tuple(model.size for model in SIZES),
        _FAST,
        latency=True,
    ),
)


def answer(model: Model) -> bytes:
    """The body that the backend sends: about `model.size` bytes, `model.rows` predictions, the same at every call."""
    chance = random.Random(model.name)
    classes = 2 if model.rows > 1 else max(2, (model.size - 190) // 19)
    scores = [round(chance.random(), 16) for _ in range(model.rows * classes)]
    labels = [chance.randrange(classes) for _ in range(model.rows)]
    outputs = [
        {"name": "predict", "shape": [model.rows, 1], "datatype": "INT64", "data": labels},
        {"name": "predict_proba", "shape": [model.rows, classes], "datatype": "FP64", "data": scores},
    ]
    whole = {"model_name": model.name, "model_version": "1", "outputs": outputs}
    return json.dumps(whole, separators=(",", ":")).encode()


def change(body: bytes, times: int = 1) -> bytes:
    """The answer with every label replaced by the next class and the scores of both swapped, as often as that.

    It is read and written once, as anybody would do it; changed 0 times it keeps every byte.
    """
    if not times:
        return body
    whole = json.loads(body)
    tensors = {output["name"]: output for output in whole["outputs"]}
    labels, scores = tensors["predict"]["data"], tensors["predict_proba"]["data"]
    classes = tensors["predict_proba"]["shape"][1]
    for _ in range(times):
        for row, found in enumerate(labels):
            given = (found + 1) % classes
            labels[row] = given
            one, other = row * classes + found, row * classes + given
            scores[one], scores[other] = scores[other], scores[one]
    return json.dumps(whole, separators=(",", ":")).encode()


def selected(request_id: str, share: float) -> bool:
    """Whether a peer changes the answer to this request: all, or those whose id ends in a small number."""
    return share >= 1 or (share > 0 and int(request_id[-4:], 16) < TENTH)


def request_ids() -> list[str]:
    """Ids of which exactly a tenth is selected, by our proxy's rule and by that of `selected` alike; always the same."""
    chance, arms = random.Random(SEED), Arms(SEED, 0.1)
    kept: dict[bool, list[str]] = {True: [], False: []}
    wanted = {True: IDS // 10, False: IDS - IDS // 10}
    while any(len(kept[which]) < wanted[which] for which in kept):
        drawn = f"{chance.getrandbits(128):032x}"
        which = selected(drawn, 0.1)
        if which == (arms.arm_of(drawn) == "treatment") and len(kept[which]) < wanted[which]:
            kept[which].append(drawn)
    ids = kept[True] + kept[False]
    chance.shuffle(ids)
    return ids


REQUEST = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'
"""The body of every request."""


def request(model: Model, request_id: str, port: int) -> bytes:
    """One request as the load sends it."""
    head = (
        f"POST {model.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(REQUEST)}\r\n\r\n"
    )
    return head.encode() + REQUEST
