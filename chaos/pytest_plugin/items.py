"""Experiments as test items. `setup` asks the system, plans and runs; `runtest` fails when a weakness was found.

    confirmed ─▶ passed      a weakness, aborted, unsafe ─▶ failed      frozen ─▶ skipped      could not run or tell ─▶ error

pytest counts what goes wrong in `setup` as an error and what goes wrong in `runtest` as a failure: that is why the run is in `setup`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chaos.app import files
from chaos.errors import ChaosError, Frozen, InvalidFile, NotUndone, Refused
from chaos.pytest_plugin.told import failure_text, outcome_of, properties, sweep_text
from chaos.verdict import EXIT_CODE, Verdict

if TYPE_CHECKING:
    from chaos.app.running import Ended

_KEYS = re.compile(r"^(steady_state|faults|blast_radius|expect):", re.MULTILINE)
FIRST_CHARACTERS = 64 * 1024


class CouldNotTell(Exception):
    """The experiment could not run, or ended without an answer."""

    stands_alone = True
    """Its text is all that is shown: no traceback."""


class Weakness(Exception):
    """The experiment found one, or a guard ended it, or something could not be undone."""

    stands_alone = True


def looks_like_an_experiment(path: Path) -> bool:
    """Whether the file has a key that only experiments have."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _KEYS.search(file.read(FIRST_CHARACTERS)) is not None
    except OSError:
        return False


def tagged(tags: Iterable[str], wanted: str | None) -> bool:
    """Whether `--chaos-tags` keeps an experiment with these tags."""
    asked = [one.strip() for one in (wanted or "").split(",") if one.strip()]
    have, without = set(tags), {one[1:] for one in asked if one.startswith("-")}
    only = {one for one in asked if not one.startswith("-")}
    return not have & without and (not only or bool(have & only))


def variables(config: pytest.Config) -> Mapping[str, str]:
    """What `--chaos-var` gave. Raises UsageError for what is no variable."""
    found: dict[str, str] = {}
    for text in config.getoption("--chaos-var"):
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise pytest.UsageError(f"--chaos-var {text!r} is no variable; write NAME=VALUE")
        found[name] = value
    return found


def system_name(config: pytest.Config) -> str | None:
    """The system of the command line or of the project's settings; None leaves it to the experiments."""
    return config.getoption("--chaos-system") or config.getini("chaos_system") or None


def demand_system(config: pytest.Config, experiments: Iterable[Path], *, fixtures: bool) -> None:
    """The system of the command line can be read by one of these experiments, or by a fixture. Raises UsageError when by none.

    Neither a lab that is not up nor the system of the project's settings is meant: a fixture of the session may bring up the one, and
    write the other.
    """
    name = config.getoption("--chaos-system")
    if not name or files.is_lab(name):
        return
    wrong: list[str] = []
    for path in [*experiments, *([Path(name)] if fixtures else [])]:
        try:
            files.load_system(name, variables(config), experiment=path)
        except InvalidFile as error:
            wrong.append(
                "\n".join(problem.message if problem.path == str(path) else str(problem) for problem in error.problems)
            )
        else:
            return
    if wrong:
        raise pytest.UsageError(f"--chaos-system {name}: {wrong[0]}")


def runs_folder(config: pytest.Config) -> Path:
    """Where run folders go."""
    return Path(config.getoption("--chaos-report-dir") or config.rootpath / config.getini("chaos_runs"))


class ChaosFile(pytest.File):
    """One file, one experiment, one item."""

    def collect(self) -> Iterable[pytest.Item]:
        """The experiment, when its tags are wanted. A file that is wrong is an error of collection, with every problem."""
        try:
            experiment = files.check_alone(self.path, variables(self.config))
        except InvalidFile as error:
            raise self.CollectError(str(error)) from None
        if tagged(experiment.tags, self.config.getoption("--chaos-tags")):
            yield ChaosItem.from_parent(self, name=experiment.name, tags=tuple(experiment.tags))


class ChaosItem(pytest.Item):
    """One experiment."""

    def __init__(self, *, tags: tuple[str, ...], **more: Any) -> None:
        super().__init__(**more)
        self.weakness: str | None = None
        self.add_marker(pytest.mark.chaos)
        if self.config.pluginmanager.hasplugin("timeout"):
            self.add_marker(
                pytest.mark.timeout(0)
            )  # a run has deadlines of its own, and what it hurts must be undone first
        self.extra_keyword_matches.update(tags)

    def setup(self) -> None:
        """The experiment has been planned, and run unless this is a dry run. Raises CouldNotTell, and skips in a freeze."""
        with as_outcomes(self.session):
            loaded = files.load(self.path, system=system_name(self.config), variables=variables(self.config))
            if self.config.getoption("--chaos-dry-run"):
                self._planned(loaded)
            else:
                self._run(loaded)

    def _planned(self, loaded: files.Loaded) -> None:
        from chaos.app.running import prepare

        refusals = prepare(at_its_severest(loaded)).plan.refusals
        self.user_properties += [
            ("chaos.experiment", self.name),
            ("chaos.verdict", "refused" if refusals else "planned"),
        ]
        if refusals:
            self.weakness = refused(refusals)

    def _run(self, loaded: files.Loaded) -> None:
        from chaos.app.freezing import frozen_now, utc_now
        from chaos.app.sweeping import until_quiet
        from chaos.pytest_plugin.turns import turn

        frozen_now(loaded, utc_now(), self.config.getoption("--chaos-ignore-freeze"))
        with turn(loaded.system_path, print):
            until_quiet(loaded, print, answered=False)
            if loaded.experiment.sweep is not None:
                self._sweep(loaded)
                return
            ended = self._once(loaded)
            for _ in range(self.config.getoption("--retry-inconclusive")):
                if ended.verdict.verdict != "inconclusive":
                    break
                until_quiet(loaded, print)
                ended = self._once(loaded)
        self._judged(ended.verdict, str(ended.folder))

    def _once(self, loaded: files.Loaded) -> Ended:
        from chaos.app.running import RunOptions, prepare, run

        said = self.config.getoption
        options = RunOptions(
            runs_folder(self.config), production=said("--chaos-yes"), ignore_freeze=said("--chaos-ignore-freeze")
        )
        return run(prepare(loaded), options)

    def _judged(self, verdict: Verdict, folder: str) -> None:
        self.user_properties += properties(verdict, folder)
        text = failure_text(verdict, folder)
        if verdict.verdict == "unsafe":
            self.session.shouldfail = "something could not be undone, so that nothing more is hurt"
        match outcome_of(verdict.verdict):
            case "error":
                raise CouldNotTell(text)
            case "failed":
                self.weakness = text

    def _sweep(self, loaded: files.Loaded) -> None:
        """A run for each severity: passed when every alert tells at some severity."""
        from chaos.app.sweeping import sweep
        from chaos.sensitivity import ending

        done = sweep(loaded, self._once, None, print)
        ended, text = ending(done.found), sweep_text(done.found)
        self.user_properties += [("chaos.experiment", self.name), ("chaos.verdict", ended)]
        if done.worst == EXIT_CODE["interrupted"]:  # the sweep has undone everything; the session is to end, too
            raise KeyboardInterrupt
        if done.worst == EXIT_CODE["unsafe"]:
            self.session.shouldfail = "something could not be undone, so that nothing more is hurt"
        if ended == "not caught" or done.worst in (EXIT_CODE["unsafe"], EXIT_CODE["aborted"]):
            self.weakness = text
        elif ended == "nothing proven" or done.worst:
            raise CouldNotTell(text)

    def runtest(self) -> None:
        """Raises Weakness when one was found, or when a plan was refused in a dry run."""
        if self.weakness is not None:
            raise Weakness(self.weakness)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands, and what it is called in the list of failures."""
        return self.path, 0, self.name


def at_its_severest(loaded: files.Loaded) -> files.Loaded:
    """What can be planned of an experiment: one severity of its sweep, where it has one."""
    if loaded.experiment.sweep is None:
        return loaded
    from chaos.app.sweeping import at_severity, swept_of

    return at_severity(loaded, swept_of(loaded).severities[-1])


def refused(reasons: Iterable[str]) -> str:
    """Every reason why something must not run."""
    return "this must not run:\n" + "\n".join(f"  - {reason}" for reason in reasons)


@contextmanager
def as_outcomes(session: pytest.Session) -> Iterator[None]:
    """A freeze skips, what could not be undone ends the session, and every other error of this product is CouldNotTell."""
    try:
        yield
    except Frozen as error:
        raise pytest.skip.Exception(str(error), _use_item_location=True) from None
    except NotUndone as error:
        session.shouldfail = "something could not be undone, so that nothing more is hurt"
        raise CouldNotTell(f"{error}\n  do it by hand: {error.by_hand}") from None
    except Refused as error:
        raise CouldNotTell(refused(error.reasons)) from None
    except ChaosError as error:
        raise CouldNotTell(str(error)) from None
