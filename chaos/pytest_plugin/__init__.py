"""The pytest plugin: experiments as test items, and fixtures for ordinary tests. Thin on the Python API.

    staging.chaos.yaml ─▶ ChaosFile ─▶ ChaosItem: setup plans and runs ─▶ call fails on a weakness
    chaos_lab, chaos_run, chaos_fault, alerts                             fixtures, in `chaos.pytest_plugin.fixtures`

pytest imports this in every session of every project that has this product installed: nothing heavy is imported before there is an
experiment to collect or a fixture to make.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chaos.pytest_plugin.fixtures import alerts, chaos_fault, chaos_lab, chaos_run, chaos_system

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

__all__ = ["alerts", "chaos_fault", "chaos_lab", "chaos_run", "chaos_system"]

ENDINGS = (".chaos.yaml", ".chaos.yml")
FOLDERS: pytest.StashKey[tuple[Path, ...]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options and the settings of a project."""
    group = parser.getgroup("chaos", "experiments on systems with models")
    group.addoption(
        "--chaos-system", metavar="NAME", help="a system file, or a lab that is up; overrides the experiments' own"
    )
    group.addoption(
        "--chaos-tags",
        metavar="TAGS",
        help="experiments with one of these tags alone, without those behind a minus: quality,-slow",
    )
    group.addoption(
        "--chaos-dry-run",
        action="store_true",
        help="plan the experiments and touch nothing; a plan that is refused fails",
    )
    group.addoption("--chaos-report-dir", metavar="FOLDER", help="where run folders with their reports go (runs)")
    group.addoption("--chaos-var", action="append", default=[], metavar="NAME=VALUE", help="a value for ${NAME}")
    group.addoption("--chaos-yes", action="store_true", help="run against production")
    group.addoption(
        "--chaos-ignore-freeze", metavar="REASON", help="run although the system's calendar forbids it, and say why"
    )
    group.addoption(
        "--retry-inconclusive",
        type=int,
        default=0,
        metavar="TIMES",
        help="run an experiment that could not tell so often again",
    )
    parser.addini(
        "chaos_experiments",
        "folders whose YAML files are experiments, whatever they are called",
        type="paths",
        default=[],
    )
    parser.addini("chaos_system", "as --chaos-system", default="")
    parser.addini("chaos_runs", "as --chaos-report-dir", default="runs")


def pytest_configure(config: pytest.Config) -> None:
    """The marker is known, and the folders of experiments are."""
    config.addinivalue_line("markers", "chaos: an experiment on a running system (`-m 'not chaos'` leaves them out)")
    config.stash[FOLDERS] = tuple(path.resolve() for path in config.getini("chaos_experiments"))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Files called `*.chaos.yaml`, and those in the folders of experiments that look like one."""
    named = file_path.name.endswith(ENDINGS)
    if not named and not _in_folders(parent.config, file_path):
        return None
    from chaos.pytest_plugin.items import ChaosFile, looks_like_an_experiment

    if not named and not looks_like_an_experiment(file_path):
        return None  # a system file, probes, a game day: they may stand beside
    found: pytest.Collector = ChaosFile.from_parent(parent, path=file_path)
    return found


def pytest_collection_finish(session: pytest.Session) -> None:
    """A system that is named and is none is one mistake of the command line, and not one of every test. Raises UsageError.

    Not where tests are only listed, nor in a worker of xdist, of which nobody would hear it.
    """
    if not hasattr(session.config, "workerinput"):
        _demand_system(session.config, [one.nodeid for one in session.items], session.items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    """The same, of a session with workers: one of them has collected, and none has begun a test."""
    _demand_system(node.config, ids)


def _demand_system(config: pytest.Config, ids: Sequence[str], items: Sequence[pytest.Item] = ()) -> None:
    if config.option.collectonly or not config.getoption("--chaos-system"):
        return
    files = {config.rootpath / one.partition("::")[0] for one in ids}
    wanted = [one for one in sorted(files) if one.name.endswith(ENDINGS) or _in_folders(config, one)]
    fixtures = any("chaos_system" in getattr(one, "fixturenames", ()) for one in items)
    if wanted or fixtures:
        from chaos.pytest_plugin.items import demand_system

        demand_system(config, wanted, fixtures=fixtures)


def _in_folders(config: pytest.Config, path: Path) -> bool:
    """Whether this is a YAML file in one of the folders of experiments."""
    folders = config.stash[FOLDERS]
    return bool(folders) and path.suffix in (".yaml", ".yml") and any(one in path.resolve().parents for one in folders)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a run said stands in the report as it is: of what goes wrong in a setup, pytest would show its own calls."""
    report = yield
    if call.excinfo is not None and getattr(call.excinfo.value, "stands_alone", False):
        report.longrepr = str(call.excinfo.value)
    return report


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """One line for each experiment, when there was any."""
    rows = [
        dict(report.user_properties)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "user_properties", None) and dict(report.user_properties).get("chaos.experiment")
    ]
    if rows:
        from chaos.pytest_plugin.told import summary_lines

        terminalreporter.section("chaos")
        for line in summary_lines(rows):
            terminalreporter.line(line)
