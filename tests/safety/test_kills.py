"""A run is killed with SIGKILL at every step that it takes, with every kind of effect on: after one lease nothing is left.

`make test` kills at a seeded sample of steps, `make kills` at every one, several times each, and writes what came of it.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.safety.stand import LEASE_S, Stand, nothing_left

pytestmark = [pytest.mark.timeout(240)]

KINDS = (("proxy",), ("kill",), ("pause",), ("external",), ("proxy", "kill", "pause"))
STEPS = {1: 7, 3: 11}
"""How many steps a run takes with so many effects; sometimes one less, and then the run ends well."""
WHOLE = os.environ.get("CHAOS_KILLS") == "all"
DELAYS_S = (0.0, 0.001, 0.003, 0.01, 0.05) if WHOLE else (0.0, 0.002, 0.02)
"""After a step, so that what it began is caught in the middle."""
SAMPLE = 8
GRACE_S = 2.0
"""Beyond the lease: for a machine with other things to do."""


def moments() -> list[tuple[tuple[str, ...], int, float]]:
    """The kinds, steps and delays at which a run is killed."""
    every = [(kind, step, delay) for kind in KINDS for step in range(1, STEPS[len(kind)] + 1) for delay in DELAYS_S]
    return every if WHOLE else random.Random(20261128).sample(every, SAMPLE)


@pytest.fixture(scope="module")
def tally() -> Iterator[Counter[str]]:
    """How many kills were made in which state, and how long it took until nothing was left; written down at the end."""
    counted: Counter[str] = Counter()
    yield counted
    if WHOLE:
        path = Path(__file__).parents[2] / ".chaos" / "kills.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dict(counted), indent=1))


@pytest.mark.parametrize(("kind", "step", "delay_s"), moments(), ids=str)
def test_a_run_that_is_killed_at_any_step_leaves_nothing_after_one_lease(
    stand: Stand, tally: Counter[str], kind: tuple[str, ...], step: int, delay_s: float
) -> None:
    command = ("--command", *stand.outsider()) if "external" in kind else ()
    process = stand.start(stand.experiment(*kind), "--at", str(step), "--after", str(delay_s), *command)
    said, _ = process.communicate(timeout=60)
    where = re.findall(r"^step \d+: (\w+)", said, re.MULTILINE)
    if process.returncode != -signal.SIGKILL:
        assert len(where) <= step, said  # it was over before
        tally["over before"] += 1
    else:
        tally[f"{'+'.join(kind)} in {where[-1]}"] += 1
    nothing_left(stand, LEASE_S + GRACE_S)
