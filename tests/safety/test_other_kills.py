"""Somebody else than the run is killed with SIGKILL at every step that the run takes: its warden, its load, the fault proxy.

The run notices, undoes everything, never confirms, and leaves nothing. `make test` kills at a seeded sample of steps, `make kills` at
every one.
"""

from __future__ import annotations

import json
import random
import re

import pytest

from benchmarks.kills.results import Kill
from tests.safety.kills import WHOLE, left_nothing, told
from tests.safety.stand import OF_THE_LOAD, Stand
from tests.safety.test_kills import KINDS, Kind, steps

pytestmark = [pytest.mark.timeout(240)]

OVER = {"collect", "ended"}
"""States in which nothing can be hurt any more, and the run only gathers what it has seen."""
NAMES = {
    "warden": re.compile("warden"),
    "load": re.compile("Locust|the load (ended|could not|is gone|does not listen|reported nothing)"),
    "fault proxy": re.compile("fault proxy"),
}
"""How the verdict calls whoever was killed."""
GRACE_S = 3.0
"""After the run's own end, which undoes everything before it tells its verdict."""


def moments(kinds: list[Kind], sample: int) -> list[tuple[Kind, int]]:
    """The kinds and steps at which somebody is killed."""
    every = [(kind, step) for kind in kinds for step in steps(kind)]
    return every if WHOLE else random.Random(20261130).sample(every, sample)


def dies(stand: Stand, kind: Kind, step: int, whom: str, name: str) -> None:
    """Somebody is killed at this step of a run with these effects: it never confirms, and nothing is left."""
    command = ("--command", *stand.outsider()) if "external" in kind else ()
    process = stand.start(stand.experiment(*kind), "--at", str(step), "--whom", whom, *command)
    try:
        said, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    seen = told(said)
    if seen.killed_s is None:
        assert "nobody to kill" in said or len(seen.states) < step, said
        return
    state = seen.states[step - 1]
    left_nothing(stand, Kill("processes", "+".join(kind), name, state, None), seen.killed_s, GRACE_S)
    verdict = json.loads(said[said.index("{\n") :])
    if state in OVER:
        return
    invalid = [finding["answer"] for finding in verdict["findings"] if finding["verdict"] == "invalid"]
    named = any(NAMES[name].search(answer) for answer in invalid)
    if name == "fault proxy" and not named:
        # It held nothing any more. That it lets everybody pass again, nobody can see now.
        said_of = {finding["question"]: finding["verdict"] for finding in verdict["findings"]}
        assert said_of["Is the removal at model proven?"] == "inconclusive", verdict
        assert verdict["verdict"] != "confirmed", verdict
        return
    assert named, invalid
    assert verdict["verdict"] == "invalid", verdict


@pytest.mark.parametrize(("kind", "step"), moments(list(KINDS), 3), ids=str)
def test_a_run_whose_warden_is_killed_at_any_step_never_confirms_and_leaves_nothing(
    stand: Stand, kind: Kind, step: int
) -> None:
    dies(stand, kind, step, "warden", "warden")


@pytest.mark.parametrize(("kind", "step"), moments([kind for kind in KINDS if OF_THE_LOAD & set(kind)], 2), ids=str)
def test_a_run_whose_load_is_killed_at_any_step_never_confirms_and_leaves_nothing(
    stand: Stand, kind: Kind, step: int
) -> None:
    dies(stand, kind, step, "load", "load")


@pytest.mark.parametrize(("kind", "step"), moments([kind for kind in KINDS if "proxy" in kind], 2), ids=str)
def test_a_run_whose_fault_proxy_is_killed_at_any_step_never_confirms_and_leaves_nothing(
    own_stand: Stand, kind: Kind, step: int
) -> None:
    dies(own_stand, kind, step, str(own_stand.pids["proxy"]), "fault proxy")
