"""Counters read as gauges, gauges read as counters, and numbers that are not what they are called. Pure."""

from __future__ import annotations

import re
from typing import Any

import promql_parser as promql

from chaos.promql_tree import bare, call, exact, matchers, names, number, operator, selectors, walk
from chaos.rulecheck.asking import Asking
from chaos.rulecheck.bounds import RATES, grows
from chaos.rulecheck.facts import RuleProblem
from chaos.rulecheck.thresholds import SPEAKS_OF_SHARES, Gate, gates, told_of
from chaos.telemetry import RuleInfo

COUNTS = ("_total", "_count", "_sum", "_bucket")
"""Endings of names of what is counted, whatever a target declares it as."""
ERRORS = re.compile(r"(^|_)(errors?|err|errs|failures?|failed|fails|exceptions?|rejected|timeouts?|5xx)(_|$)")
ERROR_CODES = re.compile(r"^\^?5(\.\.|xx|\[0-9\]|\\d|\d\d|\.\*|\.\+)", re.IGNORECASE)
CALLED_A_RATE = re.compile(r"\b(error|failure)s? rate\b|\brate of (error|failure)s?\b", re.IGNORECASE)
P_VALUES = re.compile(r"(^|_)p_?val(ue)?s?(_|$)")


def misused_kinds(root: Any, asking: Asking) -> list[RuleProblem]:
    """Rates of gauges, and counters compared as they are."""
    types = asking.facts.types
    found: list[RuleProblem] = []
    for node in walk(root):
        inner = bare(node.args[0]) if call(node) in RATES else None
        if not isinstance(inner, promql.MatrixSelector):
            continue
        name = inner.vector_selector.name or ""
        if types.get(name) == "gauge" and not name.endswith(COUNTS):
            found.append(
                RuleProblem(
                    "rate_of_gauge",
                    "doubtful",
                    f"`{name}` is declared as a gauge, and {call(node)} takes each fall for a restart; write "
                    f"{'`deriv`' if call(node) != 'increase' else '`delta`'} instead",
                    "declared as gauge",
                )
            )
    decide = list(gates(root))
    for one in decide:
        counter = _raw(one.left)
        guards = one.threshold == 0 and len(decide) > 1  # only asks whether there has ever been any
        if counter is not None and grows(counter, types) and not guards:
            found.append(
                RuleProblem(
                    "raw_counter",
                    "doubtful",
                    f"`{counter}` only grows until its process is started anew, so `{one}` says how long that runs; "
                    f"compare `increase({counter}[5m])`",
                    f"declared as {types[counter]}",
                )
            )
    return found


def _raw(node: Any) -> str | None:
    """The metric that is compared as it is, through sums and the like; None when anything else is done with it."""
    node = bare(node)
    if isinstance(node, promql.VectorSelector):
        return str(node.name) if node.name else None
    if isinstance(node, promql.AggregateExpr) and str(node.op) in ("sum", "max", "min", "avg", "topk", "bottomk"):
        return _raw(node.expr)
    return None


def misread_numbers(rule: RuleInfo, root: Any) -> list[RuleProblem]:
    """Errors a second taken for a share of errors; a p-value taken for a distance."""
    said = told_of(rule)
    called_a_share = bool(SPEAKS_OF_SHARES.search(said) or CALLED_A_RATE.search(said))
    found: list[RuleProblem] = []
    for one in gates(root):
        if _errors_per_second(one.left) and 0 < one.threshold < 1 and called_a_share:
            found.append(_per_second(one))
        name = next((name for name in names(one.left) if P_VALUES.search(name)), None)
        if name is not None and one.sign in (">", ">=") and _raw(one.left) is not None:
            found.append(
                RuleProblem(
                    "p_value_as_distance",
                    "doubtful",
                    f"`{name}` is a p-value by its name, which is large when nothing has changed, so `{one.sign} {one.threshold:g}` fires "
                    f"without drift; write `< {one.threshold:g}`",
                )
            )
    return found


def _errors_per_second(node: Any) -> bool:
    """A rate of errors that nothing divides."""
    rates = [inner for inner in walk(node) if call(inner) in ("rate", "irate")]
    divided = any(operator(inner) in ("/", "*") and number(inner.rhs) != 1 for inner in walk(node))
    return len(rates) == 1 and not divided and any(_of_errors(one) for one in selectors(node))


def _of_errors(selected: Any) -> bool:
    return bool(ERRORS.search(selected.name or "")) or any(
        sign in ("=", "=~") and bool(ERROR_CODES.match(value) or ERRORS.search(value))
        for _, sign, value in matchers(selected)
    )


def _per_second(one: Gate) -> RuleProblem:
    return RuleProblem(
        "per_second_as_share",
        "doubtful",
        f"`{exact(one.left)}` is errors a second and not a share of requests, and is compared with {one.threshold:g}, which looks like "
        f"{one.threshold * 100:g} %; divide it by the rate of all requests",
    )
