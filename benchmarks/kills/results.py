"""What kills showed: one by one as the tests note them, and counted, as a value and as a file. Pure, apart from those that say so."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill. `effect` names the effects of the run, `state` where the run was.

    `took_s` counts from the kill until nothing was left of the run: no effect, no process, no state; None when something was.
    `late`: an act was held back, and landed after its undo.
    """

    lab: str
    effect: str
    killed: str
    state: str
    took_s: float | None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """All kills of one process under one kind of effect. Times are of those that left nothing; None when there are none."""

    lab: str
    effect: str
    killed: str
    kills: int
    left: int
    late: int
    median_s: float | None
    longest_s: float | None
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Round:
    """One whole round. `lease_s` is the lease of every run in it, `passed` whether every test of it passed."""

    date: str
    lease_s: float
    passed: bool
    rows: tuple[Counted, ...]

    @property
    def kills(self) -> int:
        """All kills."""
        return sum(row.kills for row in self.rows)

    @property
    def left(self) -> int:
        """Kills after which something was left."""
        return sum(row.left for row in self.rows)

    @property
    def late(self) -> int:
        """Kills after which an act landed later than its undo."""
        return sum(row.late for row in self.rows)


def counted(kills: Iterable[Kill]) -> tuple[Counted, ...]:
    """The kills by lab, effect and who was killed, in this order."""
    groups: dict[tuple[str, str, str], list[Kill]] = {}
    for kill in kills:
        groups.setdefault((kill.lab, kill.effect, kill.killed), []).append(kill)
    return tuple(_counted(*key, group) for key, group in sorted(groups.items()))


def _counted(lab: str, effect: str, killed: str, group: Sequence[Kill]) -> Counted:
    times_s = [kill.took_s for kill in group if kill.took_s is not None]
    return Counted(
        lab=lab,
        effect=effect,
        killed=killed,
        kills=len(group),
        left=len(group) - len(times_s),
        late=sum(kill.late for kill in group),
        median_s=round(median(times_s), 2) if times_s else None,
        longest_s=round(max(times_s), 2) if times_s else None,
        states=dict(sorted(Counter(kill.state for kill in group).items())),
    )


_KILL: TypeAdapter[Kill] = TypeAdapter(Kill)
_ROUND: TypeAdapter[Round] = TypeAdapter(Round)


def note(kill: Kill, path: Path) -> None:
    """The kill is the last line of this file. Writes a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(kill)) + "\n")


def noted(path: Path) -> list[Kill]:
    """Every kill of this file; none when there is no file. Reads a file."""
    return [_KILL.validate_json(line) for line in path.read_text().splitlines()] if path.exists() else []


def newest(folder: Path = FOLDER) -> Round | None:
    """The newest stored round; None when there is none. Reads files."""
    found = sorted(folder.glob("*.json"))
    return _ROUND.validate_json(found[-1].read_text()) if found else None


def store(made: Round, folder: Path = FOLDER) -> Path:
    """The round has taken the place of another one of that date; where. Writes a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{made.date}.json"
    path.write_text(json.dumps(asdict(made), indent=1) + "\n")
    return path
