"""A run is killed with SIGKILL at every step that it takes, with every kind of effect on: after one lease nothing is left.

`make test` kills at a seeded sample of steps, `make kills` at every one, several times each, and writes what came of it.
"""

from __future__ import annotations

import random
import signal

import pytest

from benchmarks.kills.results import Kill
from tests.safety.kills import GRACE_S, WHOLE, left_nothing, told
from tests.safety.stand import LEASE_S, OF_THE_LOAD, Stand, nothing_left

pytestmark = [pytest.mark.timeout(240)]

Kind = tuple[str, ...]
KINDS: tuple[Kind, ...] = (
    ("proxy",),
    ("kill",),
    ("pause",),
    ("external",),
    ("proxy", "kill", "pause"),
    ("labels",),
    ("shift", "proxy"),
)
"""Each kind of effect and of driver at least once: fault proxies, processes, other tools, and the run's own load."""
STEPS, STEPS_WITH_LOAD = {1: 7, 3: 11}, {1: 11, 2: 14}
"""How many steps a run takes with so many effects; sometimes one less, and then the run ends well."""
DELAYS_S = (0.0, 0.001, 0.003, 0.01, 0.05) if WHOLE else (0.0, 0.002, 0.02)
"""After a step, so that what it began is caught in the middle."""


def steps(kind: Kind) -> range:
    """The steps of a run with these effects."""
    return range(1, (STEPS_WITH_LOAD if OF_THE_LOAD & set(kind) else STEPS)[len(kind)] + 1)


def moments() -> list[tuple[Kind, int, float]]:
    """The kinds, steps and delays at which a run is killed: all of them, or for each kind one."""
    of_kinds = [[(kind, step, delay) for step in steps(kind) for delay in DELAYS_S] for kind in KINDS]
    if WHOLE:
        return [one for every in of_kinds for one in every]
    chance = random.Random(20261128)
    return [chance.choice(every) for every in of_kinds]


@pytest.mark.parametrize(("kind", "step", "delay_s"), moments(), ids=str)
def test_a_run_that_is_killed_at_any_step_leaves_nothing_after_one_lease(
    stand: Stand, kind: Kind, step: int, delay_s: float
) -> None:
    command = ("--command", *stand.outsider()) if "external" in kind else ()
    process = stand.start(stand.experiment(*kind), "--at", str(step), "--after", str(delay_s), *command)
    said, _ = process.communicate(timeout=60)
    seen = told(said)
    if process.returncode != -signal.SIGKILL:
        assert len(seen.states) <= step, said  # it was over before
        nothing_left(stand, LEASE_S + GRACE_S)
        return
    assert seen.killed_s is not None, said
    kill = Kill("processes", "+".join(kind), "run", seen.states[-1], None)
    left_nothing(stand, kill, seen.killed_s, LEASE_S + GRACE_S)
