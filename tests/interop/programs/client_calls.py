"""Real clients, one call a line: reads JSON commands from stdin, says what each client made of each answer on stdout.

    {"client": NAME, "port": PORT, "calls": [{"header": value}, …]}  →  {"answers": [ANSWER, …]}

One client object serves all calls of a command. An ANSWER has `seconds` and either `rows` (label and scores of each) and `rest`
(everything else that the client parsed, without ids and times), or the `error`, its `status` and its `message`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5], [4.9, 3.1, 1.5, 0.1]]
QUESTION = [{"role": "user", "content": "is this loan safe?"}]
Call = Callable[[dict[str, str]], Any]


def rest_of(value: Any) -> Any:
    """The value without what differs between two equal calls."""
    if isinstance(value, dict):
        return {key: rest_of(one) for key, one in value.items() if key not in {"id", "created", "item_id"}}
    return [rest_of(one) for one in value] if isinstance(value, list) else value


def tensors(answer: dict[str, Any], labels: Any, scores: Any) -> dict[str, Any]:
    """What a V2 answer said; `data` is in the rows."""
    for output in answer["outputs"]:
        output.pop("data", None)
        output.pop("contents", None)
    answer.pop("raw_output_contents", None)
    flat = [int(one) for one in labels.reshape(-1)]
    rows = [[label, list(map(float, row))] for label, row in zip(flat, scores, strict=True)]
    return {"rows": rows, "rest": rest_of(answer)}


# --- tritonclient -----------------------------------------------------------------------------------------------------


@contextmanager
def triton(port: int, *, kind: str) -> Iterator[Call]:
    """Over HTTP with JSON or raw tensors, or over gRPC."""
    import numpy as np

    if kind == "grpc":
        import tritonclient.grpc as module
    else:
        import tritonclient.http as module
    raw = {} if kind == "grpc" else {"binary_data": kind == "binary"}
    client = module.InferenceServerClient(f"127.0.0.1:{port}")
    given = module.InferInput("x", [len(FLOWERS), 4], "FP32")
    given.set_data_from_numpy(np.array(FLOWERS, dtype="float32"), **raw)
    wanted = [module.InferRequestedOutput(name, **raw) for name in ("predict", "predict_proba")]

    def call(headers: dict[str, str]) -> Any:
        result = client.infer("iris", [given], outputs=wanted, headers=headers, request_id="one")
        answer = result.get_response(as_json=True) if kind == "grpc" else result.get_response()
        return tensors(answer, result.as_numpy("predict"), result.as_numpy("predict_proba"))

    yield call
    client.close()


# --- KServe's client --------------------------------------------------------------------------------------------------


@contextmanager
def kserve(port: int, *, kind: str) -> Iterator[Call]:
    """V1, V2 with JSON, V2 with raw tensors, or gRPC."""
    import numpy as np
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
    from kserve.protocol.infer_type import RequestedOutput

    loop = asyncio.new_event_loop()
    if kind == "grpc":

        async def made() -> Any:
            # Its own retries are off: a repeated call would meet the same fault, and only take longer.
            return InferenceGRPCClient(f"127.0.0.1:{port}", channel_args=[("grpc.enable_retries", 0)])

        client = loop.run_until_complete(made())
    else:
        client = InferenceRESTClient(RESTConfig(protocol="v1" if kind == "v1" else "v2"))

    def request() -> Any:
        given = InferInput("x", [len(FLOWERS), 4], "FP32")
        given.set_data_from_numpy(np.array(FLOWERS, dtype="float32"), binary_data=kind != "json")
        more = {"parameters": {"binary_data_output": True}} if kind == "binary" else {}
        wanted = [RequestedOutput(name) for name in ("predict", "predict_proba")]
        return InferRequest(model_name="iris", infer_inputs=[given], request_id="one", request_outputs=wanted, **more)

    def call(headers: dict[str, str]) -> Any:
        if kind == "grpc":
            waited: Awaitable[Any] = client.infer(request(), headers=list(headers.items()))
        else:
            data = {"instances": FLOWERS} if kind == "v1" else request()
            waited = client.infer(f"http://127.0.0.1:{port}", data, model_name="iris", headers=dict(headers))
        answer = loop.run_until_complete(waited)
        if kind == "v1":
            return {"rows": [[label, None] for label in answer.pop("predictions")], "rest": answer}
        found = {output.name: output.as_numpy() for output in answer.outputs}
        outputs = [{"name": one.name, "shape": list(one.shape), "datatype": one.datatype} for one in answer.outputs]
        told = {"model_name": answer.model_name, "outputs": outputs}
        return tensors(told, found["predict"], found["predict_proba"])

    yield call
    loop.run_until_complete(client.close())


# --- requests ---------------------------------------------------------------------------------------------------------


class HttpError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, told: str) -> None:
        self.status = status
        super().__init__(told)


@contextmanager
def plain(port: int, *, kind: str) -> Iterator[Call]:
    """`requests`, which accepts gzip: MLflow's labels or probabilities, or V2 with JSON."""
    import requests

    with requests.Session() as session:
        session.trust_env = False

        def asked(path: str, question: Any, headers: dict[str, str]) -> Any:
            answer = session.post(f"http://127.0.0.1:{port}{path}", json=question, headers=headers, timeout=30)
            told = answer.json()
            if not answer.ok:
                raise HttpError(answer.status_code, f"{told.get('error_code')}: {told.get('message') or told['error']}")
            return told

        def call(headers: dict[str, str]) -> Any:
            if kind == "v2":
                flat = [number for row in FLOWERS for number in row]
                given = {"name": "x", "shape": [len(FLOWERS), 4], "datatype": "FP32", "data": flat}
                wanted = [{"name": "predict"}, {"name": "predict_proba"}]
                told = asked("/v2/models/iris/infer", {"id": "one", "inputs": [given], "outputs": wanted}, headers)
                labels, scores = (output.pop("data") for output in told["outputs"])
                rows = [[label, scores[place * 3 : place * 3 + 3]] for place, label in enumerate(labels)]
                return {"rows": rows, "rest": rest_of(told)}
            told = asked("/invocations", {"inputs": FLOWERS}, headers)
            found = told.pop("predictions")
            if kind == "labels":
                return {"rows": [[label, None] for label in found], "rest": told}
            return {"rows": [[max(range(3), key=row.__getitem__), row] for row in found], "rest": told}

        yield call


# --- openai -----------------------------------------------------------------------------------------------------------


@contextmanager
def openai(port: int, *, kind: str) -> Iterator[Call]:
    """Chat, embeddings and responses, plain and streamed."""
    from openai import OpenAI

    client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="no-key", max_retries=0)

    def call(headers: dict[str, str]) -> Any:
        if kind == "chat":
            told = client.chat.completions.create(model="gpt-4o", messages=QUESTION, extra_headers=headers).model_dump()
            return {"rows": [[one["message"].pop("content"), None] for one in told["choices"]], "rest": rest_of(told)}
        if kind == "chat-stream":
            chunks = list(
                client.chat.completions.create(
                    model="gpt-4o", messages=QUESTION, extra_headers=headers, stream=True,
                    stream_options={"include_usage": True},
                )
            )  # fmt: skip
            text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            return {"rows": [[text, None]], "rest": rest_of([chunk.model_dump() for chunk in chunks])}
        if kind == "embeddings":
            made = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], extra_headers=headers)
            told = made.model_dump()
            return {"rows": [[None, one.pop("embedding")] for one in told["data"]], "rest": rest_of(told)}
        if kind == "responses":
            answer = client.responses.create(model="gpt-4o", input="is this loan safe?", extra_headers=headers)
            told = answer.model_dump()
            row = told["output"][0]["content"][0].pop("text")
            return {"rows": [[row, None]], "rest": rest_of(_without_times(told))}
        events = list(
            client.responses.create(model="gpt-4o", input="is this loan safe?", stream=True, extra_headers=headers)
        )
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        told = [_without_times(event.model_dump()) for event in events]
        return {"rows": [[text, None]], "rest": rest_of(told)}

    yield call
    client.close()


def _without_times(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: _without_times(one) for key, one in told.items() if not key.endswith("_at")}
    return [_without_times(one) for one in told] if isinstance(told, list) else told


# --- one command after another ----------------------------------------------------------------------------------------

FAMILIES = {"triton": triton, "kserve": kserve, "requests": plain, "openai": openai}


def failure(error: Exception) -> dict[str, str]:
    """What a client raised, and the status that it told its caller."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    for name in ("status", "code"):
        if status is None:
            found = getattr(error, name, None)
            status = found() if callable(found) else found
    told = getattr(error, "message", None)
    said = f"{told() if callable(told) else told or ''} {error}"
    return {"error": type(error).__name__, "status": str(status), "message": said}


def answered(call: Call, headers: dict[str, str]) -> dict[str, Any]:
    """One answer, or how the client failed."""
    begun = time.monotonic()
    try:
        found = call(headers)
    except Exception as error:
        found = failure(error)
    return {**found, "seconds": time.monotonic() - begun}


def main() -> None:
    """Until stdin ends."""
    for line in sys.stdin:
        command = json.loads(line)
        family, _, kind = command["client"].partition(" ")
        with FAMILIES[family](command["port"], kind=kind) as call:
            answers = [answered(call, headers) for headers in command["calls"]]
        print(json.dumps({"answers": answers}), flush=True)


if __name__ == "__main__":
    main()
