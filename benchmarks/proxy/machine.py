"""Processes pinned to a core, what they cost, and their end. Linux: CPU time and memory are read from /proc."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
TWO_TICKS_NS = round(2 * TICK_S * 1e9)
"""How far ticks may be off: user and system time of a process are rounded, each for itself."""
PATIENCE_S = 20.0
"""How long a process may take to listen."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core has the backend and the load, and which the peer under test. The same one where there is only one."""

    load: int
    peer: int


def cores() -> Cores:
    """Two of the cores that this process may use. Raises OSError where processes cannot be pinned (not Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        raise OSError("processes cannot be pinned to a core here; the benchmark needs Linux")
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[-1])


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Within, this process runs on one core only; what it starts inherits that, threads and children included."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A port at which nobody listens right now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _children(number: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{number}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def family(number: int) -> list[int]:
    """A process and all its descendants, by id."""
    return [number, *(below for child in _children(number) for below in family(child))]


def _ticks_ns(number: int) -> int:
    """User and system time of a whole process, to the kernel's tick of 10 ms."""
    with contextlib.suppress(OSError):
        # The name in brackets may hold spaces; utime and stime are the 12th and 13th field behind it.
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return round((int(fields[11]) + int(fields[12])) * TICK_S * 1e9)
    return 0


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU that processes have used so far: nanoseconds of each, by its id, in the order of `family`."""

    processes: tuple[tuple[int, int], ...]

    def since(self, before: Usage) -> float:
        """Seconds used since then. A process that came or went between counts as far as it can be seen."""
        earlier = dict(before.processes)
        return sum(max(0, used - earlier.get(one, 0)) for one, used in self.processes) / 1e9

    def same(self, other: Usage) -> bool:
        """Whether exactly the same processes were alive: only then is the difference the whole truth."""
        return {one for one, _ in self.processes} == {one for one, _ in other.processes}


def usage(number: int) -> Usage:
    """Of a process and its living descendants, by the scheduler's own count where the kernel tells it.

    The usual count has ticks of 10 ms, twice for each process: a tenth of what an idle proxy uses in a second. The
    scheduler's has nanoseconds, of living threads alone; a process of which a thread has ended is told by the ticks.
    """
    return Usage(tuple((one, max(_scheduled_ns(one), _ticks_ns(one) - TWO_TICKS_NS)) for one in family(number)))


def _scheduled_ns(number: int) -> int:
    """What the scheduler has given to the living threads of one process; 0 where the kernel does not tell."""
    used = 0
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{number}/task").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                used += int((thread / "schedstat").read_text().split()[0])
    return used


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process and its descendants hold, in 10^6 bytes."""

    rss_mb: float
    """Resident, summed: a page that several share counts for each of them."""
    pss_mb: float
    """Proportional, summed: a page that several share, these or any others of this machine, counts once in all."""
    parent_mb: float
    """Resident in the first process."""
    largest_mb: float
    """Resident in the largest of the others; 0 when there is none."""


def memory(number: int) -> Memory:
    """What is held now."""
    held = [_held(one) for one in family(number)]
    resident = [rss for rss, _ in held]
    return Memory(sum(resident), sum(pss for _, pss in held), resident[0], max(resident[1:], default=0.0))


def _held(number: int) -> tuple[float, float]:
    """Resident and proportional memory of one process in 10^6 bytes; zeros when it is gone."""
    with contextlib.suppress(OSError):
        lines = (line.split() for line in Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()[1:])
        told = {words[0]: int(words[1]) * 1024 / 1e6 for words in lines if len(words) == 3}
        return told["Rss:"], told["Pss:"]
    return 0.0, 0.0


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False


@dataclass(slots=True)
class Running:
    """A process of this benchmark, in a session of its own: Ctrl-C does not reach it before its turn."""

    process: subprocess.Popen[bytes]
    log: Path

    def end(self) -> None:
        """The process has ended, and its children too: by SIGTERM, or after a moment by SIGKILL."""
        descendants = family(self.process.pid)[1:]
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for one in descendants:
            with contextlib.suppress(OSError):
                # Orphans of ours alone: they are still in the session that this process began.
                if os.getsid(one) == self.process.pid:
                    os.kill(one, signal.SIGKILL)


def start(
    argv: Sequence[str], core: int | None, log: Path, ports: Sequence[int], environment: Mapping[str, str] | None = None
) -> Running:
    """A process that runs on this core (None: on any) and listens at all these ports. Raises RuntimeError with its last words.

    Python's modules are compiled once and kept, whatever this process was told: those that compile at each start hold more memory.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("wb") as output, pinned(core):
        process = subprocess.Popen(
            argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**kept, **(environment or {})},
        )  # fmt: skip
    running = Running(process, log)
    try:
        until = time.monotonic() + PATIENCE_S
        while not all(listens(port) for port in ports):
            if process.poll() is not None or time.monotonic() > until:
                said = " ".join(log.read_text(errors="replace").split())[-300:]
                raise RuntimeError(f"{Path(argv[0]).name} does not listen: {said}")
            time.sleep(0.02)
    except BaseException:
        running.end()
        raise
    return running


def facts() -> dict[str, str]:
    """What the numbers depend on: processor, cores, kernel, Python."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }
