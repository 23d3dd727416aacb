"""What each fault of the family "input" makes of what a model is asked."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from pydantic import ValidationError

from chaos.document import read_document
from chaos.faults import catalogue
from chaos.faults.base import Call, Fault, NotThere
from chaos.rows import Input

NAMES = ("age", "income", "purpose", "owner")
ONE = Input(0, (31, 2500.5, "car", True), NAMES)


def fault(name: str, /, **more: Any) -> Fault:
    return catalogue()[name].model_validate({"fault": name, "target": "model", **more})


def call(share: float = 1.0, subject: str = "subject") -> Call:
    return Call("seed", 0, subject, share, {})


def made(name: str, one: Input = ONE, /, **more: Any) -> Input:
    return fault(name, **more).edit_inputs([one], call())[0]


def value(name: str, feature: str | int, one: Input = ONE, /, **more: Any) -> object:
    """What becomes of one feature; every other one stays."""
    after = made(name, one, feature=feature, **more)
    place = feature if isinstance(feature, int) else one.names.index(feature)
    assert after.names == one.names
    assert after.values[:place] + after.values[place + 1 :] == one.values[:place] + one.values[place + 1 :]
    return after.values[place]


@pytest.mark.parametrize(
    ("feature", "as_", "wanted"),
    [
        ("income", "null", None),
        ("income", None, None),
        (1, "null", None),
        ("age", "zero", 0),
        ("income", "zero", 0.0),
        ("purpose", "zero", ""),
        ("owner", "zero", False),
    ],
)
def test_a_missing_feature_is_null_or_zero_in_the_type_that_it_had(feature: str, as_: object, wanted: object) -> None:
    found = value("missing_feature", feature, **{"as": as_})
    assert (found, type(found)) == (wanted, type(wanted))


def test_a_missing_feature_can_be_nan_or_the_default_that_stands_for_unknown() -> None:
    found = value("missing_feature", "income", **{"as": "nan"})
    assert isinstance(found, float)
    assert math.isnan(found)
    found = value("missing_feature", "income", **{"as": "default", "default": -1})
    assert (found, type(found)) == (-1.0, float)
    assert value("missing_feature", "purpose", **{"as": "default", "default": "unknown"}) == "unknown"


def test_a_missing_feature_is_written_with_null_as_people_write_it() -> None:
    document = read_document("{fault: missing_feature, target: model, feature: age, as: null}", "a.yaml", {})
    found = catalogue()["missing_feature"].model_validate(document.data)
    assert found.edit_inputs([ONE], call())[0].values[0] is None
    assert found.model_dump()["as"] == "null"


def test_a_dropped_feature_is_dropped_in_every_row_or_in_none() -> None:
    dropped = fault("missing_feature", feature="age", **{"as": "dropped"}, share=0.5)
    inputs = [Input(place, ONE.values, NAMES) for place in range(8)]
    seen = set()
    for number in range(20):
        after = dropped.edit_inputs(inputs, call(0.5, f"subject {number}"))
        seen.add(frozenset(one.names for one in after))
        assert len({one.names for one in after}) == 1
    assert seen == {frozenset([NAMES]), frozenset([NAMES[1:]])}


def test_what_is_missing_already_stays_the_very_same_object() -> None:
    empty = Input(0, (None, float("nan")), ("age", "income"))
    assert made("missing_feature", empty, feature="age") is empty
    assert made("missing_feature", empty, feature="income", **{"as": "nan"}) is empty


@pytest.mark.parametrize(
    ("feature", "factor", "wanted"),
    [("income", 1000, 2500500.0), ("age", 1000, 31000), ("age", 0.1, 3), ("age", -1, -31)],
)
def test_another_unit_multiplies_and_whole_numbers_stay_whole(feature: str, factor: float, wanted: float) -> None:
    found = value("unit_change", feature, factor=factor)
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize("name", ["unit_change", "feature_shift", "feature_noise"])
@pytest.mark.parametrize("was", [None, "31", True, float("nan"), math.inf, 10**400])
def test_what_is_no_number_that_can_be_reckoned_with_stays(name: str, was: Any) -> None:
    more = {"unit_change": {"factor": 2}, "feature_shift": {"by": 2}, "feature_noise": {"absolute": 2}}
    one = Input(0, (was,), ("age",))
    assert made(name, one, feature="age", **more[name]) is one


def test_a_number_that_would_become_infinite_stays() -> None:
    one = Input(0, (1e308,), ("age",))
    assert made("unit_change", one, feature="age", factor=1000) is one


def test_a_shift_adds_and_whole_numbers_stay_whole() -> None:
    assert value("feature_shift", "income", by=-0.5) == 2500.0
    found = value("feature_shift", "age", by=2.4)
    assert (found, type(found)) == (33, int)


def test_noise_is_normal_of_the_deviation_that_was_asked_for_and_the_same_at_every_retry() -> None:
    noise = fault("feature_noise", feature="income", relative="10%")
    inputs = [Input(place, (200.0,), ("income",)) for place in range(4000)]
    after = [one.values[0] for one in noise.edit_inputs(inputs, call())]
    assert after == [one.values[0] for one in noise.edit_inputs(inputs, call())]
    moves = [number - 200.0 for number in after if isinstance(number, float)]
    # Four standard errors of mean and deviation, with a fixed seed: it holds or it does not.
    assert abs(statistics.mean(moves)) < 4 * 20 / math.sqrt(4000)
    assert abs(statistics.stdev(moves) - 20) < 4 * 20 / math.sqrt(2 * 4000)
    within = sum(abs(move) < 20 for move in moves) / 4000
    assert abs(within - 0.6827) < 0.03


def test_absolute_noise_does_not_grow_with_the_value() -> None:
    noise = fault("feature_noise", feature="age", absolute=3)
    for size in (0.0, 1e6):
        inputs = [Input(place, (size,), ("age",)) for place in range(500)]
        moves = [one.values[0] - size for one in noise.edit_inputs(inputs, call())]  # type: ignore[operator]
        assert 2.5 < statistics.stdev(moves) < 3.5


def test_swapped_features_have_each_others_values() -> None:
    after = made("swapped_features", features=["age", "income"])
    assert after == Input(0, (2500.5, 31, "car", True), NAMES)
    assert made("swapped_features", features=[0, 2]).values == ("car", 2500.5, 31, True)
    with pytest.raises(NotThere):
        made("swapped_features", features=["age", "nothing"])


def test_an_unseen_category_has_the_type_of_the_one_before() -> None:
    assert str(value("unseen_category", "purpose")).startswith("unseen-")
    code = value("unseen_category", "age")
    assert isinstance(code, int)
    assert -10000 < code <= -1000
    assert isinstance(value("unseen_category", "income"), float)
    assert value("unseen_category", "purpose", value="spaceship") == "spaceship"
    assert made("unseen_category", feature="owner") is ONE, "truth has no third value"


def test_a_renamed_feature_keeps_its_place_and_its_value() -> None:
    after = made("schema_change", change="renamed", feature="income", name="monthly")
    assert after == Input(0, ONE.values, ("age", "monthly", "purpose", "owner"))
    assert made("schema_change", change="renamed", feature="income", name="age") is ONE, "two of one name are none"


@pytest.mark.parametrize(
    ("was", "wanted"), [(31, "31"), (2.5, "2.5"), ("31", 31), ("2.5", 2.5), ("car", "car"), (True, 1), (None, None)]
)
def test_a_retyped_feature_is_written_as_another_type(was: Any, wanted: object) -> None:
    found = made("schema_change", Input(0, (was,), ("age",)), change="retyped", feature=0).values[0]
    assert (found, type(found)) == (wanted, type(wanted))


def test_an_extra_feature_stands_behind_the_others() -> None:
    after = made("schema_change", change="extra", name="channel", value="app")
    assert after == Input(0, (*ONE.values, "app"), (*NAMES, "channel"))


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"how": "rounded"}, 2500.0),
        ({"how": "rounded", "digits": -3}, 3000.0),
        ({"how": "truncated"}, 2500.0),
        ({"how": "truncated", "digits": -3}, 2000.0),
        ({"how": "scaled", "factor": 2, "offset": 1}, 5002.0),
    ],
)
def test_skewed_features_are_rounded_truncated_or_scaled(more: dict[str, Any], wanted: float) -> None:
    after = made("train_serve_skew", features=["income", "nothing"], **more)
    assert after.values == (31, wanted, "car", True)


def test_skewed_whole_numbers_stay_whole_and_truncation_goes_towards_zero() -> None:
    one = Input(0, (-37, -3.75, 1e308), ("a", "b", "c"))
    after = made("train_serve_skew", one, features=["a", "b", "c"], how="truncated", digits=1)
    assert after.values == (-37, -3.7, 1e308)
    assert made("train_serve_skew", one, features=[0], digits=-1).values[0] == -40


@pytest.mark.parametrize("feature", [True, -1, 1.5, ""])
def test_a_feature_is_a_name_or_a_place(feature: object) -> None:
    with pytest.raises(ValidationError):
        fault("unit_change", feature=feature, factor=2)


def test_a_place_beyond_the_features_is_not_there() -> None:
    with pytest.raises(NotThere):
        made("unit_change", feature=4, factor=2)


def test_one_row_that_has_the_feature_is_enough() -> None:
    inputs = [Input(0, (1,), ("other",)), Input(1, (2,), ("age",))]
    after = fault("unit_change", feature="age", factor=2).edit_inputs(inputs, call())
    assert after[0] is inputs[0]
    assert after[1].values == (4,)
