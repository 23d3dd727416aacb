"""Game days on disk, with experiments whose system nobody can reach: they are refused in a moment and hurt nothing."""

from __future__ import annotations

from pathlib import Path

from chaos.app.gameday.loading import LoadedDay, load_day
from tests.values import EXPERIMENT, PROBES, SYSTEM, edited

DAY = """\
name: drill
purpose: The on-call finds a bad model without help.
calendar: {cron: "0 10 * * Tue", timezone: Europe/Berlin}
steps:
  - experiment: first.yaml
  - {experiment: second.yaml, pause: 5m}
  - {experiment: third.yaml, pause: 5m}
"""


def written(folder: Path, *edits: tuple[str, str], system: tuple[tuple[str, str], ...] = ()) -> Path:
    """The path of DAY with these texts in place of others; everything that it refers to stands beside it."""
    (folder / "probes").mkdir(exist_ok=True)
    (folder / "probes" / "all.yaml").write_text(PROBES)
    nowhere = (("http://127.0.0.1:9090", "http://127.0.0.1:1"), ("http://127.0.0.1:8474", "http://127.0.0.1:1"))
    (folder / "system.yaml").write_text(edited(SYSTEM, *nowhere, *system))
    for name in ("first", "second", "third"):
        text = edited(EXPERIMENT, ("name: wrong-predictions", f"name: {name}"), ("system: lab", "system: system.yaml"))
        (folder / f"{name}.yaml").write_text(text)
    (folder / "day.yaml").write_text(edited(DAY, *edits))
    return folder / "day.yaml"


def loaded(folder: Path, *edits: tuple[str, str], system: tuple[tuple[str, str], ...] = ()) -> LoadedDay:
    """That day with everything that it refers to."""
    return load_day(written(folder, *edits, system=system), state=folder / ".chaos")
