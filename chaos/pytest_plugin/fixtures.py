"""Fixtures for ordinary tests. Each imports what it needs when it is made, and not before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chaos.app.one_fault import ArmedFault
    from chaos.app.running import Ended
    from chaos.lab.processes import LabStatus
    from chaos.pytest_plugin.alerts import Alerts
    from chaos.system import System


@pytest.fixture(scope="session")
def chaos_lab(pytestconfig: pytest.Config) -> Iterator[LabStatus]:
    """The lab is up, under the name `lab`: the one that is up already, or one that is taken down after the session's last test."""
    from chaos.pytest_plugin.lab import session_lab

    with session_lab(pytestconfig.rootpath) as lab:
        yield lab


@pytest.fixture
def chaos_system(request: pytest.FixtureRequest) -> tuple[System, Path]:
    """The system of `--chaos-system` or of `chaos_system` in the project's settings, else the lab's when the test has `chaos_lab`."""
    from chaos.app.files import load_system
    from chaos.errors import InvalidFile
    from chaos.pytest_plugin.items import system_name, variables

    name = system_name(request.config)
    if name is None and "chaos_lab" in request.fixturenames:
        name = str(request.getfixturevalue("chaos_lab").system)
    if name is None:
        raise pytest.UsageError(
            "no system is named; write --chaos-system NAME, or chaos_system in the project's settings"
        )
    try:
        return load_system(name, variables(request.config))
    except InvalidFile as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture
def chaos_run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Ended]:
    """`chaos_run(path_or_text, system=None, variables=None, seed=None, production=False)`: it has run and is undone and judged.

    A weakness is a verdict and raises nothing; a freeze skips the test, and what could not run fails it.
    """
    import chaos
    from chaos.pytest_plugin.items import as_outcomes, runs_folder, system_name
    from chaos.pytest_plugin.items import variables as given
    from chaos.pytest_plugin.turns import turn

    def run(
        experiment: str | Path,
        *,
        system: str | None = None,
        variables: dict[str, str] | None = None,
        seed: str | None = None,
        production: bool = False,
    ) -> Ended:
        path = (
            Path(experiment) if isinstance(experiment, Path) or "\n" not in experiment else tmp_path / "experiment.yaml"
        )
        if isinstance(experiment, str) and "\n" in experiment:
            path.write_text(experiment, encoding="utf-8")
        where = system or system_name(request.config)
        if where is None and "chaos_lab" in request.fixturenames:
            where = str(request.getfixturevalue("chaos_lab").system)
        with as_outcomes(request.session):
            loaded = chaos.load(path, system=where, variables={**given(request.config), **(variables or {})})
            with turn(loaded.system_path):
                return chaos.run(
                    loaded,
                    seed=seed,
                    runs=runs_folder(request.config),
                    production=production or request.config.getoption("--chaos-yes"),
                    ignore_freeze=request.config.getoption("--chaos-ignore-freeze"),
                )

    return run


@pytest.fixture
def chaos_fault(
    chaos_system: tuple[System, Path], request: pytest.FixtureRequest
) -> Callable[..., AbstractContextManager[ArmedFault]]:
    """Faults that are on for as long as a block.

        with chaos_fault("delay", target="model", by="300ms", max_duration="30s") as fault: …

    Requests that are to be hurt carry `fault.headers()`, unless `subjects="users"`: then it hurts whoever comes. Parameters are those of
    `chaos faults NAME`; `traffic`, `subject`, `where`, `subjects` and `max_duration` say whom and how long.
    """
    from chaos.app.one_fault import Reach, armed, fault_of, seconds_of, share_of
    from chaos.pytest_plugin.items import as_outcomes
    from chaos.pytest_plugin.turns import turn

    system, path = chaos_system

    def fault(
        name: str,
        *,
        target: str,
        traffic: str | float = "100%",
        subject: str | None = None,
        where: str | None = None,
        subjects: str = "synthetic",
        max_duration: str | float = "60s",
        **parameters: Any,
    ) -> Iterator[ArmedFault]:
        with as_outcomes(request.session):
            made = fault_of(name, target, parameters)
            with (
                turn(path),
                armed(
                    system,
                    path.parent,
                    made,
                    Reach(share_of(traffic), subject, where, subjects),
                    longest_s=seconds_of(max_duration),
                    production=request.config.getoption("--chaos-yes"),
                    ignore_freeze=request.config.getoption("--chaos-ignore-freeze"),
                ) as on,
            ):
                yield on

    return contextmanager(fault)


@pytest.fixture
def alerts(chaos_system: tuple[System, Path]) -> Alerts:
    """The system's alerts as Prometheus, Alertmanager and the sinks have them; `alerts.wait_for("X", within="30s")`."""
    from chaos.pytest_plugin.alerts import Alerts

    system, path = chaos_system
    return Alerts.of(system, path.parent)
