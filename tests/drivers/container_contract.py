"""What every driver of containers promises, whatever the containers are: subclass `ContainerContract` and give it a `world`.

The fixture `world` is a `ContainerWorld`: a driver over three fresh containers that only the test looks at, and a way to
see from outside (never through the driver) what is really so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import pytest

from chaos.drivers.base import VERBS, Act, Before, Container, ContainerDriver, Status
from chaos.errors import ChaosError, NotUndone, Refused
from tests.drivers.loopback import now_wall_s

KILL, PAUSE, CRASH = Act("kill"), Act("pause"), Act("crash")
STOP, RESTART = Act("stop", {"grace": 2.0}), Act("restart", {"grace": 2.0})
ACTS = (KILL, CRASH, STOP, PAUSE, RESTART)
HURT: Mapping[str, Status] = {
    "kill": "exited", "crash": "exited", "stop": "exited", "pause": "paused", "restart": "running",
}  # fmt: skip
"""What every driver can do, and what the container is then."""
OPT_IN = ("chaos.enabled", "true")


EVERYTHING = {
    "grace": 1.0, "cpus": 0.1, "size": 64 * 1024 * 1024, "oom": False, "workers": 1, "path": "/tmp", "by": 0.05, "jitter": 0.0,
    "loss": 0.1, "damaged": 0.1, "rate": 100_000.0, "how": "drop",
}  # fmt: skip
"""The parameters of every verb."""


class Outside(Protocol):
    """A look at a container that does not go through the driver under test."""

    def __call__(self, name: str) -> Status: ...


@dataclass(frozen=True, slots=True)
class ContainerWorld:
    """Three containers: `first` and `second` belong to the target; `shy` does too and carries no opt-in.

    `alien` is named like nothing of the target and carries the opt-in: the driver must not find it. `remove` takes a
    container away for good, `replace` puts another one with the same name and labels in its place.
    """

    driver: ContainerDriver
    outside: Outside
    first: str
    second: str
    shy: str
    alien: str
    remove: Callable[[str], None]
    replace: Callable[[str], None]
    another: Callable[[], ContainerDriver]
    """A driver for the same target that shares nothing with the first one, as in another process."""

    def container(self, name: str) -> Container:
        """The container as the driver finds it now."""
        return next(found for found in self.driver.find() if found.name == name)

    def seen(self, name: str) -> tuple[Container, Before]:
        """The container, and the state that an undo goes back to, as a run reads it from a disk."""
        container = self.container(name)
        return container, json.loads(json.dumps(self.driver.inspect(container)))


acts = pytest.mark.parametrize("act", ACTS, ids=lambda act: act.verb)


class ContainerContract:
    """The promises. Each test gets a world of its own."""

    def test_containers_are_found_by_labels_and_by_nothing_else_in_the_order_of_names(
        self, world: ContainerWorld
    ) -> None:
        found = world.driver.find()
        assert [one.name for one in found] == sorted([world.first, world.second, world.shy])
        assert {one.status for one in found} == {"running"}
        assert all(one.labels for one in found)
        assert len({one.id for one in found}) == 3

    @acts
    def test_the_effect_is_real_and_only_on_the_one_that_was_picked(self, world: ContainerWorld, act: Act) -> None:
        container, before = world.seen(world.first)
        assert world.driver.cannot(act, container) is None
        begun_wall_s = now_wall_s()
        done = world.driver.apply(act, container, before)
        assert world.outside(world.first) == HURT[act.verb]
        assert (world.outside(world.second), world.outside(world.shy)) == ("running", "running")
        assert done.status == HURT[act.verb]
        assert begun_wall_s - 0.1 <= done.at_wall_s <= now_wall_s() + 0.1
        assert world.first in done.call, "the journal says what was called on whom"
        assert world.container(world.first).status == HURT[act.verb], "a hurt container is still found"

    @acts
    def test_undo_puts_it_back_and_a_second_one_changes_nothing(self, world: ContainerWorld, act: Act) -> None:
        container, before = world.seen(world.first)
        world.driver.apply(act, container, before)
        done = world.driver.undo(act, container, before)
        assert done.status == "running"
        assert world.outside(world.first) == "running"
        after = world.container(world.first)
        assert (after.status, after.labels) == ("running", container.labels)
        assert world.outside(world.second) == "running"
        assert world.driver.undo(act, container, before).status == "running"
        assert world.container(world.first) == after, "the second undo started nothing anew"

    @acts
    def test_another_driver_undoes_it_that_knows_nothing_but_what_was_written_down(
        self, world: ContainerWorld, act: Act
    ) -> None:
        container, before = world.seen(world.first)
        world.driver.apply(act, container, before)
        world.another().undo(Act.from_json(act.to_json()), container, before)
        assert world.outside(world.first) == "running"

    def test_undo_of_what_never_took_hold_changes_nothing(self, world: ContainerWorld) -> None:
        container, before = world.seen(world.first)
        for act in ACTS:
            assert world.driver.undo(act, container, before).status == "running"
            assert world.container(world.first) == container

    def test_one_without_the_opt_in_is_refused_and_untouched(self, world: ContainerWorld) -> None:
        container, before = world.seen(world.shy)
        for act in ACTS:
            with pytest.raises(Refused, match=r"chaos\.enabled=true"):
                world.driver.apply(act, container, before)
        assert world.container(world.shy) == container

    def test_one_of_another_target_is_refused_and_untouched(self, world: ContainerWorld) -> None:
        impostor = Container(world.alien, "0" * 64, {OPT_IN[0]: OPT_IN[1]}, "running")
        for act in ACTS:
            with pytest.raises(ChaosError):
                world.driver.apply(act, impostor, {})
        assert world.outside(world.alien) == "running"

    def test_another_one_of_the_same_name_is_refused_and_untouched(self, world: ContainerWorld) -> None:
        container, before = world.seen(world.first)
        world.replace(world.first)
        for act in ACTS:
            with pytest.raises(ChaosError):
                world.driver.apply(act, container, before)
        assert world.outside(world.first) == "running"

    def test_one_that_somebody_removed_is_reported_and_not_made_anew(self, world: ContainerWorld) -> None:
        container, before = world.seen(world.first)
        world.driver.apply(PAUSE, container, before)
        world.remove(world.first)
        with pytest.raises((NotUndone, ChaosError)) as caught:
            world.driver.undo(PAUSE, container, before)
        assert world.first in str(caught.value)
        assert world.outside(world.first) in ("gone", "exited")

    def test_a_kill_after_the_kill_is_an_error_and_no_second_effect(self, world: ContainerWorld) -> None:
        container, before = world.seen(world.first)
        world.driver.apply(KILL, container, before)
        with pytest.raises(ChaosError):
            world.driver.apply(KILL, container, before)
        world.driver.undo(KILL, container, before)
        assert world.outside(world.first) == "running"

    def test_one_that_is_paused_can_be_killed_and_brought_back(self, world: ContainerWorld) -> None:
        container, before = world.seen(world.first)
        world.driver.apply(PAUSE, container, before)
        world.driver.apply(KILL, container, before)
        assert world.outside(world.first) == "exited"
        world.driver.undo(KILL, container, before)
        world.driver.undo(PAUSE, container, before)
        assert world.outside(world.first) == "running"

    def test_the_command_by_hand_is_a_command_for_this_container(self, world: ContainerWorld) -> None:
        first, second = world.seen(world.first), world.seen(world.second)
        for verb in VERBS:
            act = Act(verb, EVERYTHING, 30.0)
            said = world.driver.by_hand(act, *first)
            assert said.strip()
            assert "\n" not in said
            assert said != world.driver.by_hand(act, *second)
            assert world.driver.by_hand(act, first[0], {}), "even when nobody knows what was before"

    def test_what_cannot_be_done_is_one_sentence_about_every_verb_that_is_not_done(self, world: ContainerWorld) -> None:
        container = world.container(world.first)
        for verb in VERBS:
            why = world.driver.cannot(Act(verb, EVERYTHING, 30.0), container)
            assert why is None or ("\n" not in why and len(why.split()) > 5)
        assert world.container(world.first) == container, "asking changes nothing"
