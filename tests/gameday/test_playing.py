"""A day is played as its file says, in no time: the clock, the runs and the people are the test's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from chaos.app.gameday.loading import LoadedDay
from chaos.app.gameday.playing import World, play
from chaos.app.running import Ended
from chaos.errors import ChaosError, Frozen, NotUndone, Refused, Unreachable
from chaos.gameday import Outcome, Summary
from chaos.gameday.messages import Message
from chaos.judging import judge
from chaos.verdict import Verdict, VerdictName
from tests.gameday.days import loaded
from tests.gameday.values import at
from tests.judging.journals import Story
from tests.worlds import PLAN

VERDICT: Verdict = judge(Story().lines())
RUN_TAKES = timedelta(minutes=4)
TUESDAY = at("2026-12-01 10:00")


@dataclass
class Stage:
    """What happens in a test: how each run ends, what people say, and what the clock shows."""

    ends: list[VerdictName | BaseException]
    now: datetime = TUESDAY
    agrees: bool = True
    ends_in_pause: bool = False
    happened: list[str] = field(default_factory=list)
    told: list[Message] = field(default_factory=list)

    def run(self, index: int, one: object) -> Ended:
        self.happened.append(f"run {index}")
        self.now += RUN_TAKES
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        return Ended(Path(f"runs/{index}"), replace(VERDICT, verdict=end), PLAN)

    def wait(self, index: int, seconds: float) -> None:
        if seconds and self.ends_in_pause:
            raise KeyboardInterrupt
        if seconds:
            self.happened.append(f"wait {seconds:g}")
        self.now += timedelta(seconds=seconds)

    def ask(self, index: int) -> bool:
        self.happened.append(f"ask {index}")
        return self.agrees

    def begins(self) -> None: ...
    def step(self, index: int) -> None: ...
    def over(self, outcome: Outcome) -> None: ...

    def play(
        self, made: LoadedDay, before: Callable[[Message], None] | None = None, ignore: str | None = None
    ) -> Summary:
        world = World(self.run, self.wait, self.ask, before or self.told.append, self.told.append, lambda: self.now)
        return play(made, world, self, who="ada@host", stop="Ctrl-C", ignore_freeze=ignore)


def test_a_day_is_announced_played_with_its_pauses_and_summed_up(tmp_path: Path) -> None:
    stage = Stage(["confirmed", "undetected", "confirmed"])
    made = stage.play(loaded(tmp_path))
    assert stage.happened == ["run 0", "wait 300", "run 1", "wait 300", "run 2"]
    assert (made.verdict, made.exit_code) == ("undetected", 1)
    assert made.ended_wall_s - made.began_wall_s == (3 * RUN_TAKES + timedelta(minutes=10)).total_seconds()
    before, after = stage.told
    assert before.text.startswith(
        "ada@host begins the game day drill on lab: first, then second, then third; for at most "
    )
    assert "Why: The on-call finds a bad model without help. To end it: Ctrl-C" in before.text
    assert after.text.splitlines()[0] == (
        "The game day drill is over (undetected): 3 of 3 experiments were run: 2 confirmed, 1 with a weakness."
    )
    assert not after.trouble


def test_what_cannot_be_run_proves_nothing_and_the_day_goes_on(tmp_path: Path) -> None:
    stage = Stage([Refused(["a run goes on"]), Unreachable("Prometheus is gone"), "confirmed"])
    made = stage.play(loaded(tmp_path))
    assert [one.status for one in made.outcomes] == ["refused", "refused", "ran"]
    assert (made.verdict, made.exit_code) == ("invalid", 3)
    assert "; 2 could not be run" in made.sentence
    assert stage.told[-1].is_for(["trouble"])


@pytest.mark.parametrize(("end", "code"), [("aborted", 4), ("unsafe", 5), ("interrupted", 130)])
def test_after_a_run_that_went_wrong_nothing_more_is_hurt(tmp_path: Path, end: VerdictName, code: int) -> None:
    stage = Stage([end])
    made = stage.play(loaded(tmp_path))
    assert stage.happened == ["run 0"]
    assert made.exit_code == code
    assert made.ended_early is not None
    assert stage.told[-1].is_for(["trouble"])


def test_an_error_of_our_own_in_a_run_is_summed_up_kept_and_told(tmp_path: Path) -> None:
    stage = Stage([ZeroDivisionError("oh"), "confirmed", "confirmed"])
    kept: list[int] = []
    world = World(
        stage.run, stage.wait, stage.ask, stage.told.append, stage.told.append, lambda: stage.now,
        keep=lambda _: kept.append(len(stage.told)),
    )  # fmt: skip
    made = play(loaded(tmp_path), world, stage, who="ada@host", stop="Ctrl-C")
    assert [one.status for one in made.outcomes] == ["refused", "ran", "ran"]
    assert "an error of our own: ZeroDivisionError('oh')" in made.outcomes[0].sentence
    assert (kept, len(stage.told)) == ([1], 2)  # after people heard of the beginning, before they hear of the end


def test_what_could_not_be_undone_ends_the_day_as_unsafe(tmp_path: Path) -> None:
    stage = Stage([NotUndone("a container is paused", "docker unpause it")])
    assert stage.play(loaded(tmp_path)).exit_code == 5
    assert stage.happened == ["run 0"]


def test_a_freeze_that_begins_while_the_day_waits_ends_it(tmp_path: Path) -> None:
    frozen = ("timezone: Europe/Berlin}", 'timezone: Europe/Berlin, freeze: ["10:05 - 12:00"]}')  # fmt: skip
    stage = Stage(["confirmed"])
    made = stage.play(loaded(tmp_path, frozen))
    assert stage.happened == ["run 0", "wait 300"]
    assert [one.status for one in made.outcomes] == ["ran", "frozen"]
    assert made.exit_code == 3
    assert "frozen until Tue 2026-12-01 12:00 CET" in (made.ended_early or "")


def test_on_a_frozen_day_nobody_is_told_of_anything_and_a_reason_overrides_it(tmp_path: Path) -> None:
    frozen = ("timezone: Europe/Berlin}", "timezone: Europe/Berlin, holidays: [12-01]}")
    stage = Stage(["confirmed"] * 3)
    made = loaded(tmp_path, frozen)
    with pytest.raises(Frozen):
        stage.play(made)
    assert (stage.told, stage.happened) == ([], [])
    done = stage.play(made, ignore="the fix must be proven")
    said = "the game day drill is frozen until Wed 2026-12-02 00:00 CET by `holiday 12-01` of its calendar; ignored: the fix must be proven"
    assert (done.exit_code, done.frozen) == (0, said)
    assert stage.told[0].text.endswith(said)


def test_a_day_on_a_frozen_system_does_not_begin_either(tmp_path: Path) -> None:
    stage = Stage([])
    with pytest.raises(Frozen, match="lab is frozen until"):
        stage.play(loaded(tmp_path, system=(("name: lab", "name: lab\ncalendar: {holidays: [12-01]}"),)))
    assert (stage.told, stage.happened) == ([], [])


def test_a_person_who_does_not_want_it_ends_the_day(tmp_path: Path) -> None:
    stage = Stage(["confirmed"], agrees=False)
    made = stage.play(loaded(tmp_path, ("second.yaml,", "second.yaml, confirm: true,")))
    assert stage.happened == ["run 0", "wait 300", "ask 1"]
    assert (made.exit_code, made.outcomes[-1].status) == (3, "declined")


def test_a_day_that_is_ended_in_a_pause_is_interrupted_and_everybody_is_told(tmp_path: Path) -> None:
    stage = Stage(["confirmed"], ends_in_pause=True)
    made = stage.play(loaded(tmp_path))
    assert (made.exit_code, len(made.outcomes)) == (130, 1)
    assert stage.told[-1].subject == "game day drill: interrupted"


def test_where_nobody_can_be_told_beforehand_nothing_is_run(tmp_path: Path) -> None:
    stage = Stage([])

    def nobody(_: Message) -> None:
        raise Refused(["nobody could be told"])

    with pytest.raises(ChaosError):
        stage.play(loaded(tmp_path), before=nobody)
    assert stage.happened == []
