"""The page docs/coverage.md: fault × alert, from the stored results and the catalogue. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.catalogue.results import Result
from chaos.faults.base import Fault

HEAD = """\
# Which alert catches which fault

Made by `make catalogue` from runs in the lab, one for each fault: its experiment is in
[experiments/catalogue](../experiments/catalogue), its stored result in
[benchmarks/catalogue/results](../benchmarks/catalogue/results). Seconds count from the fault's first proven effect to the moment at
which the alert was seen to fire. Bold: the experiment expects it; not bold: it fired beside it. A run hears the alerts of the service
that it hurts; all others of that service were silent in every run of the table.
"""


def page(catalogue: Mapping[str, type[Fault]], results: Mapping[str, Result], alerts: Sequence[str]) -> str:
    """The whole page. `alerts` are all that the lab has."""
    families: dict[str, list[str]] = {}
    for name, fault in catalogue.items():
        families.setdefault(fault.family, []).append(name)
    parts = [HEAD, _summary(catalogue, results)]
    parts += [_family(family, names, catalogue, results) for family, names in sorted(families.items())]
    return "\n".join([*parts, _alerts(results, alerts)])


def _summary(catalogue: Mapping[str, type[Fault]], results: Mapping[str, Result]) -> str:
    run = [results[name] for name in catalogue if name in results]
    caught = [one.fault for one in run if one.caught]
    blind = [name for name, fault in catalogue.items() if fault.blind]
    missing = [name for name in catalogue if name not in results]
    said = [
        f"- {len(catalogue)} faults, {len(run)} of them run",
        f"- {len(caught)} caught by every alert that was expected",
    ]
    said.append(f"- {len(blind)} that no alert can see, with the reason: {_names(blind)}")
    open_ = [one.fault for one in run if not one.caught and one.fault not in blind]
    said.append(f"- {len(open_)} run and not caught: {_names(open_)}")
    said.append(f"- {len(missing)} not run yet: {_names(missing)}")
    if run:
        dates, versions = sorted({one.date for one in run}), max(run, key=lambda one: one.date).versions
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        said.append(f"- from {dates[0]} to {dates[-1]}; the last with {told}")
    return "\n".join(said) + "\n"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _family(
    family: str, names: Sequence[str], catalogue: Mapping[str, type[Fault]], results: Mapping[str, Result]
) -> str:
    run = [results[name] for name in names if name in results]
    columns = sorted({alert for one in run for alert in one.fired} | {told.alert for one in run for told in one.told})
    rows = [f"| fault | verdict | {' | '.join(columns)}{' | ' if columns else ''}date |"]
    rows.append("|---" * (len(columns) + 3) + "|")
    rows += [_row(name, results.get(name), columns) for name in names]
    notes = [f"`{name}` cannot be seen: {catalogue[name].blind}" for name in names if catalogue[name].blind]
    notes += [_why(one) for one in run if not one.caught and not catalogue[one.fault].blind]
    return f"## {family[:1].upper()}{family[1:]}\n\n" + "\n".join(rows) + "\n" + "".join(f"\n{one}\n" for one in notes)


def _row(name: str, result: Result | None, columns: Sequence[str]) -> str:
    link = f"[{name}](../experiments/catalogue/{name}.yaml)"
    if result is None:
        return f"| {name} | not run |{' |' * len(columns)} |"
    expected = {told.alert for told in result.told}
    cells = [_cell(alert, result, alert in expected) for alert in columns]
    return f"| {' | '.join([link, result.verdict, *cells, result.date[:10]])} |"


def _cell(alert: str, result: Result, expected: bool) -> str:
    after_s = result.fired.get(alert)
    if after_s is None:
        return "**missed**" if expected else ""
    return f"**{after_s:.0f} s**" if expected else f"{after_s:.0f} s"


def _why(result: Result) -> str:
    return f"`{result.fault}`: {result.sentence}"


def _alerts(results: Mapping[str, Result], alerts: Sequence[str]) -> str:
    """The other way round: what each alert has been seen to catch."""
    rows = [
        "## Alerts, and what they were seen to fire for",
        "",
        "| alert | expected and fired | fired beside it |",
        "|---|---|---|",
    ]
    for alert in alerts:
        wanted = [one.fault for one in results.values() if alert in one.fired and alert in {t.alert for t in one.told}]
        beside = [one.fault for one in results.values() if alert in one.fired and one.fault not in wanted]
        rows.append(f"| {alert} | {', '.join(sorted(wanted))} | {', '.join(sorted(beside))} |")
    return "\n".join(rows) + "\n"
