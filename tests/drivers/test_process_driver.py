"""The process driver keeps the containers' contract with real processes; and what only processes can do wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from chaos.drivers.base import Act, Status
from chaos.drivers.process import ProcessDriver, identity
from chaos.drivers.process_table import ProcessEntry, ProcessTable, spawn
from chaos.errors import ChaosError, NotUndone, Unreachable
from tests.drivers.container_contract import KILL, OPT_IN, PAUSE, ContainerContract, ContainerWorld
from tests.drivers.loopback import eventually

SLEEPER = "import time; time.sleep(600)"
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
time.sleep(600)
"""


class Machine:
    """A process table with real processes; ends all that it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = ProcessTable(folder / "processes.json")
        self.started: list[tuple[int, float]] = []

    def start(
        self, name: str, app: str, *, opted_in: bool = True, code: str = SLEEPER, first: bool = True
    ) -> ProcessEntry:
        """The program runs and stands in the table. Its name is among its arguments, so that no two are alike."""
        labels = {"app": app} | ({OPT_IN[0]: OPT_IN[1]} if opted_in else {})
        argv = (sys.executable, "-c", code, name)
        entry = spawn(ProcessEntry(name, argv, str(self.folder), str(self.folder / f"{name}.log"), {}, labels))
        self.table.update(entry)
        return entry

    def entry(self, name: str) -> ProcessEntry:
        return next(entry for entry in self.table.entries() if entry.name == name)

    def status(self, name: str) -> Status:
        """As the kernel says, read from /proc and not through the driver."""
        entry = next((entry for entry in self.table.entries() if entry.name == name), None)
        if entry is None:
            return "gone"
        try:
            letter = Path(f"/proc/{entry.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "exited"
        return {"T": "paused", "Z": "exited", "X": "exited"}.get(letter, "running")  # type: ignore[return-value]

    def remove(self, name: str) -> None:
        """The process is gone, and somebody else did it."""
        self._end(self.entry(name))

    def replace(self, name: str) -> None:
        """Another incarnation stands under the same name, as after a restart by somebody else."""
        entry = self.entry(name)
        self._end(entry)
        self.table.update(spawn(entry))

    def end(self) -> None:
        """Nothing that was started is left."""
        for entry in self.table.entries():
            self._end(entry)

    @staticmethod
    def _end(entry: ProcessEntry) -> None:
        found = entry.running()
        for one in [*found.children(recursive=True), found] if found is not None else []:
            one.kill()
            psutil.wait_procs([one], timeout=5)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    try:
        yield made
    finally:
        made.end()


def driver_of(machine: Machine) -> ProcessDriver:
    return ProcessDriver(machine.table, {"app": "model"}, OPT_IN)


class TestProcesses(ContainerContract):
    """The contract, with SIGKILL and SIGSTOP."""

    @pytest.fixture
    def world(self, machine: Machine) -> ContainerWorld:
        machine.start("b-second", "model")
        machine.start("a-first", "model")
        machine.start("c-shy", "model", opted_in=False)
        machine.start("alien", "gateway")
        return ContainerWorld(
            driver_of(machine), machine.status, "a-first", "b-second", "c-shy", "alien", machine.remove, machine.replace,
            lambda: driver_of(machine),
        )  # fmt: skip


def test_a_pid_that_belongs_to_somebody_else_by_now_is_never_signalled(machine: Machine) -> None:
    entry = machine.start("model-1", "model")
    machine.table.update(replace(entry, create_time_s=entry.create_time_s - 3600))
    driver = driver_of(machine)
    (found,) = driver.find()
    assert found.status == "exited", "the one that was meant is gone; the pid names another one"
    for act in (KILL, PAUSE):
        with pytest.raises(Unreachable, match="left alone"):
            driver.apply(act, found, {})
    assert machine.status("model-1") == "running"
    machine.table.update(entry)


def test_undo_of_a_kill_leaves_the_new_owner_of_the_pid_alone_and_starts_the_program(machine: Machine) -> None:
    entry = machine.start("model-1", "model")
    os.kill(entry.pid, signal.SIGSTOP)
    eventually(lambda: machine.status("model-1") == "paused", 5, "the stranger is stopped")
    ours = replace(entry, create_time_s=entry.create_time_s - 3600)
    machine.table.update(replace(ours, ended=identity(ours)))
    driver = driver_of(machine)
    (before,) = driver.find()
    driver.undo(KILL, before, {})
    fresh = machine.entry("model-1")
    try:
        assert fresh.pid != entry.pid
        assert machine.status("model-1") == "running"
        assert psutil.Process(entry.pid).status() == psutil.STATUS_STOPPED, "the stranger was not even continued"
    finally:
        os.kill(entry.pid, signal.SIGKILL)


def test_a_process_that_died_for_another_reason_is_reported_and_not_started(machine: Machine) -> None:
    entry = machine.start("model-1", "model")
    driver = driver_of(machine)
    (before,) = driver.find()
    os.kill(entry.pid, signal.SIGKILL)
    eventually(lambda: machine.status("model-1") == "exited", 5, "it is dead")
    with pytest.raises(Unreachable):
        driver.apply(KILL, before, {})
    with pytest.raises(NotUndone, match="no run has ended it"):
        driver.undo(KILL, before, {})
    assert machine.entry("model-1").pid == entry.pid


def test_undos_at_once_start_a_process_once(machine: Machine) -> None:
    machine.start("model-1", "model")
    (before,) = driver_of(machine).find()
    driver_of(machine).apply(KILL, before, {})
    done: list[str] = []
    undos = [
        threading.Thread(target=lambda: done.append(driver_of(machine).undo(KILL, before, {}).call)) for _ in range(4)
    ]
    for undo in undos:
        undo.start()
    for undo in undos:
        undo.join()
    assert sum(call.startswith("started") for call in done) == 1
    assert len(done) == 4


def test_a_restart_is_the_same_program_in_the_same_place_with_the_same_surroundings(machine: Machine) -> None:
    code = "import os, sys, time; print(os.getcwd(), os.environ['COLOUR'], sys.argv[1:], flush=True); time.sleep(600)"
    log = machine.folder / "model-1.log"
    (machine.folder / "there").mkdir()
    argv = (sys.executable, "-c", code, "an argument", "$HOME *")
    entry = spawn(
        ProcessEntry(
            "model-1",
            argv,
            str(machine.folder / "there"),
            str(log),
            {"COLOUR": "blue"},
            {"app": "model"} | dict([OPT_IN]),
        )
    )
    machine.table.update(entry)
    eventually(lambda: log.read_text().count("\n") == 1, 10, "the first start")
    driver = driver_of(machine)
    (before,) = driver.find()
    driver.apply(KILL, before, {})
    driver.undo(KILL, before, {})
    eventually(lambda: log.read_text().count("\n") == 2, 10, "the second start")
    first, second = log.read_text().splitlines()
    assert first == second
    assert machine.entry("model-1").pid != entry.pid
    assert os.getsid(machine.entry("model-1").pid) != os.getsid(0), "it outlives the runner's terminal"


STOP_AT_ONCE = Act("stop", {"grace": 1.0})


@pytest.mark.parametrize("act", [KILL, PAUSE, STOP_AT_ONCE], ids=lambda act: act.verb)
def test_children_share_the_fate_of_their_parent(machine: Machine, act: Act) -> None:
    machine.start("model-1", "model", code=PARENT)
    child = int(eventually(lambda: (machine.folder / "model-1.log").read_text().strip(), 10, "the child runs"))
    born_s = psutil.Process(child).create_time()
    driver = driver_of(machine)
    (before,) = driver.find()
    try:
        driver.apply(act, before, {})

        def hurt() -> bool:
            try:
                found = psutil.Process(child)
                return found.status() == (psutil.STATUS_STOPPED if act is PAUSE else psutil.STATUS_ZOMBIE)
            except psutil.NoSuchProcess:
                return act is not PAUSE

        eventually(hurt, 5, "the child is hurt, too")
        driver.undo(act, before, {})
        if act is PAUSE:
            eventually(lambda: psutil.Process(child).status() != psutil.STATUS_STOPPED, 5, "the child goes on, too")
    finally:
        try:
            found = psutil.Process(child)
            if found.create_time() == born_s:
                found.kill()
        except psutil.NoSuchProcess:
            pass


def test_one_that_died_while_it_was_paused_is_not_started_anew_and_the_message_says_how(machine: Machine) -> None:
    machine.start("model-1", "model")
    driver = driver_of(machine)
    (before,) = driver.find()
    driver.apply(PAUSE, before, {})
    machine.remove("model-1")
    with pytest.raises(NotUndone, match="died for another reason") as caught:
        driver.undo(PAUSE, before, {})
    assert "CONT" not in caught.value.by_hand, "there is nobody to continue; the program must be started"
    assert machine.status("model-1") == "exited"


def test_the_command_by_hand_really_undoes_it(machine: Machine) -> None:
    machine.start("model-1", "model")
    driver = driver_of(machine)
    (before,) = driver.find()
    driver.apply(PAUSE, before, {})
    subprocess.run(driver.by_hand(PAUSE, before, {}), shell=True, check=True)
    eventually(lambda: machine.status("model-1") == "running", 5, "continued by hand")
    driver.apply(KILL, before, {})
    by_hand = subprocess.Popen(["sh", "-c", "exec " + driver.by_hand(KILL, before, {}).partition(" && ")[2]])
    try:
        argv = list(machine.entry("model-1").argv)
        eventually(
            lambda: psutil.Process(by_hand.pid).cmdline() == argv, 5, "a shell starts it with the same arguments"
        )
    finally:
        by_hand.kill()
        by_hand.wait()


def test_the_command_by_hand_goes_to_the_place_of_the_program_and_never_shows_what_may_be_secret(
    tmp_path: Path,
) -> None:
    table = ProcessTable(tmp_path / "processes.json")
    argv = (sys.executable, "-c", "import os, sys; print(os.getcwd(), sys.argv[1:])", "it's $HOME", "*")
    (tmp_path / "a place").mkdir()
    entry = ProcessEntry("model-1", argv, str(tmp_path / "a place"), "/dev/null", {"TOKEN": "s3cret"}, {"app": "model"})
    table.update(entry)
    driver = ProcessDriver(table, {"app": "model"}, OPT_IN)
    command = driver.by_hand(KILL, driver.find()[0], {})
    assert "s3cret" not in command
    assert "TOKEN" in command
    said = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)
    assert said.stdout.strip() == f"{tmp_path}/a place [\"it's $HOME\", '*']"


def test_a_program_that_is_gone_from_the_disk_is_not_undone_with_one_sentence(machine: Machine) -> None:
    program = machine.folder / "program"
    program.symlink_to(sys.executable)
    argv = (str(program), "-c", SLEEPER)
    entry = spawn(
        ProcessEntry(
            "model-1", argv, str(machine.folder), str(machine.folder / "log"), {}, {"app": "model"} | dict([OPT_IN])
        )
    )
    machine.table.update(entry)
    driver = driver_of(machine)
    (before,) = driver.find()
    driver.apply(KILL, before, {})
    program.unlink()
    with pytest.raises(NotUndone, match="model-1"):
        driver.undo(KILL, before, {})


def test_a_table_that_is_gone_is_one_sentence(machine: Machine) -> None:
    machine.start("model-1", "model")
    driver = driver_of(machine)
    (before,) = driver.find()
    machine.table.path.rename(machine.table.path.with_suffix(".away"))
    try:
        assert driver.find() == []
        with pytest.raises(ChaosError, match="was the system taken down"):
            driver.apply(KILL, before, {})
        with pytest.raises(ChaosError, match="was the system taken down"):
            driver.undo(KILL, before, {})
    finally:
        machine.table.path.with_suffix(".away").rename(machine.table.path)
    assert machine.status("model-1") == "running"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"processes": 3}', '{"processes": [{"name": "x"}]}', "null"])
def test_a_table_that_cannot_be_read_is_an_error_of_ours_and_no_traceback(tmp_path: Path, text: str) -> None:
    table = ProcessTable(tmp_path / "processes.json")
    table.path.write_text(text)
    with pytest.raises(ChaosError, match=r"processes\.json"):
        table.entries()


def test_two_writers_never_lose_each_others_entries(tmp_path: Path) -> None:
    path = tmp_path / "processes.json"

    def write(writer: int) -> None:
        for place in range(25):
            ProcessTable(path).update(ProcessEntry(f"{writer}-{place}", ("true",), "/", "/dev/null"))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ProcessTable(path).entries()  # a reader never sees half a table
    for thread in threads:
        thread.join()
    assert len(ProcessTable(path).entries()) == 100


def test_a_table_is_private_and_reads_back_what_was_written(tmp_path: Path) -> None:
    entry = ProcessEntry("é", ("a", "b c"), "/", "/dev/null", {"KEY": "v\n"}, {"l": 'v"'}, 4711, 1.25)
    table = ProcessTable(tmp_path / "deep" / "processes.json")
    table.update(entry)
    assert table.entries() == [entry]
    assert table.path.stat().st_mode & 0o077 == 0
    assert identity(entry) == "4711:1.25"


def test_an_entry_that_was_never_started_runs_nowhere(tmp_path: Path) -> None:
    assert ProcessEntry("x", ("true",), "/", "/dev/null").running() is None
    assert ProcessEntry("x", ("true",), "/", "/dev/null", pid=os.getpid(), create_time_s=1.0).running() is None


def test_nothing_runs_of_which_the_table_could_not_be_told(tmp_path: Path) -> None:
    """Whoever starts a process may die before anybody else knows of it: then another one would start it a second time."""
    log, known = tmp_path / "log", []
    entry = ProcessEntry("model-1", ("/bin/sh", "-c", "echo begun"), str(tmp_path), str(log))

    def dies(fresh: ProcessEntry) -> None:
        known.append(fresh)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spawn(entry, dies)
    eventually(lambda: known[0].running() is None, 10, "what was on hold has ended")
    assert log.read_bytes() == b""


def test_a_program_that_is_not_there_is_no_process(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spawn(ProcessEntry("model-1", (str(tmp_path / "nothing"),), str(tmp_path), str(tmp_path / "log")))
