"""What is wrong with the rules of the expected alerts: an experiment proves nothing with an alert that cannot fire. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from chaos.experiment import Experiment
from chaos.planning.alerts import matching_rule
from chaos.rulecheck.checker import check
from chaos.rulecheck.facts import RuleProblem
from chaos.survey import Survey
from chaos.telemetry import RuleInfo

QUIETLY = frozenset(("no_series_yet",))
"""What a system without traffic shows, too: said, and no reason to worry."""
SAID_ELSEWHERE = frozenset(("unhealthy",))


@dataclass
class RulesSaid:
    """Sentences about rules, by what follows from them."""

    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def rules_said(experiment: Experiment, survey: Survey) -> RulesSaid:
    """Everything that is wrong with the rules of the expected alerts, as far as the survey asked."""
    said = RulesSaid()
    for alert in experiment.expect.alerts:
        rule = matching_rule(alert, survey.rules)
        facts = survey.rule_facts.get(survey.rules.index(rule)) if rule is not None else None
        if rule is None or facts is None:
            continue
        for problem in check(rule, facts):
            _place(said, rule, problem)
    return said


def sentence(rule: RuleInfo, problem: RuleProblem) -> str:
    """The problem as people read it: which alert, what about it, and what to do."""
    what = {"cannot fire": "cannot fire", "always firing": "always fires", "doubtful": "may not do what it says"}
    return f"{rule.name} {what[problem.verdict]}: {problem.sentence}"


def _place(said: RulesSaid, rule: RuleInfo, problem: RuleProblem) -> None:
    fires = any(one.state in ("pending", "firing") for one in rule.alerts)
    if problem.kind in SAID_ELSEWHERE or (problem.verdict == "always firing" and fires):
        return  # the plan refuses these in words of its own
    if problem.kind in QUIETLY:
        said.notes.append(sentence(rule, problem))
    elif problem.verdict == "doubtful":
        said.warnings.append(sentence(rule, problem))
    else:
        said.refusals.append(sentence(rule, problem))
