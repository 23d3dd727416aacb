"""All files of a first start, as texts, and what was guessed for each rule. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults import catalogue
from chaos.first_steps.clues import Candidate, candidates
from chaos.first_steps.experiment_text import Subject, doable, experiment_text, needs_outcomes
from chaos.first_steps.found import Found
from chaos.first_steps.rule_reading import reading_of
from chaos.first_steps.servers import recognised
from chaos.first_steps.system_text import Targets, Wish, match_of, system_text, targets_of
from chaos.first_steps.writing import marks, name_of
from chaos.telemetry import RuleInfo


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file below the folder: its path there, its text, and how many places of it are left to fill in."""

    path: str
    text: str

    @property
    def left(self) -> int:
        """Places that only its owner can fill in."""
        return len(marks(self.text))


@dataclass(frozen=True, slots=True)
class Guess:
    """What a rule's experiment does. `file` is None for a rule that no fault could make fire, which `why` says."""

    alert: str
    file: str | None
    fault: str | None
    how_sure: str = ""
    why: str = ""
    others: tuple[Candidate, ...] = ()


def files_of(found: Found, wish: Wish) -> tuple[list[WrittenFile], list[Guess]]:
    """The system file, an experiment for each rule of this system, and what was guessed."""
    labels = wish.match if wish.match is not None else match_of(found.rules)
    rules = [rule for rule in found.rules if wish.match is None or _carries(rule, labels)]
    targets = targets_of(found)
    subjects = [(rule, _subject(rule, found, targets)) for rule in rules]
    outcomes = any(one is not None and needs_outcomes(one.chosen, one.reading) for _, one in subjects)
    written = [WrittenFile("system.yaml", system_text(found, rules, wish, outcomes=outcomes))]
    guesses: list[Guess] = []
    taken: set[str] = set()
    for rule, subject in subjects:
        path = None
        if subject is not None:
            path = _unused(f"experiments/{name_of(rule.name)}", taken)
            written.append(WrittenFile(path, experiment_text(subject, found, targets, wish, rules)))
        guesses.append(_guess(rule, subject, path))
    return written, guesses


def _carries(rule: RuleInfo, labels: object) -> bool:
    return isinstance(labels, dict) and all(rule.labels.get(name) == value for name, value in labels.items())


def _subject(rule: RuleInfo, found: Found, targets: Targets) -> Subject | None:
    """None where the rule always fires."""
    reading = reading_of(rule, found.metric)
    if reading.shape == "always":
        return None
    ranked = [one for one in candidates(reading) if _exists(one.fault, found)]
    best = ranked[0] if ranked else None
    why_not = doable(best.fault, targets) if best is not None else None
    chosen = best.fault if best is not None and why_not is None else "external"
    return Subject(rule, reading, best, ranked[1:], chosen, why_not)


def _exists(fault: str, found: Found) -> bool:
    """Whether such a model can have this fault: a known server says whether it gives text or predictions."""
    server = recognised(found.metrics)
    if server is None or server.protocol == "auto":
        return True
    return catalogue()[fault].works_on in ("any", "text" if server.protocol == "openai" else "predictions")


def _guess(rule: RuleInfo, subject: Subject | None, path: str | None) -> Guess:
    if subject is None:
        return Guess(rule.name, None, None, why="it reads no metric, so it fires always and no fault is needed")
    if subject.best is None:
        return Guess(rule.name, path, None, why="nothing in it says which fault would make it fire")
    best = subject.best
    return Guess(
        rule.name, path, best.fault, best.how_sure, subject.why_not or "; ".join(best.reasons), tuple(subject.others)
    )


def _unused(path: str, taken: set[str]) -> str:
    """Two rules of one name get files of two names."""
    free = next(
        one for one in (f"{path}.yaml", *(f"{path}-{place}.yaml" for place in range(2, 10_000))) if one not in taken
    )
    taken.add(free)
    return free
