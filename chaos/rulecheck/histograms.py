"""`histogram_quantile` over something that is no set of buckets. Pure."""

from __future__ import annotations

from typing import Any

import promql_parser as promql

from chaos.promql_tree import bare, by, call, children, exact, names, number, walk
from chaos.rulecheck.asking import Asking
from chaos.rulecheck.facts import RuleProblem


def misused_histograms(root: Any, asking: Asking) -> list[RuleProblem]:
    """What is wrong with each `histogram_quantile` of the rule, as far as it stands in the expression and in the metrics' names."""
    found: list[RuleProblem] = []
    for node in walk(root):
        if call(node) == "histogram_quantile":
            found += [*_no_buckets_by_name(node, asking), *_le_dropped(node), *_since_the_start(node)]
    return found


def _no_buckets_by_name(node: Any, asking: Asking) -> list[RuleProblem]:
    """The metric does not exist, and the same name with `_bucket` does; or it is the sum or count of a histogram."""
    for name in names(node.args[1]):
        base = name.removesuffix("_sum").removesuffix("_count")
        renamed = asking.facts.names.get(name) is False and f"{name}_bucket" in asking.facts.near.get(name, ())
        part = base != name and asking.facts.types.get(name) in ("histogram", "summary")
        if renamed or part:
            return [_no_buckets(node, name, f"{base}_bucket")]
    return []


def _no_buckets(node: Any, name: str, instead: str) -> RuleProblem:
    return RuleProblem(
        "no_buckets",
        "cannot fire",
        f"histogram_quantile needs buckets, which `{name}` does not have; "
        f"write `histogram_quantile({exact(node.args[0])}, sum by (le) (rate({instead}[5m])))`",
    )


def _le_dropped(node: Any) -> list[RuleProblem]:
    """An aggregation between the buckets and the quantile does not keep `le`."""
    for inner in walk(node.args[1]):
        if not isinstance(inner, promql.AggregateExpr) or str(inner.op) in ("topk", "bottomk"):
            continue
        labels = list(inner.modifier.labels) if inner.modifier is not None else []
        kept = "le" in labels if inner.modifier is None or by(inner) else "le" not in labels
        classic = all(name.endswith("_bucket") for name in names(inner)) and names(inner)
        if not kept and classic:
            right = ", ".join(["le", *labels]) if inner.modifier is None or by(inner) else ""
            how = f"write `{inner.op} by ({right}) (…)`" if right else "leave `le` out of `without`"
            return [
                RuleProblem(
                    "le_dropped",
                    "cannot fire",
                    f"histogram_quantile returns nothing: `{exact(inner)}` drops the label `le` of the buckets; {how}",
                )
            ]
    return []


def _since_the_start(node: Any) -> list[RuleProblem]:
    """Buckets as they are, without a rate: the quantile of everything since the process began."""

    def plain(inner: Any) -> list[str]:
        if isinstance(inner, promql.VectorSelector):
            name = inner.name or ""
            return [name] if name.endswith("_bucket") and ":" not in name else []
        if isinstance(inner, (promql.MatrixSelector, promql.SubqueryExpr)):
            return []
        return [name for child in children(inner) for name in plain(child)]

    return [
        RuleProblem(
            "buckets_without_rate",
            "doubtful",
            f"the quantile is that of everything since the process began, so it hardly moves; write `rate({name}[5m])` instead of `{name}`",
        )
        for name in plain(node.args[1])[:1]
    ]


def quantile_out_of_range(node: Any) -> float | None:
    """The quantile of the first `histogram_quantile` below that is none: outside of 0 and 1."""
    for inner in walk(node):
        quantile = number(inner.args[0]) if call(inner) == "histogram_quantile" else None
        if quantile is not None and not 0 <= quantile <= 1:
            return quantile
    return None


def without_buckets(node: Any, asking: Asking) -> list[RuleProblem]:
    """The server has series for the argument and returns no quantile: they are no histogram. `node` returns nothing."""
    if call(node) != "histogram_quantile" or misused_histograms(node, asking):
        return []
    inner = bare(node.args[1])
    named = names(inner)
    name = named[0] if named else exact(inner)
    return [_no_buckets(node, name, name if name.endswith("_bucket") else f"{name.removesuffix('_total')}_bucket")]
