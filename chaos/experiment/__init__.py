"""The experiment file: steady state, load, blast radius, faults, expectations.

text ─▶ parse() ─▶ Experiment        raises InvalidFile: every problem with file:line:column
                      │
                   link(system, probes) ─▶ problems that only show beside the other two files
"""

from __future__ import annotations

from chaos.experiment.blast_radius import AlertMatch, BlastRadius, Guard, GuardArms, GuardProbe
from chaos.experiment.expect import Expect, ExpectedAlert
from chaos.experiment.links import link, link_names
from chaos.experiment.load import Load, LoadFeedback
from chaos.experiment.parsing import elsewhere, experiment_of, parse
from chaos.experiment.severities import TRAFFIC, Bisection, Sweep, at, sweep_of, text_of
from chaos.experiment.steady_state import Bounded, Steady, SteadyEntry, SteadyInline, SteadyProbe
from chaos.experiment.sweep import SweepEntry
from chaos.experiment.whole import Experiment, json_schema, model

__all__ = [
    "TRAFFIC",
    "AlertMatch",
    "Bisection",
    "BlastRadius",
    "Bounded",
    "Expect",
    "ExpectedAlert",
    "Experiment",
    "Guard",
    "GuardArms",
    "GuardProbe",
    "Load",
    "LoadFeedback",
    "Steady",
    "SteadyEntry",
    "SteadyInline",
    "SteadyProbe",
    "Sweep",
    "SweepEntry",
    "at",
    "elsewhere",
    "experiment_of",
    "json_schema",
    "link",
    "link_names",
    "model",
    "parse",
    "sweep_of",
    "text_of",
]
