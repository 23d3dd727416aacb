"""Each thing that may be missing is named with the command that mends it; what is well is said to be well."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chaos.app import doctor
from chaos.drivers import this_machine
from chaos.drivers.state import State
from chaos.drivers.this_machine import Engine
from chaos.undo_list import UndoList

HEAVY = ("requests", "docker", "numpy", "pydantic", "sklearn", "pandas", "aiohttp", "yaml")


def said_of(*words: str, state: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chaos", "doctor", *words],
        env={**os.environ, "CHAOS_STATE": str(state), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_every_warning_and_everything_missing_comes_with_what_mends_it(tmp_path: Path) -> None:
    said = said_of("--json", state=tmp_path / "state", DOCKER_HOST="unix:///nowhere.sock")
    found = json.loads(said.stdout)
    assert {row["what"] for row in found} >= {
        "Python",
        "Docker",
        "NET_ADMIN",
        "state folder",
        "open files",
        "dead runs",
    }
    assert all(row["mend"] for row in found if row["condition"] != "ok")
    assert said.returncode == (3 if any(row["condition"] == "missing" for row in found) else 0)


def test_it_loads_nothing_heavy() -> None:
    program = (
        "import sys; from pathlib import Path; from chaos.app import doctor; doctor.examine(Path('nowhere'));"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "[]"


def test_what_a_dead_run_may_have_left_is_missing_until_it_is_recovered(tmp_path: Path) -> None:
    lock = State(tmp_path).run("dead-1").begin(UndoList("dead-1", "test", str(tmp_path), 1.0, 1.0))
    assert [one.condition for one in doctor.leftovers(State(tmp_path))] == ["ok"]  # it lives
    lock.release()
    (found,) = doctor.leftovers(State(tmp_path))
    assert (found.condition, found.mend) == ("missing", "chaos recover")


def test_that_no_run_may_begin_is_said_with_the_command_that_allows_them(tmp_path: Path) -> None:
    State(tmp_path).block("somebody")
    assert next(one.mend for one in doctor.leftovers(State(tmp_path))) == "chaos resume"


@pytest.mark.parametrize(
    ("engine", "condition", "mend"),
    [
        (Engine("unix:///x", "1.43"), "ok", ""),
        (Engine("unix:///x", "1.39"), "warning", "docker.io"),
        (Engine("unix:///x", why_not="no rights"), "warning", "usermod -aG docker"),
        (Engine("unix:///x", why_not="not running"), "warning", "systemctl start docker"),
    ],
)
def test_an_engine_is_well_old_forbidden_or_not_there(engine: Engine, condition: str, mend: str) -> None:
    found = doctor.docker(engine)
    assert found.condition == condition
    assert mend in found.mend


def test_an_engine_says_its_interface_on_its_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def answer() -> None:
            asking, _ = listening.accept()
            with asking:
                asking.recv(1000)
                asking.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"ApiVersion":"1.47"}')

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert this_machine.docker_engine({"DOCKER_HOST": f"unix://{path}"}) == Engine(f"unix://{path}", "1.47")
        thread.join()
    assert this_machine.docker_engine({"DOCKER_HOST": f"unix://{tmp_path}/no.sock"}).why_not == "not running"


@pytest.mark.parametrize(
    ("imports", "condition", "whose"),
    [("chaos.app.door", "ok", ""), ("chaostoolkit.__main__", "warning", "Chaos Toolkit's"), ("", "warning", "another")],
)
def test_which_chaos_wins_on_path(imports: str, condition: str, whose: str, tmp_path: Path) -> None:
    program = tmp_path / "chaos"
    program.write_text(f"#!/usr/bin/python3\nimport sys\nfrom {imports} import main\n" if imports else "#!/bin/sh\n")
    program.chmod(0o755)
    found = doctor.command(str(tmp_path), tmp_path / "elsewhere")
    assert found.condition == condition
    assert whose in found.says


def test_a_state_folder_that_others_may_write_is_missing_with_its_chmod(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    found = doctor.state_folder(tmp_path / "state", this_machine.folder_problem(tmp_path / "state"))
    assert found.mend == f"chmod 700 {tmp_path / 'state'}"
    (tmp_path / "state").chmod(0o700)
    assert this_machine.folder_problem(tmp_path / "state") is None


@pytest.mark.parametrize(("offset_s", "condition"), [(0.0, "ok"), (90.0, "missing")])
def test_a_clock_that_is_not_prometheus_is_told(offset_s: float, condition: str) -> None:
    found = doctor.clock(offset_s)
    assert found.condition == condition


def test_few_open_files_are_a_warning_with_the_command_that_raises_them() -> None:
    assert doctor.files(1024, 4096).mend == "ulimit -n 4096"
    assert doctor.files(65536, -1).condition == "ok"


def test_an_old_python_is_missing() -> None:
    assert doctor.python((3, 10, 4)).condition == "missing"


def test_lines_fit_the_terminal_and_a_command_stays_whole() -> None:
    long = "word " * 30
    command = "sudo something --with-options    # or: another thing that takes its time to explain itself"
    found = [
        doctor.Finding("Docker", "warning", long, command),
        doctor.Finding("NET_ADMIN", "warning", "not held", f"write `docker: tools` {long}"),
    ]
    lines = doctor.told(found, as_json=False, width=60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert "    → sudo something --with-options" in lines
    assert lines[1].startswith(" " * len("! NET_ADMIN  ") + "word")
    assert f"→ {command}" in doctor.told(found, as_json=False)
