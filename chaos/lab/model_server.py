"""One replica of the loan model, behind the Open Inference Protocol (V2, JSON over HTTP).

    POST /v2/models/loan/infer   one input `application`, FP64 [n, features], null where a field is empty
                                 → `predict` INT64 [n, 1] (0 deny, 1 approve), `predict_proba` FP64 [n, 2]

The same request gives the same bytes.
"""

from __future__ import annotations

import argparse
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from chaos.drivers.serving import serve_forever
from chaos.lab.container_resources import ContainerResources
from chaos.lab.feature_statistics import FeatureStatistics

MODEL = "loan"


class Bad(ValueError):
    """The request is not what the protocol asks for; the message says why."""


class Replica:
    """The model with its metrics."""

    def __init__(self, path: Path, version: str) -> None:
        loaded = pickle.loads(path.read_bytes())  # noqa: S301 - written by chaos.lab.model on this machine
        self.names: tuple[str, ...] = loaded["names"]
        self.pipeline: Any = loaded["pipeline"]
        self.version = version
        self.registry = CollectorRegistry()
        self.requests = Counter("model_requests", "Requests by status code.", ["code"], registry=self.registry)
        self.rows = Counter("model_rows", "Rows predicted.", registry=self.registry)
        self.seconds = Histogram(
            "model_request_duration_seconds", "Time in the model server.", registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )  # fmt: skip
        Gauge("model_info", "Which model is served.", ["name", "version"], registry=self.registry).labels(
            MODEL, version
        ).set(1)
        for code in ("200", "400", "500"):
            self.requests.labels(code)
        self.features = FeatureStatistics(self.names, loaded["reference"])
        self.registry.register(self.features)

    def matrix(self, body: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The rows of a request."""
        try:
            given = body["inputs"][0]
            shape, data = given["shape"], given["data"]
            flat = np.array([np.nan if value is None else value for value in data], dtype=np.float64)
            return flat.reshape(shape[0], len(self.names))
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise Bad(f"one input of shape [n, {len(self.names)}], FP64, flat data, is needed: {error}") from error

    def infer(self, body: Any) -> dict[str, Any]:
        """The answer's body."""
        rows = self.matrix(body)
        scores = self.pipeline.predict_proba(rows)
        labels = scores.argmax(axis=1)
        self.rows.inc(len(rows))
        self.features.count(rows)
        return {
            "model_name": MODEL,
            "model_version": self.version,
            "id": str(body.get("id", "")),
            "outputs": [
                {"name": "predict", "shape": [len(rows), 1], "datatype": "INT64", "data": labels.tolist()},
                {"name": "predict_proba", "shape": [len(rows), 2], "datatype": "FP64", "data": scores.ravel().tolist()},
            ],
        }


def application(replica: Replica) -> web.Application:
    """The replica's HTTP interface."""

    async def infer(request: web.Request) -> web.Response:
        begun_s = time.perf_counter()
        code, answer = 200, web.Response()
        try:
            answer = web.json_response(replica.infer(await request.json()))
        except ValueError as error:
            code, answer = 400, web.json_response({"error": str(error)}, status=400)
        replica.requests.labels(str(code)).inc()
        replica.seconds.observe(time.perf_counter() - begun_s)
        return answer

    async def alive(_: web.Request) -> web.Response:
        return web.Response()

    async def about(_: web.Request) -> web.Response:
        shape = [-1, len(replica.names)]
        inputs = [
            {"name": "application", "datatype": "FP64", "shape": shape, "parameters": {"names": list(replica.names)}}
        ]
        outputs = [
            {"name": "predict", "datatype": "INT64", "shape": [-1, 1]},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
        ]
        body = {
            "name": MODEL,
            "versions": [replica.version],
            "platform": "sklearn",
            "inputs": inputs,
            "outputs": outputs,
        }
        return web.json_response(body)

    async def unknown(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({"error": f"there is no model {name!r}; this server has {MODEL!r}"}, status=404)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(replica.registry), content_type="text/plain", charset="utf-8")

    made = web.Application(client_max_size=4_000_000)
    made.add_routes(
        [
            web.post(f"/v2/models/{MODEL}/infer", infer),
            web.get(f"/v2/models/{MODEL}", about),
            web.get(f"/v2/models/{MODEL}/ready", alive),
            web.get("/v2/health/live", alive),
            web.get("/v2/health/ready", alive),
            web.get("/metrics", metrics),
            web.route("*", "/v2/models/{name}", unknown),
            web.route("*", "/v2/models/{name}/{rest:.*}", unknown),
        ]
    )
    return made


def main() -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m chaos.lab.model_server")
    parser.add_argument("--listen", default="127.0.0.1:8080")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--version", default="1")
    parser.add_argument("--ports-file", type=Path)
    parser.add_argument(
        "--container", type=Path, metavar="FOLDER", help="say what the container around it uses, and its FOLDER"
    )
    given = parser.parse_args()
    replica = Replica(given.model, given.version)
    if given.container:
        replica.registry.register(ContainerResources(given.container))
    replica.pipeline.predict_proba(
        np.zeros((1, len(replica.names)))
    )  # the first call is slow; nobody should wait for it
    serve_forever(application(replica), given.listen, "replica", given.ports_file)


if __name__ == "__main__":
    main()
