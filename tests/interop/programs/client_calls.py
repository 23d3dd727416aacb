"""Real clients, one call a line: reads JSON commands from stdin, says what each client made of each answer on stdout.

    {"client": NAME, "port": PORT, "calls": [{"header": value}, …]}  →  {"answers": [ANSWER, …]}

One client object serves all calls of a command, or each has its own where NAME ends with `alone`. An ANSWER has `seconds` and either `rows` (label and scores of each) and `rest`
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
MODEL = "gpt-4o"
"""A name that LLMock knows; llama.cpp has one model and takes any."""
QUESTION = [{"role": "user", "content": "is this loan safe?"}]
Call = Callable[[dict[str, str]], Any]
PATIENCE_S = 10
"""How long a client waits for its server: whatever goes wrong on the way shall be an answer, and no silence."""
_EACH_ITS_OWN = {"id", "created", "item_id", "timings"}


def rest_of(value: Any) -> Any:
    """The value without what differs between two equal calls."""
    if isinstance(value, dict):
        return {key: rest_of(one) for key, one in value.items() if key not in _EACH_ITS_OWN and not key.endswith("_at")}
    return [rest_of(one) for one in value] if isinstance(value, list) else value


def events_of(value: Any) -> Any:
    """The events of a stream without what differs between two equal calls, and without their text; its length stays."""
    if isinstance(value, dict):
        return {
            key: len(one) if key in {"content", "text", "delta"} and isinstance(one, str) else events_of(one)
            for key, one in rest_of(value).items()
        }
    return [events_of(one) for one in value] if isinstance(value, list) else value


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
    """Over gRPC, or over HTTP: what is sent and what is asked for, each `json` or `raw`; then perhaps `gzip`, or `typed`.

    `typed` says that the request is JSON. tritonclient says nothing of its own, and some servers take that for raw tensors.
    """
    import numpy as np

    sent, *more = kind.split()
    if sent == "grpc":
        import tritonclient.grpc as module
    else:
        import tritonclient.http as module
    patience = {} if sent == "grpc" else {"connection_timeout": PATIENCE_S, "network_timeout": PATIENCE_S}
    client = module.InferenceServerClient(f"127.0.0.1:{port}", **patience)
    given = module.InferInput("x", [len(FLOWERS), 4], "FP32")
    given.set_data_from_numpy(
        np.array(FLOWERS, dtype="float32"), **({} if sent == "grpc" else {"binary_data": sent == "raw"})
    )
    wanted = [
        module.InferRequestedOutput(name, **({} if sent == "grpc" else {"binary_data": more[0] == "raw"}))
        for name in ("predict", "predict_proba")
    ]
    typed = {"Content-Type": "application/json"} if "typed" in more else {}
    coding = "gzip" if "gzip" in more else None
    how: dict[str, Any] = {"client_timeout": PATIENCE_S} if sent == "grpc" else {}
    if coding:
        how |= {"request_compression_algorithm": coding, "response_compression_algorithm": coding}

    def call(headers: dict[str, str]) -> Any:
        result = client.infer("iris", [given], outputs=wanted, headers={**headers, **typed}, request_id="one", **how)
        answer = result.get_response(as_json=True) if sent == "grpc" else result.get_response()
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
        client = InferenceRESTClient(RESTConfig(protocol="v1" if kind == "v1" else "v2", timeout=PATIENCE_S))

    def request() -> Any:
        given = InferInput("x", [len(FLOWERS), 4], "FP32")
        given.set_data_from_numpy(np.array(FLOWERS, dtype="float32"), binary_data=kind != "json")
        more = {"parameters": {"binary_data_output": True}} if kind == "raw" else {}
        wanted = [RequestedOutput(name) for name in ("predict", "predict_proba")]
        return InferRequest(model_name="iris", infer_inputs=[given], request_id="one", request_outputs=wanted, **more)

    def call(headers: dict[str, str]) -> Any:
        if kind == "grpc":
            waited: Awaitable[Any] = client.infer(request(), headers=list(headers.items()), timeout=PATIENCE_S)
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
    """`requests`, which accepts gzip: MLflow's labels or probabilities, V2 with JSON, or a streamed chat, read until its body ends."""
    import requests

    with requests.Session() as session:
        session.trust_env = False

        def posted(path: str, question: Any, headers: dict[str, str]) -> requests.Response:
            answer = session.post(f"http://127.0.0.1:{port}{path}", json=question, headers=headers, timeout=PATIENCE_S)
            if not answer.ok:
                told = answer.json()
                raise HttpError(answer.status_code, f"{told.get('error_code')}: {told.get('message') or told['error']}")
            return answer

        def asked(path: str, question: Any, headers: dict[str, str]) -> Any:
            return posted(path, question, headers).json()

        def call(headers: dict[str, str]) -> Any:
            if kind == "chat-stream":
                question = {"model": MODEL, "messages": QUESTION, "stream": True}
                lines = posted("/v1/chat/completions", question, headers).text.split("\n")
                events = [json.loads(line[6:]) for line in lines if line.startswith("data: ") and line[6:] != "[DONE]"]
                text = "".join(one["delta"].get("content") or "" for event in events for one in event["choices"])
                return {"rows": [[text, None]], "rest": events_of(events)}
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
    """Chat, completions, embeddings and responses, plain and streamed."""
    from openai import OpenAI

    client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="no-key", max_retries=0, timeout=PATIENCE_S)
    name, _, more = kind.partition(" ")

    def chat(**also: Any) -> Any:
        choices = {"n": int(more)} if more not in {"", "1"} else {}
        told = client.chat.completions.create(model=MODEL, messages=QUESTION, **choices, **also).model_dump()
        return {"rows": [[one["message"].pop("content"), None] for one in told["choices"]], "rest": rest_of(told)}

    def chat_stream(**also: Any) -> Any:
        options = {"include_usage": True}
        chunks = list(
            client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True, stream_options=options, **also)
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        return {"rows": [[text, None]], "rest": events_of([chunk.model_dump() for chunk in chunks])}

    def completions(**also: Any) -> Any:
        told = client.completions.create(model=MODEL, prompt=["one", "two", "three"], **also).model_dump()
        return {"rows": [[one.pop("text"), None] for one in told["choices"]], "rest": rest_of(told)}

    def completions_stream(**also: Any) -> Any:
        chunks = list(client.completions.create(model=MODEL, prompt="one", stream=True, **also))
        text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
        return {"rows": [[text, None]], "rest": events_of([chunk.model_dump() for chunk in chunks])}

    def embeddings(**also: Any) -> Any:
        coding = {"encoding_format": "float"} if more == "float" else {}
        told = client.embeddings.create(model=MODEL, input=["one", "two"], **coding, **also).model_dump()
        return {"rows": [[None, one.pop("embedding")] for one in told["data"]], "rest": rest_of(told)}

    def responses(**also: Any) -> Any:
        told = client.responses.create(model=MODEL, input=QUESTION[0]["content"], **also).model_dump()
        return {"rows": [[told["output"][0]["content"][0].pop("text"), None]], "rest": rest_of(told)}

    def responses_stream(**also: Any) -> Any:
        events = list(client.responses.create(model=MODEL, input=QUESTION[0]["content"], stream=True, **also))
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        repeated = next(event.response.output_text for event in events if event.type == "response.completed")
        if repeated != text:
            raise ValueError(f"the events say {text!r}, and their end {repeated!r}")
        return {"rows": [[text, None]], "rest": events_of([event.model_dump() for event in events])}

    calls = {
        "chat": chat, "chat-stream": chat_stream, "completions": completions, "completions-stream": completions_stream,
        "embeddings": embeddings, "responses": responses, "responses-stream": responses_stream,
    }  # fmt: skip
    yield lambda headers: calls[name](extra_headers=headers)
    client.close()


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
        bare = kind.removesuffix(" alone")
        groups = [command["calls"]] if bare == kind else [[headers] for headers in command["calls"]]
        answers: list[dict[str, Any]] = []
        for group in groups:
            with FAMILIES[family](command["port"], kind=bare) as call:
                answers += [answered(call, headers) for headers in group]
        print(json.dumps({"answers": answers}), flush=True)


if __name__ == "__main__":
    main()
