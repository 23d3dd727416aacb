"""Faults of monitoring itself, from the file to the verdict: everything that goes to their target is hurt, and there are no arms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chaos.errors import InvalidFile
from chaos.events import State
from chaos.experiment import link, parse
from chaos.exposure import ArmSample, Sample
from chaos.judging import safety, validity
from chaos.judging.trace import Entered, Trace
from chaos.observation import ArmTraffic, ProxyRead
from chaos.plans import REMOVAL_PROOF, REMOVAL_PROOF_WHOLE, Plan
from chaos.report.terminal import _whom
from chaos.survey import Holder, ProxyFound
from tests.values import EXPERIMENT, edited, experiment, planned, probes, survey, system

TARGET = ("targets:\n", "targets:\n  metrics: {proxies: ['http://127.0.0.1:8475'], placement: in monitoring}\n")
LOSS = ("  - fault: wrong_predictions\n    target: loan-model", "  - fault: scrape_loss\n    target: metrics")
BOTH = ("faults:\n", "faults:\n  - {fault: scrape_loss, target: metrics, duration: 60s}\n")
FOUND = survey(proxies={name: (ProxyFound("http://127.0.0.1:8475", "0.1.0"),) for name in ("metrics", "loan-model")})


def drawn(*edits: tuple[str, str], found: object = FOUND) -> Plan:
    return planned(*edits, of=system(TARGET), found=found)  # type: ignore[arg-type]


def problems(*edits: tuple[str, str]) -> list[str]:
    made, document = parse(edited(EXPERIMENT, *edits), "experiment.yaml", {})
    return [problem.message for problem in link(made, document, system(TARGET), probes())]


def test_it_divides_nobody_into_arms() -> None:
    made = drawn(LOSS)
    assert made.refusals == ()
    assert not made.divides()
    assert [(effect.kind, effect.whole) for effect in made.effects] == [("proxy", True)]
    assert made.whole_targets() == {"metrics"}


def test_beside_a_fault_of_the_model_only_the_model_has_arms() -> None:
    made = drawn(BOTH)
    assert made.refusals == ()
    assert [(effect.target, effect.kind, effect.whole) for effect in made.effects] == [
        ("loan-model", "hold", False), ("metrics", "proxy", True), ("loan-model", "proxy", False),
    ]  # fmt: skip
    assert made.removal_proof("metrics") == REMOVAL_PROOF_WHOLE < made.removal_proof("loan-model") == REMOVAL_PROOF


def test_a_plan_with_it_can_be_written_and_read_and_an_older_plan_too() -> None:
    made = drawn(BOTH)
    assert Plan.from_json(made.to_json()) == made
    old = drawn()
    assert Plan.from_json(old.to_json().replace(',"whole":false', "")) == old


def test_it_needs_no_traffic_and_no_load() -> None:
    assert drawn(LOSS, ("traffic: 10%", "traffic: 0%")).refusals == ()
    alone = experiment(LOSS, ("load: {rate: 40/s, data: lab:applications, feedback: {after: 2s, share: 50%}}\n", ""))
    assert alone.load is None


def test_the_plan_says_that_no_user_is_hurt() -> None:
    assert _whom(drawn(LOSS)) == ["whatever asks metrics: monitoring, and no user"]
    assert _whom(drawn(BOTH))[-1] == "whatever asks metrics: monitoring, and no user"
    assert _whom(drawn(BOTH))[0].startswith("synthetic subjects")


def test_where_users_ask_it_is_refused() -> None:
    (told,) = problems(("wrong_predictions", "scrape_loss"))
    assert told == (
        "`scrape_loss` hurts everything that goes to its target, so only monitoring may ask there; write a target with "
        "`placement: in monitoring`"
    )


def test_where_only_monitoring_asks_other_faults_are_refused() -> None:
    assert problems(("target: loan-model", "target: metrics")) == [
        "nobody but monitoring asks `metrics`, and `wrong_predictions` needs subjects; write another target"
    ]
    assert problems(LOSS) == []


def test_a_share_of_it_is_refused() -> None:
    with pytest.raises(InvalidFile, match="hurts everything that monitoring asks metrics for; leave `share` out"):
        experiment(LOSS, ("duration: 60s", "duration: 60s\n    share: 50%"))


@pytest.mark.parametrize("fault", ["scrape_loss", "alert_delivery_loss"])
def test_it_cannot_be_shadowed(fault: str) -> None:
    shadow = ("traffic: 10%", "mode: shadow, traffic: 10%")
    with pytest.raises(InvalidFile, match=f"`{fault}` cannot be shadowed: it hurts requests"):
        experiment((LOSS[0], LOSS[1].replace("scrape_loss", fault)), shadow)


def test_a_proxy_that_another_run_holds_for_a_slice_is_not_shared() -> None:
    where = ("traffic: 10%", "traffic: 10%, where: 'header:x-region == \"north\"'")
    holder = Holder("run-7", 'header:x-region == "south"')
    held = survey(proxies={"metrics": (ProxyFound("http://127.0.0.1:8475", holders=(holder,)),)})
    (refusal,) = drawn(LOSS, where, found=held).refusals
    assert "is held by" in refusal


def looked(made: Plan, target: str, *, untouched: int = 0) -> Trace:
    """A run that saw 300 requests at the target's proxies and counted none of them as its own load's."""
    trace = Trace(made, None, 0.0, 100.0)  # type: ignore[arg-type]
    armed = ProxyRead(target, 50.0, "armed", treatment=ArmTraffic(300, 300))
    trace.proxies[target] = [armed, replace(armed, state="disarmed", untouched=untouched)]
    arms = {"treatment": ArmSample(first=4), "control": ArmSample(first=36)}
    trace.samples = [Sample(second, float(second), 40, 40, 0, 0, 0.0, arms) for second in range(10)]
    trace.states = [Entered(State.recovery, 60.0, "")]
    trace.issued = {effect.id for effect in made.faults()}
    return trace


def test_its_requests_are_not_compared_with_the_loads_and_those_of_a_model_are() -> None:
    def compared(target: str) -> bool:
        found = validity.findings(looked(drawn(BOTH), target))
        return any(f"at {target} count the same arms" in finding.question for finding in found)

    assert not compared("metrics")
    assert compared("loan-model")


@pytest.mark.parametrize(
    ("untouched", "verdict"), [(REMOVAL_PROOF_WHOLE - 1, "inconclusive"), (REMOVAL_PROOF_WHOLE, "confirmed")]
)
def test_its_removal_is_proven_by_a_few_requests(untouched: int, verdict: str) -> None:
    found = safety.findings(looked(drawn(LOSS), "metrics", untouched=untouched))
    (removal,) = (finding for finding in found if finding.question == "Is the removal at metrics proven?")
    assert removal.verdict == verdict


def test_the_system_file_says_where_only_monitoring_asks() -> None:
    assert system(TARGET).targets["metrics"].placement == "in monitoring"
    assert system().targets["loan-model"].placement == "behind gateway"
