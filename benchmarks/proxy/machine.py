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
def pinned(core: int) -> Iterator[None]:
    """Within, this process runs on one core only; what it starts inherits that, threads and children included."""
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


def cpu_s(number: int) -> float:
    """Seconds of CPU (user and system) of a process and its living descendants so far."""
    ticks = 0
    for one in family(number):
        with contextlib.suppress(OSError):
            # The name in brackets may hold spaces; utime and stime are the 12th and 13th field behind it.
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks * TICK_S


def rss_mb(number: int) -> float:
    """Resident memory of a process and its descendants, in 10^6 bytes; pages that they share count for each."""
    pages = 0
    for one in family(number):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


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
    argv: Sequence[str], core: int, log: Path, ports: Sequence[int], environment: Mapping[str, str] | None = None
) -> Running:
    """A process that runs on this core and listens at all these ports. Raises RuntimeError with its last words."""
    with log.open("wb") as output, pinned(core):
        process = subprocess.Popen(
            argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **(environment or {})},
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
