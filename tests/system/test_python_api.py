"""The same journey from Python: load, plan, run, judge."""

from __future__ import annotations

import pytest

import chaos
from tests.system.checks import nothing_left
from tests.system.labs import Work, at_once, hurried

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

KILL = at_once(hurried("replica-killed"))


def test_an_experiment_is_loaded_planned_run_and_judged_from_python(
    process_lab: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_lab.quiet()
    monkeypatch.chdir(process_lab.folder)
    loaded = chaos.load(process_lab.experiment(KILL, "from-python.yaml"), system=process_lab.name)
    planned = chaos.plan(loaded, seed="same")
    assert planned.refusals == ()
    assert [effect.container and effect.container.name for effect in planned.effects] == [
        effect.container and effect.container.name for effect in chaos.plan(loaded, seed="same").effects
    ]
    ended = chaos.run(loaded, seed="same")
    assert ended.verdict.exit_code == 0, ended.verdict.sentence
    assert ended.plan.effects[0].container == planned.effects[0].container, "the plan's seed decides what is hurt"
    assert chaos.judge(ended.folder) == ended.verdict
    nothing_left(process_lab)
