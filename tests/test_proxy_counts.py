"""The windows between looks at proxies: what was answered in them, nothing twice, and nothing that nobody knows."""

from __future__ import annotations

from dataclasses import replace

from chaos.comparisons import ALPHA
from chaos.observation import ArmTraffic, ProxyRead
from chaos.proxy_counts import counted_in, each_at_proxies, summed, windows
from chaos.statistics import ArmCounts

WALL = 1_000.0


def look(at: float, subjects: int | None, failed: int = 0, slow: int = 0) -> ProxyRead:
    arm = ArmTraffic(9_999, 9_999, 9_999, 9_999, 9_999, subjects, failed, slow)
    return ProxyRead("model", WALL + at, "armed", arm, replace(arm, subjects_failed=0, subjects_slow=0))


LOOKS = [look(1, 10, 1), look(2, 30, 3, 2), look(3, 60, 4, 2)]


def test_a_window_holds_the_subjects_between_two_looks_and_no_retries() -> None:
    (first, second) = windows(LOOKS, WALL)
    assert first[0] == WALL + 2
    assert first[1] == {"errors": (ArmCounts(20, 2), ArmCounts(20, 0)), "slow": (ArmCounts(20, 2), ArmCounts(20, 0))}
    assert second[1]["errors"][0] == ArmCounts(30, 1)
    assert summed((first, second), "errors") == (ArmCounts(50, 3), ArmCounts(50, 0))


def test_a_window_that_began_before_the_first_effect_or_ended_after_the_removal_is_none() -> None:
    assert [wall_s for wall_s, _ in windows(LOOKS, WALL + 1.5)] == [WALL + 3]
    assert [wall_s for wall_s, _ in windows(LOOKS, WALL, WALL + 2.5)] == [WALL + 2]
    assert list(windows([LOOKS[0], replace(LOOKS[1], state="expired"), LOOKS[2]], WALL)) == []


def test_no_window_goes_over_a_moment_in_which_counting_began_anew() -> None:
    anew = [look(1, 100, 5), look(2, 10, 1), look(3, 20, 1)]
    assert [counted["errors"][0] for _, counted in windows(anew, WALL)] == [ArmCounts(10, 0)]


def test_what_an_older_proxy_or_several_of_them_do_not_say_is_not_made_up() -> None:
    unknown = [look(1, None), look(2, None)]
    assert list(windows(unknown, WALL)) == []
    assert not counted_in(unknown)
    assert counted_in(LOOKS)


def test_the_windows_of_the_first_looks_stay_when_more_come() -> None:
    assert list(windows(LOOKS, WALL))[:1] == list(windows(LOOKS[:2], WALL))


def test_all_targets_and_both_kinds_share_alpha() -> None:
    assert each_at_proxies(3) == ALPHA / 6
