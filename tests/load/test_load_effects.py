"""Effects of the load as the engine asks for them: applied, renewed, seen and undone by a real load."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from chaos.app.performer import World
from chaos.drivers.load import LoadDriver
from chaos.errors import Unreachable
from chaos.events import Applied, Apply, LoadStopped, Observed, Query, Renew, Renewed, StopLoad, Undo, Undone
from chaos.exposure import Sample
from chaos.observation import LoadRead
from tests.drivers.loopback import eventually, serving
from tests.load.test_load_driver import DRIFTED, Decider, deeds, feedback_to, folder_for, plan_for
from tests.worlds import DRIFT, with_effects


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[tuple[World, LoadDriver]]:
    """A world whose load runs and may drift."""
    with serving(Decider()) as server:
        plan = plan_for(server.url, tmp_path, traffic=0.5, feedback=feedback_to(server.url), faults={"2": DRIFTED})
        driver = LoadDriver(plan, folder_for(tmp_path), lease_s=2.0)
        nothing: Any = None  # nobody looks at telemetry here
        driver.start()
        try:
            yield World(with_effects(DRIFT), proxies={}, containers={}, load=driver, look=nothing), driver
        finally:
            driver.stop()


def test_an_effect_of_the_load_is_applied_renewed_seen_and_undone(loaded: tuple[World, LoadDriver]) -> None:
    world, _ = loaded
    samples: list[Sample] = []

    def seen(enough: int) -> bool:
        assert world.perform(Renew(DRIFT.id)) == Renewed(DRIFT.id)
        read = world.perform(Query("load"))
        assert isinstance(read, Observed)
        assert isinstance(read.observation, LoadRead)
        samples.extend(read.observation.samples)
        return deeds(samples, "2") >= enough

    applied = world.perform(Apply(DRIFT.id))
    assert isinstance(applied, Applied)
    assert abs(applied.at_wall_s - time.time()) < 5
    assert applied.call == "load: faults on [2]"
    eventually(lambda: seen(50), 12, "it lasts longer than its lease, for it is renewed")
    undone = world.perform(Undo(DRIFT.id, 1))
    assert isinstance(undone, Undone)
    assert undone.call == "load: faults on []"
    count = len(samples)
    eventually(lambda: seen(0) and len(samples) > count + 2, 12, "two seconds more")
    last = [arm.faults["2"].last_wall_s or 0.0 for one in samples for arm in one.arms.values() if arm.faults]
    assert max(last) <= undone.at_wall_s
    again = world.perform(Undo(DRIFT.id, 2))
    assert isinstance(again, Undone)


def test_the_effects_of_a_load_that_died_are_gone_with_it(loaded: tuple[World, LoadDriver]) -> None:
    world, driver = loaded
    world.perform(Apply(DRIFT.id))
    assert driver._process is not None
    psutil.Process(driver._process.pid).kill()
    undone = world.perform(Undo(DRIFT.id, 1))
    assert isinstance(undone, Undone)
    assert undone.call == "load: ended, and its faults with it"
    for command in (Apply(DRIFT.id), Renew(DRIFT.id)):
        with pytest.raises(Unreachable, match="load"):
            world.perform(command)
    assert isinstance(world.perform(StopLoad()), LoadStopped)
