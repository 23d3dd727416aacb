"""The engine's host seen from its own root: control groups, network namespaces and signals of a container's main process.

Only where this program is root on the very host of the engine. Whether it is, is not asked but seen: the process that the engine
names must exist here and belong to the container's own control group.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaos.errors import Unreachable

GROUPS = Path("/sys/fs/cgroup")
CPU_FILES = ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.max")
MEMORY_FILES = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max", "memory.swap.max")


@dataclass(frozen=True, slots=True)
class Beside:
    """A running container's main process, in reach. `pid` is this host's number of it, `id` the container's."""

    pid: int
    id: str

    @staticmethod
    def of(pid: int, container_id: str) -> Beside | None:
        """The process, if this is the root of its host; None when it is not, or when nothing runs."""
        if pid <= 0 or os.geteuid() != 0:
            return None
        try:
            return Beside(pid, container_id) if container_id in Path(f"/proc/{pid}/cgroup").read_text() else None
        except OSError:
            return None

    def kill(self) -> None:
        """The main process has got a SIGKILL from its host, as from the kernel itself."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError as error:
            raise Unreachable("the main process is gone already; it was left alone") from error

    def in_network(self, script: str, within_s: float) -> str:
        """What a shell script says in the container's network namespace. Raises Unreachable with its last words."""
        return shell(["nsenter", "-t", str(self.pid), "-n", "sh", "-c", script], within_s)

    def limits(self) -> dict[str, str]:
        """Path → content of the files that limit the container's processor time and memory, as far as there are any."""
        found: dict[str, str] = {}
        for controller, names in (("cpu", CPU_FILES), ("memory", MEMORY_FILES)):
            folder = self.group(controller)
            for name in names if folder is not None else ():
                assert folder is not None
                try:
                    found[str(folder / name)] = (folder / name).read_text().strip()
                except OSError:
                    continue
        return found

    def group(self, controller: str) -> Path | None:
        """The folder of the container's own control group; None when the kernel has no such controller."""
        for line in Path(f"/proc/{self.pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            mounts = [GROUPS / controllers, GROUPS / controller] if controllers else [GROUPS]
            for mount in mounts:
                folder = mount / path.lstrip("/")
                if self.id in path and any((folder / name).exists() for name in (*CPU_FILES, *MEMORY_FILES)):
                    return folder
        return None


def shell(argv: list[str], within_s: float) -> str:
    """What a program says on its standard output. Raises Unreachable when it fails, is missing, or takes too long."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=within_s, check=False)
    except FileNotFoundError as error:
        raise Unreachable(f"`{argv[0]}` is not on this machine; install it (Debian: util-linux)") from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"`{argv[0]}` did not end within {within_s:.1f}s; is the machine overloaded?") from error
    if done.returncode != 0:
        raise Unreachable(_last_words(done.stderr or done.stdout))
    return done.stdout


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return "; ".join(lines[-2:]) or "it failed and did not say why"


def write_limits(limits: Mapping[str, str], container_id: str) -> None:
    """Every file has its content. Raises Unreachable when the kernel refuses, or when a path is not one of the container's."""
    left = dict(limits)
    refused: OSError | None = None
    for _ in range(
        2
    ):  # memory may not be above memory and swap together: what is refused first may pass after the others
        for path, content in list(left.items()):
            if not own(path, container_id):
                raise Unreachable(f"{path} is no limit of the container {container_id[:12]}; nothing was written there")
            try:
                Path(path).write_text(content)
                del left[path]
            except OSError as error:
                refused = error
    if left:
        raise Unreachable(f"the kernel refused {', '.join(left)}: {refused}")


def read_limit(path: str) -> str | None:
    """The content of a limit's file; None when its group is gone, together with the container."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def own(path: str, container_id: str) -> bool:
    """Whether a path, perhaps read from a disk, is a limit of this container and of nobody else."""
    parts = Path(path)
    return (
        parts.is_relative_to(GROUPS)
        and ".." not in parts.parts
        and container_id in parts.parent.name
        and parts.name in (*CPU_FILES, *MEMORY_FILES)
    )
