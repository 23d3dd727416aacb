"""How long a probe was out of its bounds: said only as far as looks can tell, and never better than they show."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chaos.judging.excursions import Look, all_along, excursions, from_then_on, longest_unmet
from chaos.readings import Standing

ORDER: tuple[Standing, ...] = ("met", "unknown", "broken")
END = 30.0
TIMES = st.lists(st.floats(0, END), unique=True, max_size=40)
LOOKS = TIMES.flatmap(
    lambda times: st.lists(st.sampled_from(ORDER), min_size=len(times), max_size=len(times)).map(
        lambda stood: [Look(at, one) for at, one in zip(sorted(times), stood, strict=True)]
    )
)
TOLERANCE = st.sampled_from([3.0, 5.0, 10.0])
DEADLINE = st.floats(0, END)


def looks(text: str) -> list[Look]:
    """One look a second: `.` met, `?` unknown, `x` broken, a space nobody looked."""
    meaning: dict[str, Standing] = {".": "met", "?": "unknown", "x": "broken"}
    return [Look(float(at), meaning[sign]) for at, sign in enumerate(text) if sign in meaning]


def always(text: str) -> Standing:
    return all_along(looks(text), 0.0, len(text) - 1.0, 5.0)


def back(text: str, deadline: float) -> Standing:
    return from_then_on(looks(text), 0.0, deadline, len(text) - 1.0, 5.0)


def test_what_was_met_at_every_look_held():
    assert always("..........") == "met"


def test_an_excursion_shorter_than_the_tolerance_is_forgiven_and_one_as_long_is_not():
    assert always("....xxx......") == "met"
    assert always("....xxxxxx...") == "broken"


def test_what_may_have_been_longer_than_the_tolerance_is_open():
    assert always("....xxxxx....") == "unknown"  # at least 4 s, at most 6 s
    assert always("....    .....") == "unknown"
    assert always("....????.....") == "unknown"
    assert always("          ") == "unknown"


def test_looks_that_are_missing_within_an_excursion_do_not_end_it():
    assert always("....x ? x ..") == "unknown"
    assert always("....x  ?  x..") == "broken"


def test_the_end_must_be_seen_too():
    assert always("..........     ") == "unknown"


def test_what_comes_back_in_time_and_stays_is_met():
    assert back("xxxx........", 5.0) == "met"
    assert back("xxxx..xx....", 5.0) == "met"


def test_what_is_not_back_at_the_deadline_is_broken_though_it_comes_back_later():
    assert back("xxxxxxx......", 5.0) == "broken"
    assert back("?xx......", 1.0) == "broken"  # however short: it had not come back at all


def test_what_comes_back_and_goes_again_is_broken():
    assert back("xx....xxxxxx...", 4.0) == "broken"


def test_nothing_before_the_deadline_counts_against_it():
    assert back("xxxxxxxxxx......", 11.0) == "met"


def test_what_nobody_saw_come_back_is_open():
    assert back("??????????????", 5.0) == "unknown"
    assert back("xxxx..        ", 5.0) == "unknown"


def worse(one: Look, by: int) -> Look:
    return Look(one.at_wall_s, ORDER[min(2, ORDER.index(one.standing) + by)])


@given(LOOKS, TOLERANCE, DEADLINE, st.data())
def test_worse_looks_never_make_it_better(seen, tolerance, deadline, data):
    spoilt = [worse(one, data.draw(st.integers(0, 2))) for one in seen]
    assert ORDER.index(all_along(spoilt, 0.0, END, tolerance)) >= ORDER.index(all_along(seen, 0.0, END, tolerance))
    before, after = (from_then_on(one, 0.0, deadline, END, tolerance) for one in (seen, spoilt))
    assert ORDER.index(after) >= ORDER.index(before)


@given(LOOKS, TOLERANCE, DEADLINE, st.data())
def test_looks_that_are_lost_never_make_anything_good(seen, tolerance, deadline, data):
    kept = [one for one in seen if data.draw(st.booleans())]
    if all_along(kept, 0.0, END, tolerance) == "met":
        assert all_along(seen, 0.0, END, tolerance) == "met"
    if from_then_on(kept, 0.0, deadline, END, tolerance) == "met":
        assert from_then_on(seen, 0.0, deadline, END, tolerance) == "met"


@given(LOOKS)
def test_an_excursion_is_never_longer_than_what_was_not_seen_met(seen):
    met = [look.at_wall_s for look in seen if look.standing == "met"]
    for first, last in excursions(seen):
        assert last - first <= longest_unmet(met, 0.0, END)


@given(LOOKS)
def test_between_two_excursions_the_bounds_were_met(seen):
    met = [look.at_wall_s for look in seen if look.standing == "met"]
    for (_, last), (first, _) in pairwise(excursions(seen)):
        assert any(last < at < first for at in met)
