"""Saves a small iris model for MLflow: `mlflow_model.py FOLDER FUNCTION`, where FUNCTION is predict or predict_proba."""

from __future__ import annotations

import sys

import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

features, labels = load_iris(return_X_y=True)
made = LogisticRegression(max_iter=1000).fit(features, labels)
mlflow.sklearn.save_model(made, sys.argv[1], pyfunc_predict_fn=sys.argv[2], pip_requirements=[])
