"""Experiments as test items. `setup` asks the system, plans and runs; `runtest` fails when a weakness was found.

    confirmed ─▶ passed      a weakness, aborted, unsafe ─▶ failed      frozen ─▶ skipped      could not run or tell ─▶ error

pytest counts what goes wrong in `setup` as an error and what goes wrong in `runtest` as a failure: that is why the run is in `setup`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chaos.app import files
from chaos.errors import ChaosError, Frozen, InvalidFile, Refused
from chaos.pytest_plugin.told import failure_text, outcome_of, properties

if TYPE_CHECKING:
    from _pytest._code.code import ExceptionInfo, TerminalRepr

    from chaos.app.running import Ended, Prepared

_KEYS = re.compile(r"^(steady_state|faults|blast_radius|expect):", re.MULTILINE)
FIRST_CHARACTERS = 64 * 1024


class CouldNotTell(Exception):
    """The experiment could not run, or ended without an answer."""


class Weakness(Exception):
    """The experiment found one, or a guard ended it, or something could not be undone."""


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
        self.ended: Ended | None = None
        self.add_marker(pytest.mark.chaos)
        if self.config.pluginmanager.hasplugin("timeout"):
            self.add_marker(
                pytest.mark.timeout(0)
            )  # a run has deadlines of its own, and what it hurts must be undone first
        self.extra_keyword_matches.update(tags)

    def setup(self) -> None:
        """The experiment has been planned, and run unless this is a dry run. Raises CouldNotTell, and skips in a freeze."""
        try:
            loaded = files.load(self.path, system=system_name(self.config), variables=variables(self.config))
            if self.config.getoption("--chaos-dry-run"):
                self._planned(loaded)
            else:
                self._run(loaded)
        except Frozen as error:
            pytest.skip(str(error))
        except ChaosError as error:
            raise CouldNotTell(_said(error)) from None

    def _planned(self, loaded: files.Loaded) -> None:
        from chaos.app.running import prepare

        self.refusals = prepare(at_its_severest(loaded)).plan.refusals
        self.user_properties += [
            ("chaos.experiment", self.name),
            ("chaos.verdict", "refused" if self.refusals else "planned"),
        ]

    refusals: tuple[str, ...] = ()

    def _run(self, loaded: files.Loaded) -> None:
        from chaos.app.running import frozen_now, prepare
        from chaos.app.sweeping import until_quiet
        from chaos.pytest_plugin.turns import turn

        frozen_now(loaded, self.config.getoption("--chaos-ignore-freeze"))
        if loaded.experiment.sweep is not None:
            raise CouldNotTell(
                "an experiment with `sweep:` is many runs; run it with `chaos run`, or leave `sweep:` out"
            )
        with turn(loaded.system_path):
            until_quiet(loaded, self._say)
            ended = self._once(prepare(loaded))
            for _ in range(self.config.getoption("--retry-inconclusive")):
                if ended.verdict.verdict != "inconclusive":
                    break
                until_quiet(loaded, self._say)
                ended = self._once(prepare(loaded))
        self.ended = ended
        verdict, folder = ended.verdict, str(ended.folder)
        self.user_properties += properties(verdict, folder)
        if verdict.verdict == "unsafe":
            self.session.shouldfail = "something could not be undone, so that nothing more is hurt"
        if outcome_of(verdict.verdict) == "error":
            raise CouldNotTell(failure_text(verdict, folder))

    def _once(self, prepared: Prepared) -> Ended:
        from chaos.app.running import run

        return run(
            prepared,
            runs_folder(self.config),
            production=self.config.getoption("--chaos-yes"),
            ignore_freeze=self.config.getoption("--chaos-ignore-freeze"),
        )

    def _say(self, text: str) -> None:
        """Into what pytest captures, and shows when something goes wrong."""
        print(text)

    def runtest(self) -> None:
        """Raises Weakness when one was found, or when a plan was refused in a dry run."""
        if self.refusals:
            raise Weakness("this must not run:\n" + "\n".join(f"  - {why}" for why in self.refusals))
        if self.ended is not None and outcome_of(self.ended.verdict.verdict) == "failed":
            raise Weakness(failure_text(self.ended.verdict, str(self.ended.folder)))

    def repr_failure(self, excinfo: ExceptionInfo[BaseException], style: Any = None) -> str | TerminalRepr:
        """What was found, and no traceback of ours."""
        if isinstance(excinfo.value, (CouldNotTell, Weakness)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it stands, and what it is called in the list of failures."""
        return self.path, None, self.name


def at_its_severest(loaded: files.Loaded) -> files.Loaded:
    """What can be planned of an experiment: one severity of its sweep, where it has one."""
    if loaded.experiment.sweep is None:
        return loaded
    from chaos.app.sweeping import at_severity, swept_of

    return at_severity(loaded, swept_of(loaded).severities[-1])


def _said(error: ChaosError) -> str:
    if isinstance(error, Refused):
        return "this must not run:\n" + "\n".join(f"  - {reason}" for reason in error.reasons)
    return str(error)
