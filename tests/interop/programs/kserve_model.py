"""Serves a small iris model with KServe's model server: `kserve_model.py --http_port PORT --grpc_port PORT`.

V1 answers with labels; V2, over HTTP and gRPC, with the outputs `predict` and `predict_proba`.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


class Iris(Model):
    """The model, trained while it is loaded."""

    def __init__(self) -> None:
        super().__init__("iris")
        features, labels = load_iris(return_X_y=True)
        self.inner = LogisticRegression(max_iter=1000).fit(features, labels)
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Labels, or in V2 labels and probabilities."""
        if not isinstance(payload, InferRequest):
            return {"predictions": self.inner.predict(np.asarray(payload["instances"])).tolist()}
        given, binary = payload.inputs[0].as_numpy(), payload.use_binary_outputs
        label = InferOutput("predict", [len(given)], "INT64")
        label.set_data_from_numpy(self.inner.predict(given).astype("int64"), binary_data=binary)
        scores = InferOutput("predict_proba", [len(given), 3], "FP64")
        scores.set_data_from_numpy(self.inner.predict_proba(given), binary_data=binary)
        return InferResponse(
            payload.id,
            self.name,
            [label, scores],
            use_binary_outputs=binary,
            requested_outputs=payload.request_outputs,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.parse_known_args()
    ModelServer().start([Iris()])
