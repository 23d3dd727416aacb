"""Environments are installed first, then each case is tried; what came of it is told on the way and written down."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime

import pytest

from tests.interop.cases import CASES, Case
from tests.interop.environments import NotInstalled, environment, installed, version
from tests.interop.matrix import IDLE, Results, publish, section
from tests.interop.servers import KINDS, NotReady
from tests.interop.stands import Stand, Stands

_KEPT: pytest.StashKey[Results] = pytest.StashKey()
_SERVERS = {name: (kind.environment, kind.package) for name, kind in KINDS.items()}


@pytest.fixture(scope="session")
def _stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stands]:
    made = Stands(tmp_path_factory.mktemp("interop"))
    yield made
    made.close()


@pytest.fixture
def stand(_stands: Stands, case: Case, pytestconfig: pytest.Config) -> Stand:
    """The case's client, proxy and server; the proxy is idle. What this machine cannot have is skipped, and told at the end."""
    try:
        return _stands.of(case)
    except (NotInstalled, NotReady) as error:
        pytestconfig.stash[_KEPT].untried[case.server] = str(error)
        pytest.skip(str(error))


# --- before -----------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Nothing was tried yet; whoever ends the run ends the servers, too."""
    config.stash[_KEPT] = Results()
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Checks of one case follow each other, so that each server is started once."""
    places = {case.name: place for place, case in enumerate(CASES)}
    items.sort(key=lambda item: places[case.name] if (case := _case(item)) is not None else -1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What the collected cases need is installed, or known to be impossible."""
    if session.config.option.collectonly:
        return
    cases = [case for item in session.items if (case := _case(item)) is not None]
    needed = dict.fromkeys(name for case in cases for name in (_SERVERS[case.server][0], case.environment))
    missing = [name for name in needed if not installed(name)]
    for place, name in enumerate(missing, start=1):
        _tell(session.config, f"installing {name} ({place} of {len(missing)}) …", end="")
        begun = time.monotonic()
        try:
            environment(name)
        except NotInstalled as error:
            _tell(session.config, f" {error}")
        else:
            _tell(session.config, f" {time.monotonic() - begun:.0f} s")


# --- on the way -------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """A line when a server is started, and one for each case that was tried."""
    config, case, following = item.config, _case(item), _case(nextitem)
    if case is not None and case.server != config.stash.get(_SHOWN, ""):
        config.stash[_SHOWN] = case.server
        _tell(config, case.server)
    done = yield
    if case is not None and (following is None or following.name != case.name):
        results = config.stash[_KEPT]
        failures = [f"{check} FAILED: {why}" for check, why in results.failures(case).items()]
        said = "not tried" if case.server in results.untried else "; ".join(failures) or "ok"
        _tell(config, f"  {case.client} × {case.protocol}: {said}")
    return done


_SHOWN: pytest.StashKey[str] = pytest.StashKey()


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """No letter for each check: `pytest_runtest_protocol` tells more."""
    if report.when != "call" and not report.skipped:
        return None
    return report.outcome, "", "" if report.passed else report.outcome.upper()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The outcome of a check is kept under its case."""
    report = yield
    case = _case(item)
    if case is not None and not report.skipped and (report.when == "call" or report.failed):
        lines = call.excinfo.exconly().removeprefix("AssertionError: ").splitlines() if call.excinfo else []
        reason = next(iter(lines), "failed")[:160] if report.failed else ""
        fault = getattr(item, "callspec").params.get("fault", IDLE)  # noqa: B009  # only items of functions have one
        item.config.stash[_KEPT].outcomes[case.name, fault] = reason
    return report


# --- afterwards -------------------------------------------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Who asked for the whole matrix and did not get it is told by the exit code."""
    if session.config.stash[_KEPT].untried and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Once every cell was tried, the matrix is in the page; otherwise the page stays, and it is told why."""
    results = config.stash[_KEPT]
    if not results.outcomes and not results.untried:
        return
    _tell(config, results.counts())
    for server, why in results.untried.items():
        _tell(config, f"{server} was not tried: {why}")
    if not results.whole():
        _tell(config, "docs/interop.md stays as it was, because not every cell was tried")
        return
    for case in CASES:
        for asked in (_SERVERS[case.server], (case.environment, case.package)):
            if asked not in results.versions:
                results.versions[asked] = version(*asked)
    publish(section(results, _SERVERS, f"{datetime.now(UTC):%Y-%m-%d}"))
    _tell(config, "written to docs/interop.md")


def _case(item: pytest.Item | None) -> Case | None:
    """The case that an item tries."""
    found = getattr(item, "callspec", None)
    case = found.params.get("case") if found is not None else None
    return case if isinstance(case, Case) else None


def _tell(config: pytest.Config, line: str, end: str = "\n") -> None:
    """People read this now."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write(line + end, flush=True)
