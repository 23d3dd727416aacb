"""The gateway always answers: it retries on another route, falls back to a rule, and joins outcomes to what it really said."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.arms import ATTEMPT_HEADER, REQUEST_HEADER, SYNTHETIC_HEADER
from chaos.drivers.ports import free_ports
from chaos.lab.dataset import Applications
from chaos.lab.gateway import REMEMBERED, Gateway, fallback_rule
from chaos.lab.gateway_metrics import GROUPS, VERSIONS
from chaos.lab.model_answers import VIOLATIONS, Decision
from tests.drivers.loopback import Asked, Loopback, Said, eventually, module, now_wall_s, serving
from tests.lab.conftest import Service, applications, service

GOOD = {"gdlin": 1.0, "unver": 0.0}
BAD = {"gdlin": 0.0, "unver": 0.0}


def model_says(label: int, score: float, version: str = "1") -> Callable[[Asked], Said]:
    outputs = [{"name": "predict", "data": [label]}, {"name": "predict_proba", "data": [1 - score, score]}]
    body = {"model_name": "loan", "model_version": version, "outputs": outputs}
    return lambda asked: Said(200, json.dumps(body).encode())


@dataclass(frozen=True, slots=True)
class Door:
    """A gateway with two routes; the test says what each answers."""

    gateway: Service
    first: Loopback
    second: Loopback

    @property
    def asked(self) -> list[Asked]:
        return self.first.asked + self.second.asked


@pytest.fixture(scope="module")
def built(features: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("gateway")
    with serving(model_says(1, 0.9)) as first, serving(model_says(1, 0.9)) as second:
        routes = ["--route", first.url, "--route", second.url]
        with module("chaos.lab.gateway", *routes, "--features", str(features), folder=folder) as ports:
            yield Door(service(f"http://{ports['gateway']}"), first, second)


@pytest.fixture
def door(built: Door) -> Iterator[Door]:
    """The gateway, with two routes that approve."""
    for route in (built.first, built.second):
        route.answer = model_says(1, 0.9)
        route.asked.clear()
        route.released.clear()
    yield built
    for route in (built.first, built.second):
        route.released.set()


def hanging(route: Loopback) -> Callable[[Asked], Said]:
    def never(_: Asked) -> Said:
        route.released.wait(5)
        return Said(500)

    return never


def both(door: Door, answer: Callable[[Asked], Said]) -> None:
    door.first.answer = door.second.answer = answer


def test_every_series_is_there_at_zero_before_the_first_request(features: Path, tmp_path: Path) -> None:
    with module(
        "chaos.lab.gateway", "--route", "http://127.0.0.1:9", "--features", str(features), folder=tmp_path
    ) as ports:
        samples = service(f"http://{ports['gateway']}").metrics()
    expected = [f'ml_requests_total{{code="{code}"}}' for code in ("200", "400", "500")]
    expected += [
        f'ml_feedback_total{{outcome="{o}",source="{s}"}}' for o in ("correct", "wrong") for s in ("model", "fallback")
    ]
    expected += [
        f'ml_decisions_total{{decision="{decision}",group="{group}",source="{source}"}}'
        for decision in ("approve", "deny") for source in ("model", "fallback") for group in GROUPS
    ]  # fmt: skip
    expected += [
        f'ml_upstream_attempts_total{{outcome="{outcome}",route="replica-1"}}'
        for outcome in ("ok", "error", "timeout", "unreachable")
    ]
    expected += [f'ml_contract_violations_total{{kind="{kind}"}}' for kind in VIOLATIONS]
    expected += [
        f'ml_calibration_{what}_total{{tenth="{tenth}"}}' for what in ("score", "outcome") for tenth in range(10)
    ]
    expected += ["ml_prediction_repeats_total", "ml_feedback_age_seconds_count"]
    expected += ["ml_feedback_unmatched_total", "ml_request_duration_seconds_count"]
    assert {name: samples.get(name) for name in expected} == dict.fromkeys(expected, 0.0)
    last_wall_s = samples["ml_feedback_last_timestamp_seconds"]
    assert now_wall_s() - 30 < last_wall_s <= now_wall_s(), "a fresh gateway is not yet without feedback for too long"


def test_who_asks_goes_on_to_the_model_and_what_is_private_does_not(door: Door) -> None:
    sent = {
        "X-Applicant-Id": "a-1", "X-Applicant-Group": "black", "X-Request-Id": "r-1", "X-Chaos-Synthetic": "run:mark",
        "Authorization": "Bearer secret", "Cookie": "a=b",
    }  # fmt: skip
    door.gateway.post("/score", {"application": {}}, sent)
    (asked,) = door.asked
    assert asked.path == "/v2/models/loan/infer"
    found = {
        name: asked.headers.get(name)
        for name in ("x-applicant-id", "x-applicant-group", REQUEST_HEADER, SYNTHETIC_HEADER, ATTEMPT_HEADER)
    }
    assert list(found.values()) == ["a-1", "black", "r-1", "run:mark", "1"]
    assert "authorization" not in asked.headers
    assert "cookie" not in asked.headers


def test_features_go_in_the_order_of_the_model_with_null_for_what_is_missing(door: Door, features: Path) -> None:
    names = json.loads(features.read_text())
    door.gateway.post(
        "/score", {"application": {names[-1]: 2.5, names[0]: 1, "unheard of": 3}}, {"x-request-id": "r-1"}
    )
    body = json.loads(door.asked[0].body)
    assert body["id"] == "r-1"
    (given,) = body["inputs"]
    assert (given["shape"], given["datatype"]) == ([1, len(names)], "FP64")
    assert given["data"] == [1, *[None] * (len(names) - 2), 2.5]


def test_routes_take_turns(door: Door) -> None:
    for _ in range(10):
        door.gateway.post("/score", {"application": {}})
    assert (len(door.first.asked), len(door.second.asked)) == (5, 5)


@pytest.mark.parametrize(("label", "score", "named"), [(1, 0.9, "approve"), (0, 0.2, "deny")])
def test_the_answer_is_the_models_decision(door: Door, label: int, score: float, named: str) -> None:
    both(door, model_says(label, score))
    name = f'ml_decisions_total{{decision="{named}",group="hispanic",source="model"}}'
    before = door.gateway.metrics()[name]
    answer = door.gateway.post("/score", {"application": {}}, {"x-applicant-group": "hispanic"}).json()
    assert (answer["decision"], answer["source"]) == (named, "model")
    assert answer["score"] == pytest.approx(score)
    assert door.gateway.metrics()[name] == before + 1


def test_a_failed_attempt_is_tried_again_on_the_other_route_as_the_same_request(door: Door) -> None:
    for failing, other in ((door.first, door.second), (door.second, door.first)):
        failing.answer, other.answer = lambda _: Said(500), model_says(0, 0.1)
        failing.asked.clear()
        other.asked.clear()
        for place in range(2):  # routes take turns: in one of two requests the failing one comes first
            assert (
                door.gateway.post("/score", {"application": {}}, {"x-applicant-id": f"a{place}"}).json()["source"]
                == "model"
            )
        (failed,) = failing.asked
        again = next(
            asked for asked in other.asked if asked.headers["x-applicant-id"] == failed.headers["x-applicant-id"]
        )
        assert (failed.headers[ATTEMPT_HEADER], again.headers[ATTEMPT_HEADER]) == ("1", "2")
        assert failed.headers[REQUEST_HEADER] == again.headers[REQUEST_HEADER], "also when the gateway made the id up"
        assert failed.body == again.body


NONSENSE = [
    Said(500), Said(503, b"<html>"), Said(200, b"{"), Said(200, b"[]"), Said(200, b"{}"), Said(200, b'{"outputs": []}'),
    Said(200, b'{"outputs": [{"name": "predict", "data": []}]}'), Said(200, b'{"outputs": 3}'), Said(200, b"\xff"),
    Said(200, b'{"outputs": [{"name": "predict", "data": ["x"]}, {"name": "predict_proba", "data": [0, 1]}]}'),
    Said(200, b'{"outputs": [{"name": "predict", "data": [null]}, {"name": "predict_proba", "data": null}]}'),
]  # fmt: skip


@pytest.mark.parametrize("said", NONSENSE, ids=[str(place) for place in range(len(NONSENSE))])
def test_when_no_route_makes_sense_the_rule_answers(door: Door, said: Said) -> None:
    both(door, lambda _: said)
    before = door.gateway.metrics()
    for application, named in ((GOOD, "approve"), (BAD, "deny")):
        answer = door.gateway.post("/score", {"application": application})
        assert answer.status_code == 200
        assert (answer.json()["decision"], answer.json()["source"]) == (named, "fallback")
    assert len(door.asked) == 4, "two attempts each, and no more"
    after = door.gateway.metrics()
    errors = [f'ml_upstream_attempts_total{{outcome="error",route="replica-{place}"}}' for place in (1, 2)]
    assert [after[name] - before[name] for name in errors] == [2, 2]


def test_a_route_that_hangs_costs_one_time_out_and_two_that_hang_cost_two(door: Door) -> None:
    door.first.answer = hanging(door.first)
    times_s = []
    for _ in range(2):
        begun_s = time.perf_counter()
        assert door.gateway.post("/score", {"application": GOOD}).json()["source"] == "model"
        times_s.append(time.perf_counter() - begun_s)
    assert 0.28 <= max(times_s) < 1.2
    door.second.answer = hanging(door.second)
    before = door.gateway.metrics()
    begun_s = time.perf_counter()
    answer = door.gateway.post("/score", {"application": GOOD}).json()
    assert 0.58 <= time.perf_counter() - begun_s < 1.5
    assert (answer["decision"], answer["source"]) == ("approve", "fallback")
    after = door.gateway.metrics()
    hung = [f'ml_upstream_attempts_total{{outcome="timeout",route="replica-{place}"}}' for place in (1, 2)]
    assert [after[name] - before[name] for name in hung] == [1, 1]
    bucket = 'ml_request_duration_seconds_bucket{le="0.5"}'
    assert after[bucket] == before[bucket], "the time that the user waited is in the histogram"


def test_a_route_that_refuses_is_left_alone_for_a_while_and_used_again_when_it_is_back(
    features: Path, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    with serving(model_says(1, 0.9)) as alive:
        routes = ["--route", f"http://127.0.0.1:{port}", "--route", alive.url]
        with module("chaos.lab.gateway", *routes, "--features", str(features), folder=tmp_path) as ports:
            gateway = service(f"http://{ports['gateway']}")
            begun_s = time.perf_counter()
            for _ in range(40):
                assert gateway.post("/score", {"application": {}}).json()["source"] == "model"
            took_s = time.perf_counter() - begun_s
            refused = gateway.metrics()['ml_upstream_attempts_total{outcome="unreachable",route="replica-1"}']
            assert 1 <= refused <= 2 + took_s, "at most once a second"

            back = ["--route", alive.url, "--features", str(features), "--listen", f"127.0.0.1:{port}"]
            with module("chaos.lab.gateway", *back, folder=tmp_path) as other:  # anything that accepts connections
                assert other["gateway"].endswith(str(port))

                def tried() -> bool:
                    gateway.post("/score", {"application": {}})
                    return gateway.metrics()['ml_upstream_attempts_total{outcome="error",route="replica-1"}'] > 0

                eventually(tried, 5, "the route is tried again")


def decided(door: Door) -> str:
    return str(door.gateway.post("/score", {"application": {}}).json()["decision_id"])


def change(door: Door, before: dict[str, float], name: str) -> float:
    return door.gateway.metrics()[name] - before[name]


def test_an_outcome_is_joined_once_to_the_decision_that_was_really_given(door: Door) -> None:
    before = door.gateway.metrics()
    known = decided(door)
    first = door.gateway.post("/feedback", {"decision_id": known, "outcome": "deny"})
    again = door.gateway.post("/feedback", {"decision_id": known, "outcome": "deny"})
    assert (first.json(), again.json()) == ({"matched": True}, {"matched": False})
    assert change(door, before, 'ml_feedback_total{outcome="wrong",source="model"}') == 1
    assert change(door, before, 'ml_feedback_total{outcome="correct",source="model"}') == 0
    assert change(door, before, "ml_feedback_unmatched_total") == 1
    assert change(door, before, "ml_feedback_last_timestamp_seconds") > 0


def test_an_outcome_of_a_fallback_counts_for_the_fallback(door: Door) -> None:
    both(door, lambda _: Said(500))
    before = door.gateway.metrics()
    known = door.gateway.post("/score", {"application": GOOD}).json()["decision_id"]
    door.gateway.post("/feedback", {"decision_id": known, "outcome": "approve"})
    assert change(door, before, 'ml_feedback_total{outcome="correct",source="fallback"}') == 1
    assert change(door, before, 'ml_feedback_total{outcome="correct",source="model"}') == 0


def test_an_outcome_of_nobodys_decision_is_counted_as_unmatched_and_moves_nothing_else(door: Door) -> None:
    before = door.gateway.metrics()
    assert door.gateway.post("/feedback", {"decision_id": "nobody", "outcome": "approve"}).json() == {"matched": False}
    assert change(door, before, "ml_feedback_unmatched_total") == 1
    for outcome in ("correct", "wrong"):
        assert change(door, before, f'ml_feedback_total{{outcome="{outcome}",source="model"}}') == 0
    assert change(door, before, "ml_feedback_last_timestamp_seconds") == 0


@pytest.mark.parametrize("body", [b"{", b"[]", b"3", b"{}", b'{"decision_id": "x"}', b'{"decision_id": "x", "outcome": "maybe"}', b'{"decision_id": "x", "outcome": []}'])  # fmt: skip
def test_what_is_no_outcome_is_refused(door: Door, body: bytes) -> None:
    answer = door.gateway.post("/feedback", body)
    assert answer.status_code == 400
    assert "decision_id" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"3", b"{}", b'{"application": 3}', b'{"application": null}', b"\xff"])
def test_what_is_no_application_is_refused_counted_and_never_asked_of_the_model(door: Door, body: bytes) -> None:
    before = door.gateway.metrics()
    answer = door.gateway.post("/score", body)
    assert answer.status_code == 400
    assert "application" in answer.json()["error"]
    assert change(door, before, 'ml_requests_total{code="400"}') == 1
    assert door.asked == []


def test_an_unheard_of_group_is_counted_as_other_so_that_series_stay_few(door: Door) -> None:
    series = set(door.gateway.metrics())
    for group in ("x", 'a"b', "white ", "WHITE"):
        door.gateway.post("/score", {"application": {}}, {"x-applicant-group": group})
    assert set(door.gateway.metrics()) == series


def test_answers_are_counted_by_the_version_that_gave_them_and_versions_stay_few(door: Door) -> None:
    both(door, model_says(1, 0.9, "2024-01"))
    before = door.gateway.metrics()
    door.gateway.post("/score", {"application": {}})
    assert (
        door.gateway.metrics()['ml_model_answers_total{version="2024-01"}']
        == before.get('ml_model_answers_total{version="2024-01"}', 0) + 1
    )
    for place in range(VERSIONS + 5):
        both(door, model_says(1, 0.9, f"made up {place}"))
        door.gateway.post("/score", {"application": {}})
    series = {name: count for name, count in door.gateway.metrics().items() if "ml_model_answers_total" in name}
    assert len(series) == VERSIONS + 1
    assert series['ml_model_answers_total{version="other"}'] >= 5


def test_an_answer_that_no_sound_model_gives_is_counted_and_its_decision_is_given(door: Door) -> None:
    outputs = b'[{"name": "predict", "data": [1]}, {"name": "predict_proba", "data": [NaN, NaN]}]'
    both(door, lambda _: Said(200, b'{"outputs": ' + outputs + b"}"))
    before = door.gateway.metrics()
    answer = door.gateway.post("/score", {"application": {}})
    assert (answer.json()["decision"], answer.json()["score"], answer.json()["source"]) == ("approve", None, "model")
    assert change(door, before, 'ml_contract_violations_total{kind="not_a_number"}') == 1
    assert change(door, before, "ml_prediction_score_count") == 0


def test_a_score_that_is_exactly_the_one_before_is_counted(door: Door) -> None:
    before = door.gateway.metrics()
    for score in (0.7, 0.7, 0.71, 0.7, 0.7, 0.7):
        both(door, model_says(1, score))
        decided(door)
    assert change(door, before, "ml_prediction_repeats_total") in (3, 4), (
        "4 when the test before ended with the same one"
    )


def test_an_outcome_counts_for_the_tenth_of_its_score_and_with_its_age(door: Door) -> None:
    before = door.gateway.metrics()
    for score, outcome in ((0.62, "approve"), (0.68, "deny"), (1.0, "approve")):
        both(door, model_says(1, score))
        door.gateway.post("/feedback", {"decision_id": decided(door), "outcome": outcome})
    after = door.gateway.metrics()
    promised, came = (
        {tenth: after[name] - before[name] for tenth in range(10) if (name := f'ml_calibration_{what}_total{{tenth="{tenth}"}}')}
        for what in ("score", "outcome")
    )  # fmt: skip
    assert promised == pytest.approx({**dict.fromkeys(range(10), 0), 6: 1.3, 9: 1.0})
    assert came == {**dict.fromkeys(range(10), 0), 6: 1, 9: 1}
    assert change(door, before, 'ml_feedback_age_seconds_bucket{le="10.0"}') == 3


def test_the_time_at_which_metrics_were_written_is_among_them(door: Door) -> None:
    begun_wall_s = now_wall_s()
    assert begun_wall_s - 1 <= door.gateway.metrics()["ml_exposed_timestamp_seconds"] <= now_wall_s() + 1


def test_memory_is_bounded_and_the_oldest_decisions_are_forgotten_first() -> None:
    gateway = Gateway(["http://127.0.0.1:9"], [])
    for place in range(REMEMBERED + 5):
        gateway.remember(str(place), Decision(1, 0.5, "model"))
    assert len(gateway._given) == REMEMBERED
    assert [gateway.join(str(place), 1) for place in (0, 4, 5, REMEMBERED + 4)] == [False, False, True, True]


def test_with_the_real_model_decisions_are_the_models(
    replica: Service, features: Path, halves: tuple[Applications, Applications], tmp_path: Path
) -> None:
    routes = ["--route", replica.url, "--features", str(features)]
    with module("chaos.lab.gateway", *routes, folder=tmp_path) as ports:
        gateway = service(f"http://{ports['gateway']}")
        some = applications(halves[1])[:60]
        answers = [gateway.post("/score", {"application": one}).json() for one in some]
    assert {answer["source"] for answer in answers} == {"model"}
    right = sum(
        (a["decision"] == "approve") == bool(truth) for a, truth in zip(answers, halves[1].approved, strict=False)
    )
    assert right >= 50, "0.936 of 60 are 56; four standard errors are 7.6"
    assert all((answer["decision"] == "approve") == (answer["score"] > 0.5) for answer in answers)
    assert {fallback_rule(one) for one in some} == {0, 1}
