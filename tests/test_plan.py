"""The plan: decided by the seed alone, refuses with one clear sentence for each reason, and touches nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.bounds import Bound
from chaos.planning import outcomes
from chaos.plans import Plan
from chaos.routes import Route
from chaos.survey import Holder, ProxyFound
from chaos.telemetry import RuleAlert, RuleInfo
from tests.values import KILL, ROUTE, RULE, SURVEY, containers, experiment, planned, probes, survey, system

REPLICAS = containers("replica-1", "replica-2", "replica-3", "replica-4")
SEVERAL = ("    duration: 60s", "    duration: 60s\n    containers: 2")
TWO_ALLOWED = ("max_duration: 2m", "max_duration: 2m, containers: 2")
SEEDS = st.text(max_size=16)


def test_an_experiment_without_a_mistake_is_refused_nothing():
    drawn = planned()
    assert drawn.refusals == ()
    assert drawn.notes == ()


@settings(deadline=None)
@given(SEEDS)
def test_the_same_seed_gives_the_same_plan(seed):
    found = survey(containers={"loan-model": REPLICAS})
    assert planned(KILL, seed=seed, found=found) == planned(KILL, seed=seed, found=found)


@settings(deadline=None)
@given(SEEDS)
def test_a_plan_survives_being_written_as_json(seed):
    found = survey(containers={"loan-model": REPLICAS}, rule_values={"ModelAccuracyLow": 0.95})
    guards = (
        "max_duration: 2m",
        "max_duration: 2m, abort: [{probe: errors, max: 5%, for: 5s}, {alert: {severity: page}}, {arms: slow, worse_than: 3x}]",
    )
    for drawn in (planned(seed=seed), planned(KILL, guards, seed=seed, found=found)):
        assert Plan.from_json(drawn.to_json()) == drawn


def test_a_plan_is_strict_json_even_when_a_rule_reads_nothing():
    """`NaN` is no JSON: browsers and jq refuse the whole file."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    drawn = planned(found=survey(rule_values={"ModelAccuracyLow": float("nan")}))
    json.loads(drawn.to_json(), parse_constant=refuse)


def test_an_old_plan_without_notes_can_still_be_read():
    old = json.loads(planned().to_json())
    del old["notes"]
    assert Plan.from_json(json.dumps(old)) == planned()


# --- faults of the run's own load -------------------------------------------------------------------------------------

DRIFT = ("wrong_predictions\n    target", "concept_drift\n    target")
NO_PROXY = ("    proxies: ['http://127.0.0.1:8474']\n", "")


def test_a_fault_of_the_load_is_an_effect_of_the_load_beside_the_hold_of_its_targets_proxies():
    drawn = planned(DRIFT)
    assert drawn.refusals == ()
    assert [(effect.id, effect.kind, effect.target) for effect in drawn.effects] == [
        ("hold@loan-model", "hold", "loan-model"),
        ("fault-0@load", "load", "loan-model"),
    ]
    assert [effect.lease() for effect in drawn.effects] == ["the proxies of loan-model", "the load"]
    assert Plan.from_json(drawn.to_json()) == drawn


def test_a_fault_of_the_load_needs_no_proxy_and_divides_its_subjects_all_the_same():
    drawn = planned(DRIFT, of=system(NO_PROXY), found=survey(proxies={}))
    assert drawn.refusals == ()
    assert [effect.kind for effect in drawn.effects] == ["load"]
    assert drawn.divides()


def test_a_fault_of_the_load_for_nobody_is_refused():
    assert "write at least `traffic: 1%`" in planned(DRIFT, ("traffic: 10%", "traffic: 0%")).refusals[0]


# --- subjects in bodies -----------------------------------------------------------------------------------------------

IN_BODIES = ("max_duration: 2m", "max_duration: 2m, by: 'json:$.applicant'")


def test_a_subject_in_the_body_is_planned_as_any_other():
    drawn = planned(IN_BODIES)
    assert drawn.refusals == ()
    assert drawn.subject_by == "json:$.applicant"


def test_a_subject_in_the_body_of_a_request_that_is_no_json_is_refused():
    grpc = system(("    process:", "    protocol: oip_grpc\n    process:"))
    assert planned(IN_BODIES, of=grpc).refusals == (
        "requests to loan-model are gRPC and no JSON, so they say no subject; write `by: header:NAME` under blast_radius",
    )


# --- outcomes instead of shares ---------------------------------------------------------------------------------------

AIMED = ("    target: loan-model\n    duration: 60s", "    target: loan-model\n    to_accuracy: 70%\n    duration: 60s")
TWO_CLASSES = ("    process:", "    output: {classes: [0, 1]}\n    process:")


def test_an_outcome_is_planned_as_the_share_that_gives_it_and_says_both():
    drawn = planned(AIMED, of=system(TWO_CLASSES), found=survey(outcomes={"accuracy": 0.91}))
    assert drawn.refusals == ()
    effect = drawn.effect("fault-0@loan-model")
    assert json.loads(effect.fault_json)["to_accuracy"] is None
    assert float(json.loads(effect.fault_json)["share"].rstrip("%")) == pytest.approx(100 * 0.21 / 0.82, abs=0.01)
    assert effect.explain == (
        "25.61% of the treatment arm's predictions of loan-model get the next class, so that accuracy falls from 91% to 70%"
    )
    assert (effect.aim.outcome, effect.aim.to) == ("accuracy", 0.7)
    assert Plan.from_json(drawn.to_json()) == drawn


def test_the_foresight_of_an_outcome_is_that_of_the_share_that_was_found():
    found = survey(outcomes={"accuracy": 0.95}, rule_values={"ModelAccuracyLow": 0.95})
    foresight = planned(AIMED, of=system(TWO_CLASSES), found=found).alerts[0].foresight
    assert foresight.reachable == pytest.approx(0.9 * 0.95 + 0.1 * 0.7, abs=1e-4)


@pytest.mark.parametrize("read", [{}, {"accuracy": None}, {"accuracy": 7.0}])
def test_an_outcome_that_nobody_can_read_now_is_refused(read):
    assert planned(AIMED, of=system(TWO_CLASSES), found=survey(outcomes=read)).refusals == (
        (
            "wrong_predictions: the probe accuracy has had no reading within its bounds, with enough outcomes behind it, in the last hour, so no share "
            "can be found; let traffic with feedback pass first, or write `share`"
        ),
    )


def test_an_outcome_that_no_share_gives_is_refused():
    drawn = planned(AIMED, of=system(TWO_CLASSES), found=survey(outcomes={"accuracy": 0.65}))
    assert drawn.refusals == (
        "wrong_predictions: accuracy reads 65% now, and a fault makes it no better; write less than that",
    )


@pytest.mark.parametrize(("start", "refused"), [("30s", True), ("60s", False)])
def test_an_outcome_beside_another_fault_on_the_same_answers_is_refused(start: str, refused: bool):
    beside = (
        AIMED[0],
        f"{AIMED[1]}\n  - {{fault: class_collapse, target: loan-model, to: 1, start: {start}, duration: 60s}}",
    )
    drawn = planned(beside, of=system(TWO_CLASSES), found=survey(outcomes={"accuracy": 0.91}))
    assert ("class_collapse changes answers of loan-model at the same time" in "".join(drawn.refusals)) is refused


def test_an_outcome_is_what_its_probe_usually_read_in_the_steady_state_of_the_last_hour():
    asked = outcomes(experiment(AIMED), system(), probes())
    right, known = (f'sum(increase({name}{{job="loan"}}[30s]))' for name in ("right", "feedback"))
    assert asked == {
        "accuracy": f"quantile_over_time(0.5, ((({right} / {known}) >= 0.88) and on() (({known}) >= 60))[1h:])",
    }
    assert outcomes(experiment(), system(), probes()) == asked, (
        "the load counts mistakes by arm, so how many are usual is asked"
    )
    without_load = ("load: {rate: 40/s, data: lab:applications, feedback: {after: 2s, share: 50%}}\n", "")
    real_users = ("traffic: 10%", "subjects: users, traffic: 10%")
    assert outcomes(experiment(without_load, real_users), system(), probes()) == {}


def test_what_is_usual_is_read_where_the_bound_was_met():
    watched = ("  - probe: latency\n    max: 2x baseline", "  - probe: errors\n    max: 2%")
    failed, all_ = (f'sum(rate({name}{{job="loan"}}[30s]))' for name in ("failed", "asked"))
    expected = f"quantile_over_time(0.5, (((({failed} / {all_}) >= 0) <= 0.02))[1h:])"
    assert outcomes(experiment(watched), system(), probes())["errors"] == expected


# --- features ---------------------------------------------------------------------------------------------------------

FEATURES = ("    process:", "    input: {features: [age, income]}\n    process:")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("unit_change, feature: incom, factor: 1000", "unit_change acts on the feature 'incom', and loan-model has none of this name under `input:`; did you mean `income`?"),
        ("missing_feature, feature: 2", "missing_feature acts on the feature 2, and loan-model has 2 of them; write a name, or a place from 0 to 1"),
        ("swapped_features, features: [age, 7]", "swapped_features acts on the feature 7, and loan-model has 2 of them; write a name, or a place from 0 to 1"),
    ],
)  # fmt: skip
def test_a_fault_on_a_feature_that_the_target_does_not_have_is_refused(fault: str, said: str) -> None:
    written = ("  - fault: wrong_predictions\n    target: loan-model\n    duration: 60s", f"  - {{fault: {fault}, target: loan-model, duration: 60s}}")  # fmt: skip
    assert said in planned(written, of=system(FEATURES)).refusals
    assert planned(written).refusals == (), "nobody knows what its features are called"


@pytest.mark.parametrize(
    "fault", ["unit_change, feature: income, factor: 2", "schema_change, change: extra, name: new"]
)
def test_a_fault_on_a_feature_that_the_target_has_is_planned(fault: str) -> None:
    written = ("  - fault: wrong_predictions\n    target: loan-model\n    duration: 60s", f"  - {{fault: {fault}, target: loan-model, duration: 60s}}")  # fmt: skip
    assert planned(written, of=system(FEATURES)).refusals == ()


# --- whom it hurts ----------------------------------------------------------------------------------------------------


def hurt(seed: str, order: tuple = REPLICAS) -> list[str]:
    """The names of the containers that the plan picks."""
    drawn = planned(KILL, SEVERAL, TWO_ALLOWED, seed=seed, found=survey(containers={"loan-model": order}))
    assert drawn.refusals == ()
    return [effect.container.name for effect in drawn.faults() if effect.container is not None]


@settings(deadline=None)
@given(SEEDS, st.permutations(REPLICAS))
def test_containers_are_picked_by_the_seed_and_not_by_the_order_in_which_they_were_found(seed, order):
    assert hurt(seed, tuple(order)) == hurt(seed)


def test_every_container_can_be_picked_and_none_twice():
    picks = [hurt(f"seed-{number}") for number in range(60)]
    assert {name for pick in picks for name in pick} == {one.name for one in REPLICAS}
    assert all(len(set(pick)) == 2 for pick in picks)


DELAYED = ("fault: wrong_predictions\n", "fault: network_delay\n    by: 50ms\n")
NO_NETEM = "the kernel has no netem"


def test_a_container_to_which_the_fault_cannot_be_done_is_not_picked_while_there_are_others():
    cannot = {0: {one.id: NO_NETEM for one in REPLICAS[1:]}, 1: {REPLICAS[0].id: "of another fault"}}
    for number in range(10):
        found = survey(containers={"loan-model": REPLICAS}, cannot=cannot)
        drawn = planned(DELAYED, seed=f"seed-{number}", found=found)
        assert [effect.container.name for effect in drawn.faults() if effect.container] == ["replica-1"]
        assert drawn.refusals == ()


def test_a_fault_that_cannot_be_done_to_enough_containers_is_refused_with_each_reason_once():
    cannot = {0: {"id-replica-1": NO_NETEM, "id-replica-2": NO_NETEM, "id-replica-3": "it has no network"}}
    found = survey(containers={"loan-model": REPLICAS[:3]}, cannot=cannot)
    assert planned(DELAYED, found=found).refusals == (
        f"network_delay cannot be done to replica-1, replica-2: {NO_NETEM}",
        "network_delay cannot be done to replica-3: it has no network",
    )


def test_what_an_undo_goes_back_to_is_part_of_the_plan():
    before = {"limits": {"Memory": 0}, "groups": {"/sys/fs/cgroup/x": "max"}}
    found = survey(containers={"loan-model": (replace(REPLICAS[0], before=before),)})
    drawn = planned(DELAYED, found=found)
    assert [effect.container.before for effect in drawn.faults() if effect.container] == [before]
    assert Plan.from_json(drawn.to_json()) == drawn


FOLLOWING = (
    "    duration: 60s",
    "    duration: 30s\n  - fault: pause\n    target: loan-model\n    start: 40s\n    duration: 20s",
)
OVERLAPPING = (
    "    duration: 60s",
    "    duration: 30s\n  - fault: pause\n    target: loan-model\n    start: 20s\n    duration: 20s",
)


@settings(deadline=None)
@given(seed=SEEDS)
def test_faults_that_follow_each_other_hurt_the_same_container_and_count_as_one(seed):
    drawn = planned(KILL, FOLLOWING, seed=seed, found=survey(containers={"loan-model": REPLICAS}))
    assert drawn.refusals == ()
    assert len({effect.container.id for effect in drawn.faults() if effect.container}) == 1


@settings(deadline=None)
@given(seed=SEEDS)
def test_faults_that_overlap_hurt_different_containers_and_count_as_two(seed):
    found = survey(containers={"loan-model": REPLICAS})
    drawn = planned(KILL, OVERLAPPING, TWO_ALLOWED, seed=seed, found=found)
    assert drawn.refusals == ()
    assert len({effect.container.id for effect in drawn.faults() if effect.container}) == 2
    assert "2 containers would be hurt" in planned(KILL, OVERLAPPING, seed=seed, found=found).refusals[0]


def test_overlapping_faults_with_too_few_containers_are_refused():
    found = survey(containers={"loan-model": containers("replica-1")})
    [refusal] = planned(KILL, OVERLAPPING, TWO_ALLOWED, found=found).refusals
    assert refusal.startswith("pause: 1 containers of `loan-model` are wanted while another fault hurts 1 of its 1")


@settings(deadline=None)
@given(SEEDS, st.integers(1, 4), st.integers(1, 4))
def test_never_more_containers_than_the_blast_radius_allows_without_a_refusal(seed, wanted, allowed):
    drawn = planned(
        KILL,
        ("    duration: 60s", f"    duration: 60s\n    containers: {wanted}"),
        ("max_duration: 2m", f"max_duration: 2m, containers: {allowed}"),
        seed=seed,
        found=survey(containers={"loan-model": REPLICAS}),
    )
    picked = {effect.container.id for effect in drawn.faults() if effect.container is not None}
    assert len(picked) == wanted
    assert (len(picked) > allowed) is bool(drawn.refusals)


@settings(deadline=None)
@given(SEEDS, st.lists(st.booleans(), min_size=4, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_only_running_containers_with_the_opt_in_are_ever_picked(seed, opted, running):
    found = tuple(
        replace(one, opted_in=allowed, status="running" if up else "exited")
        for one, allowed, up in zip(REPLICAS, opted, running, strict=True)
    )
    drawn = planned(KILL, seed=seed, found=survey(containers={"loan-model": found}))
    for effect in drawn.faults():
        assert effect.container is not None
        assert effect.container.opted_in
        assert effect.container.status == "running"
    eligible = any(allowed and up for allowed, up in zip(opted, running, strict=True))
    assert bool(drawn.faults()) is eligible
    assert bool(drawn.refusals) is not eligible


def test_the_proxies_of_a_target_are_held_once_and_before_anything_is_hurt():
    two = ("    duration: 60s", "    duration: 60s\n  - {fault: delay, target: loan-model, by: 50ms, duration: 30s}")
    kinds = [(effect.id, effect.kind) for effect in planned(two).effects]
    assert kinds == [("hold@loan-model", "hold"), ("fault-0@loan-model", "proxy"), ("fault-1@loan-model", "proxy")]


def test_what_the_experiment_leaves_out_is_the_smallest_radius():
    drawn = planned(("traffic: 10%, ", ""))
    assert (drawn.traffic, drawn.subjects) == (0.01, "synthetic")


# --- refusals: one reason, one sentence -------------------------------------------------------------------------------

LAST_RULE = replace(RULE, state="firing", alerts=(RuleAlert({}, "firing", 1.0),))
USERS = ("max_duration: 2m", "max_duration: 2m, subjects: users")
HIDDEN = containers("replica-1", opted_in=False)


@pytest.mark.parametrize(
    ("edits", "found", "sentence"),
    [
        (
            [("traffic: 10%", "traffic: 0%")],
            SURVEY,
            "the blast radius is `traffic: 0%`, so the fault would hit nothing; write at least `traffic: 1%`",
        ),
        (
            [("rate: 40/s", "rate: 1/h")],
            SURVEY,
            "at 0.000277778/s and 10% traffic the fault would hit 0.00 requests in 1m; write more traffic, rate or duration",
        ),
        ([KILL], survey(), "kill: the target `loan-model` has no running container; is the system up?"),
        (
            [KILL],
            survey(containers={"loan-model": containers("replica-1", status="exited")}),
            "kill: the target `loan-model` has no running container; is the system up?",
        ),
        (
            [KILL],
            survey(containers={"loan-model": HIDDEN}),
            (
                "kill: 1 containers of `loan-model` are wanted and 0 of 1 running ones carry the opt-in label "
                "chaos.enabled=true; label those that may be hurt"
            ),
        ),
        (
            [KILL, SEVERAL],
            survey(containers={"loan-model": REPLICAS}),
            "2 containers would be hurt and the blast radius allows 1; write `containers: 2` under blast_radius, or hurt fewer",
        ),
        (
            [("alert: ModelAccuracyLow", "alert: ModelAcuracyLow")],
            SURVEY,
            "the alert ModelAcuracyLow is not loaded in Prometheus; did you mean `ModelAccuracyLow`?",
        ),
        (
            [],
            survey(rules=()),
            "the alert ModelAccuracyLow is not loaded in Prometheus; there are none",
        ),
        (
            [("severity: page", "severity: ticket")],
            SURVEY,
            (
                "the alert ModelAccuracyLow is loaded in Prometheus, but not with severity=ticket; its rule has service=loan, "
                "severity=page"
            ),
        ),
        (
            [],
            survey(route=Route("nobody-reads-this")),
            "ModelAccuracyLow is routed to nobody-reads-this and not to `oncall`; mend Alertmanager's route or `delivered_to`",
        ),
        (
            [],
            survey(sinks={"oncall": "nothing listens at http://127.0.0.1:9099"}),
            "the sink of the receiver `oncall` cannot be used: nothing listens at http://127.0.0.1:9099",
        ),
        (
            [("duration: 60s", "duration: 9s")],
            SURVEY,
            (
                "ModelAccuracyLow cannot fire in time: it needs at least 10s (scrape 1s + evaluation 1s + for 5s + the rest of "
                "the way) and the fault lasts 9s; write a longer `duration:`"
            ),
        ),
        (
            [("within: 60s", "within: 9s")],
            SURVEY,
            (
                "ModelAccuracyLow is asked for within 9s and cannot tell before 10s (scrape 1s + evaluation 1s + for 5s + the rest "
                "of the way); write a longer `within:`, or shorten the rule's `for:`"
            ),
        ),
        (
            [],
            survey(rules=(LAST_RULE,)),
            "ModelAccuracyLow is already firing; its firing would prove nothing. Wait until it is quiet",
        ),
        (
            [],
            survey(rules=(replace(RULE, health="err", last_error="vector cannot contain metrics"),)),
            "the rule of ModelAccuracyLow is broken: vector cannot contain metrics; mend it first",
        ),
        (
            [],
            survey(proxies={"loan-model": (ProxyFound("http://127.0.0.1:8474", error="connection refused"),)}),
            "the fault proxy of `loan-model` at http://127.0.0.1:8474 cannot be used: connection refused",
        ),
        (
            [],
            survey(
                proxies={"loan-model": (ProxyFound("http://127.0.0.1:8474", holders=(Holder("run-7", alone=True),)),)}
            ),
            "the fault proxy of `loan-model` at http://127.0.0.1:8474 is held by the run run-7; wait for it to end",
        ),
        (
            [],
            survey(clock_offset_s=-3.25),
            "Prometheus' clock is -3.2s off this machine's, so that times cannot be compared; synchronise them",
        ),
        (
            [],
            survey(rules=(), errors=("Prometheus at http://127.0.0.1:9090 does not answer",)),
            "Prometheus at http://127.0.0.1:9090 does not answer",
        ),
    ],
)
def test_each_reason_to_refuse_is_told_in_one_sentence(edits, found, sentence):
    assert planned(*edits, found=found).refusals == (sentence,)


NORTH = ("blast_radius: {traffic: 10%", "blast_radius: {where: 'json:$.region == \"north\"', traffic: 10%")


def beside(*holders: Holder, where: tuple[str, str] | None = NORTH) -> tuple[str, ...]:
    """Why a run of this slice is refused where these hold the proxy."""
    found = survey(proxies={"loan-model": (ProxyFound("http://127.0.0.1:8474", holders=holders),)})
    return planned(*([where] if where else []), found=found).refusals


def test_a_proxy_that_others_hold_for_slices_of_their_own_is_no_reason_to_refuse():
    assert beside(Holder("run-7", 'json:$.region == "south"'), Holder("run-8", 'json:$.region == "east"')) == ()
    assert beside(Holder("run-9", 'json:$.region != "north"')) == ()


@pytest.mark.parametrize(
    ("holders", "where", "told"),
    [
        (
            (Holder("run-7"),),
            NORTH,
            "the run run-7, and that one has no slice, so every request may be one of its own; wait for it to end",
        ),
        (
            (Holder("run-7", 'json:$.region == "south"'), Holder("run-8", "json:$.age == 41")),
            NORTH,
            (
                "the run run-8, and one request can be in that one's slice `json:$.age == 41` and in this one's, "
                '`json:$.region == "north"`, for they ask different things; wait for it to end'
            ),
        ),
        (
            (Holder("run-7", 'json:$.region == "south"'),),
            None,
            (
                "the run run-7, and this run has no slice, so it would reach requests of that one's slice "
                '`json:$.region == "south"`; wait for it to end, or write `where: json:$.region == VALUE` with another value'
            ),
        ),
        (
            (Holder("run-7", 'json:$.region == "south"'), Holder("run-8", "session:region == 1")),
            NORTH,
            "the run run-8, for a slice that cannot be read here; wait for it to end",
        ),
        ((Holder("run-7", alone=True),), NORTH, "the run run-7; wait for it to end"),
    ],
)
def test_a_proxy_that_others_hold_for_what_this_run_could_meet_is_told_with_who_and_why(holders, where, told):
    assert beside(*holders, where=where) == (
        f"the fault proxy of `loan-model` at http://127.0.0.1:8474 is held by {told}",
    )


def test_all_reasons_come_at_once():
    found = survey(route=Route("nobody"), clock_offset_s=9.0, errors=("the sink does not answer",))
    assert len(planned(("traffic: 10%", "traffic: 0%"), ("duration: 60s", "duration: 5s"), found=found).refusals) == 5


def test_real_people_are_hurt_by_wrong_answers_only_where_somebody_allowed_it():
    staging = system(("environment: lab", "environment: staging"))
    assert planned(USERS, of=staging).refusals == (
        (
            "wrong_predictions would change answers that real people receive and nobody has allowed it; write "
            "`subjects: synthetic`, or `real_users: {allowed_by: NAME, reason: TEXT}` in the system file"
        ),
    )
    allowed = system(("environment: lab", "environment: staging\nreal_users: {allowed_by: Ada, reason: consent}"))
    assert planned(USERS, of=allowed).refusals == ()
    assert planned(USERS, of=system()).refusals == ()
    assert planned(of=staging).refusals == ()


def test_a_fault_that_lasts_exactly_the_lower_bound_is_not_refused():
    drawn = planned(("duration: 60s", "duration: 10s"))
    assert drawn.alerts[0].lower_bound_s == 10.0
    assert drawn.refusals == ()


def test_the_rule_with_the_expected_labels_is_the_one_that_counts():
    """The same alert at two severities: that the ticket fires already says nothing about the page."""
    ticket = replace(LAST_RULE, labels={"severity": "ticket"})
    assert planned(found=survey(rules=(RULE, ticket))).refusals == ()
    assert planned(found=survey(rules=(ticket, RULE))).refusals == ()


# --- lower bound of detection -----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(*(st.integers(0, 100) for _ in range(4)))
def test_detection_takes_at_least_scrape_evaluation_for_and_group_wait(scrape_s, evaluation_s, for_s, wait_s):
    rule = replace(RULE, expr="up == 0", for_s=float(for_s))
    found = survey(
        scrape_s=scrape_s, evaluation_s=evaluation_s, rules=(rule,), route=replace(ROUTE, group_wait_s=float(wait_s))
    )
    assert planned(found=found).alerts[0].lower_bound_s == scrape_s + evaluation_s + for_s + wait_s


def test_without_delivery_nobody_waits_for_the_group():
    assert planned(("      delivered_to: oncall\n", "")).alerts[0].lower_bound_s == 9.0


def test_rules_over_labels_wait_until_labels_come():
    rule = RuleInfo("ModelAccuracyLow", "up == 0", 5.0, {"severity": "page"})
    assert planned().alerts[0].lower_bound_s == planned(found=survey(rules=(rule,))).alerts[0].lower_bound_s + 2.0


def test_the_plan_names_everybody_who_will_be_told():
    page = Route("oncall", continue_=True)
    everyone = Route("root", children=(page, Route("tickets"), Route("never")))
    assert planned(found=survey(route=everyone)).alerts[0].routed_to == ("oncall", "tickets")


# --- warnings and notes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [None, float("nan"), float("inf")])
def test_a_rule_without_a_value_is_noted_and_not_predicted(now):
    drawn = planned(found=survey(rule_values={"ModelAccuracyLow": now}))
    assert drawn.notes == ("ModelAccuracyLow has no value now, so what dilution lets it see is not predicted",)
    assert drawn.warnings == ()
    assert drawn.refusals == ()
    assert drawn.alerts[0].foresight is None


def test_a_rule_that_is_no_comparison_is_not_noted():
    absent = replace(RULE, expr="absent(right)")
    assert planned(found=survey(rules=(absent,), rule_values={})).notes == ()


def test_an_expected_miss_warns_and_does_not_refuse():
    drawn = planned(("traffic: 10%", "traffic: 1%"))
    assert drawn.refusals == ()
    assert drawn.warnings == (
        (
            "ModelAccuracyLow is expected to be missed: at 1% traffic it reads 0.941 (now 0.95) and asks for < 0.88; write "
            "traffic: 8%, or use a rule per slice"
        ),
    )


def test_an_experiment_that_expects_no_alert_says_what_is_then_judged():
    alerts = "  alerts:\n    - alert: ModelAccuracyLow\n      labels: {severity: page}\n      within: 60s\n      delivered_to: oncall\n"
    assert planned((alerts, "")).warnings == ("no alert is expected, so only the resilience half is judged",)


# --- probes and guards ------------------------------------------------------------------------------------------------


def test_planned_probes_keep_their_bounds_and_the_window_open():
    accuracy, latency = planned().steady()
    assert accuracy.query.count("[$window]") == 2
    assert 'job="loan"' in accuracy.query
    assert accuracy.windowed
    assert accuracy.bound("minimum") == Bound("share", 0.88)
    assert accuracy.bound("maximum") is None
    assert latency.bound("maximum") == Bound("baseline", 2.0)


def test_an_inline_probe_keeps_a_plain_number_as_its_bound():
    inline = (
        "  - probe: latency\n    max: 2x baseline",
        "  - {name: approvals, promql: sum(up), unit: 1/s, min: 0.25}",
    )
    assert planned(inline).steady()[1].bound("minimum") == Bound("number", 0.25)


def test_guards_are_told_by_their_bounds_and_never_count_as_steady_state():
    guards = (
        "max_duration: 2m",
        "max_duration: 2m, abort: [{probe: errors, max: 5%, for: 5s}, {alert: {severity: page}}]",
    )
    drawn = planned(guards)
    assert [guard.title for guard in drawn.guards] == ["errors (max 5%)", "any unexpected alert with severity=page"]
    assert drawn.guards[0].for_s == 5.0
    assert {probe.title for probe in drawn.steady()} == {"accuracy", "latency"}


ON_ARMS = ("max_duration: 2m", "max_duration: 2m, abort: [{arms: mistakes, worse_than: 2x}]")


def test_a_guard_on_arms_is_told_by_its_margin():
    (guard,) = planned(ON_ARMS).guards
    assert guard.title == "mistakes of treatment (worse than 2x control)"
    assert (guard.compared, guard.worse_than) == ("wrong", 2.0)
    assert planned(ON_ARMS).refusals == ()


def test_a_guard_on_arms_that_nobody_counts_is_refused():
    drawn = planned(ON_ARMS, KILL, found=survey(containers={"loan-model": REPLICAS}))
    assert any("the guard on mistakes of treatment" in why and "or leave it out" in why for why in drawn.refusals)


@pytest.mark.parametrize(("protocol", "refused"), [("oip", False), ("openai", True), ("auto", False)])
def test_a_fault_on_predictions_cannot_exist_on_a_language_model(protocol, refused):
    target = system(("    proxies:", f"    protocol: {protocol}\n    proxies:"))
    told = [one for one in planned(of=target).refusals if "cannot exist on loan-model" in one]
    assert bool(told) is refused


@pytest.mark.parametrize(
    ("by", "protocol", "refused"),
    [("header:x", "oip_grpc", False), ("feature:age", "oip_grpc", True), ("json:$.a", "oip_grpc", True), ("feature:age", "oip", False)],
)  # fmt: skip
def test_a_group_is_not_looked_for_in_bodies_of_grpc(by, protocol, refused):
    target = system(("    proxies:", f"    protocol: {protocol}\n    proxies:"))
    group = ("wrong_predictions\n", f"biased_outputs\n    by: '{by}'\n    group: b\n    decision: 0\n")
    told = [one for one in planned(group, of=target).refusals if "write `by: header:NAME`" in one]
    assert bool(told) is refused


def test_the_cap_is_in_the_plan_and_divided_between_the_targets_that_are_hurt():
    drawn = planned(("max_duration: 2m", "max_duration: 2m, most: 500 requests"))
    assert drawn.most == "500 requests"
    assert str(drawn.most_of_a_target()) == "500 requests"
    both = replace(drawn, effects=(*drawn.effects, *(replace(one, target="other") for one in drawn.faults())))
    assert str(both.most_of_a_target()) == "250 requests"


def test_a_cap_that_leaves_a_proxy_without_any_is_refused():
    proxies = {"loan-model": tuple(ProxyFound(f"http://127.0.0.1:{port}") for port in (8474, 8475, 8476))}
    capped = ("max_duration: 2m", "max_duration: 2m, most: 2 requests")
    (told,) = planned(capped, found=survey(proxies=proxies)).refusals
    assert told == "`most: 2 requests` is less than one for each fault proxy of each target (3 at most); write more"
