"""What a run has seen so far: the first effect, the latest of every alert, what the load has sent."""

from __future__ import annotations

from chaos.exposure import Sample
from chaos.observation import AlertsRead, LoadRead, RoutedRead
from tests.progress.observations import (
    WALL,
    after,
    alerts,
    proxies,
    reading,
    second,
)
from tests.worlds import DRIFT, with_effects


def test_an_alert_with_a_firing_and_a_pending_instance_is_firing():
    mixed = AlertsRead(WALL, (*alerts("A").alerts, *alerts("A", state="pending").alerts))
    assert after(mixed).active == {"A": "firing"}


def test_the_first_effect_is_the_earliest_that_anybody_saw():
    assert after(proxies(first_effect=WALL + 3), proxies(first_effect=WALL), proxies()).first_effect_wall_s == WALL


def test_the_load_is_counted_up():
    seconds = LoadRead(tuple(Sample(second, WALL, 40.0, 40, 0, 0, 0.0) for second in range(3)))
    assert after(seconds, RoutedRead(WALL, ()), seconds).sent == 240


def test_the_first_deed_of_the_loads_own_fault_is_the_first_effect():
    progress = after(second(10), plan=with_effects(DRIFT))
    assert progress.first_effect_wall_s is None
    progress.learn(second(10, deeds=1), 1.0)
    assert progress.first_effect_wall_s == WALL + 3


def test_a_baseline_is_what_was_read_last_on_enough_events() -> None:
    progress = after(reading(0.93))
    progress.keep_baseline()
    progress.learn(reading(0.5, count=3.0), 1.0)
    progress.keep_baseline()
    assert progress.baseline["accuracy"].values == (0.93,)
    progress.learn(reading(0.91), 2.0)
    progress.keep_baseline()
    assert progress.baseline["accuracy"].values == (0.91,)
