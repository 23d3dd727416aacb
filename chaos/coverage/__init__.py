"""Which fault is caught by which alert: faults are mutants, alerts are the tests that must kill them. Pure.

journals ─▶ tried() ─▶ Tried ─▶ matrix() ─▶ Matrix: fault × alert, with the monitoring mutation score on top
"""

from __future__ import annotations

from chaos.coverage.matrix import Cell, Column, FaultRow, Matrix, matrix
from chaos.coverage.tried import Told, Tried, tried

__all__ = ["Cell", "Column", "FaultRow", "Matrix", "Told", "Tried", "matrix", "tried"]
