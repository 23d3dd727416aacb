"""The first files of somebody who has none: what was found running becomes a system file and an experiment for each alert rule. Pure.

Found ─▶ reading of each rule ─▶ candidates (fault, points, reasons) ─▶ texts of files ─▶ sentences
"""

from __future__ import annotations

from chaos.first_steps.clues import Candidate, candidates
from chaos.first_steps.files import Guess, WrittenFile, files_of
from chaos.first_steps.found import ContainersFound, Found, Metric, ProxySeen
from chaos.first_steps.rule_reading import RuleReading, reading_of

__all__ = [
    "Candidate",
    "ContainersFound",
    "Found",
    "Guess",
    "Metric",
    "ProxySeen",
    "RuleReading",
    "WrittenFile",
    "candidates",
    "files_of",
    "reading_of",
]
