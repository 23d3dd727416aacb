"""What every driver of containers promises, whatever the containers are: subclass `ContainerContract` and give it a `world`.

The fixture `world` is a `ContainerWorld`: a driver over three fresh containers that only the test looks at, and a way to
see from outside (never through the driver) what is really so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import pytest

from chaos.drivers.base import Container, ContainerDriver, Status, Verb
from chaos.errors import ChaosError, NotUndone, Refused
from tests.drivers.loopback import now_wall_s

VERBS: tuple[Verb, ...] = ("kill", "pause")
HURT: Mapping[Verb, Status] = {"kill": "exited", "pause": "paused"}
OPT_IN = ("chaos.enabled", "true")


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

    def container(self, name: str) -> Container:
        """The container as the driver finds it now."""
        return next(found for found in self.driver.find() if found.name == name)


verbs = pytest.mark.parametrize("verb", VERBS)


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

    @verbs
    def test_the_effect_is_real_and_only_on_the_one_that_was_picked(self, world: ContainerWorld, verb: Verb) -> None:
        before = world.container(world.first)
        begun_wall_s = now_wall_s()
        done = world.driver.apply(verb, before)
        assert world.outside(world.first) == HURT[verb]
        assert (world.outside(world.second), world.outside(world.shy)) == ("running", "running")
        assert done.status == HURT[verb]
        assert begun_wall_s - 0.1 <= done.at_wall_s <= now_wall_s() + 0.1
        assert world.first in done.call, "the journal says what was called on whom"
        assert world.container(world.first).status == HURT[verb], "a hurt container is still found"

    @verbs
    def test_undo_puts_it_back(self, world: ContainerWorld, verb: Verb) -> None:
        before = world.container(world.first)
        world.driver.apply(verb, before)
        done = world.driver.undo(verb, before)
        assert done.status == "running"
        assert world.outside(world.first) == "running"
        after = world.container(world.first)
        assert (after.status, after.labels) == ("running", before.labels)
        assert world.outside(world.second) == "running"

    @verbs
    def test_undo_twice_is_undo_once(self, world: ContainerWorld, verb: Verb) -> None:
        before = world.container(world.first)
        world.driver.apply(verb, before)
        world.driver.undo(verb, before)
        once = world.container(world.first)
        assert world.driver.undo(verb, before).status == "running"
        assert world.container(world.first) == once, "the second undo started nothing anew"

    @verbs
    def test_undo_of_what_never_took_hold_changes_nothing(self, world: ContainerWorld, verb: Verb) -> None:
        before = world.container(world.first)
        assert world.driver.undo(verb, before).status == "running"
        assert world.container(world.first) == before

    @verbs
    def test_one_without_the_opt_in_is_refused_and_untouched(self, world: ContainerWorld, verb: Verb) -> None:
        with pytest.raises(Refused, match=r"chaos\.enabled=true"):
            world.driver.apply(verb, world.container(world.shy))
        assert world.outside(world.shy) == "running"

    @verbs
    def test_one_of_another_target_is_refused_and_untouched(self, world: ContainerWorld, verb: Verb) -> None:
        impostor = Container(world.alien, "0" * 64, {OPT_IN[0]: OPT_IN[1]}, "running")
        with pytest.raises(ChaosError):
            world.driver.apply(verb, impostor)
        assert world.outside(world.alien) == "running"

    @verbs
    def test_another_one_of_the_same_name_is_refused_and_untouched(self, world: ContainerWorld, verb: Verb) -> None:
        before = world.container(world.first)
        world.replace(world.first)
        with pytest.raises(ChaosError):
            world.driver.apply(verb, before)
        assert world.outside(world.first) == "running"

    def test_one_that_somebody_removed_is_reported_and_not_made_anew(self, world: ContainerWorld) -> None:
        before = world.container(world.first)
        world.driver.apply("pause", before)
        world.remove(world.first)
        with pytest.raises((NotUndone, ChaosError)) as caught:
            world.driver.undo("pause", before)
        assert world.first in str(caught.value)
        assert world.outside(world.first) in ("gone", "exited")

    def test_a_kill_after_the_kill_is_an_error_and_no_second_effect(self, world: ContainerWorld) -> None:
        before = world.container(world.first)
        world.driver.apply("kill", before)
        with pytest.raises(ChaosError):
            world.driver.apply("kill", before)
        world.driver.undo("kill", before)
        assert world.outside(world.first) == "running"

    def test_one_that_is_paused_can_be_killed_and_brought_back(self, world: ContainerWorld) -> None:
        before = world.container(world.first)
        world.driver.apply("pause", before)
        world.driver.apply("kill", before)
        assert world.outside(world.first) == "exited"
        world.driver.undo("kill", before)
        world.driver.undo("pause", before)
        assert world.outside(world.first) == "running"

    @verbs
    def test_the_command_by_hand_is_a_command_for_this_container(self, world: ContainerWorld, verb: Verb) -> None:
        said = world.driver.by_hand(verb, world.container(world.first))
        assert said.strip()
        assert "\n" not in said
        assert said != world.driver.by_hand(verb, world.container(world.second))
