"""A file that fills a disk of a container, and its removal."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.drivers.base import Act, Before
from chaos.drivers.docker_engine import Reached
from chaos.drivers.docker_stress import NO_SHELL
from chaos.drivers.docker_verbs import Done, running
from chaos.errors import Unreachable
from chaos.units import format_size

FILE = ".chaos-disk-fill"
FREE = 'df -Pk "$1" | tail -n 1'
# The kernel can promise the space without anything being written, if there is as much; else it is filled until nothing fits.
FILL = (
    'set -C; umask 077; : > "$1" || exit 3; set +C; '
    '{ command -v fallocate > /dev/null && fallocate -l "$2" "$1" 2> /dev/null; } || head -c "$2" /dev/zero > "$1" 2> /dev/null; '
    'wc -c < "$1"'
)
SPARE_SHARE = 0.1
SPARE_BYTES = 1024**3
ITS_OWN = ("tmpfs", "shm")
"""File systems in memory are held by the container's limits; on any other one live others, too."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system as `df` tells it, in bytes."""

    name: str
    size: int
    used: int
    free: int

    @staticmethod
    def parse(line: str) -> Disk:
        """The line of `df -Pk`. Raises Unreachable when it is none."""
        words = line.split()
        try:
            # A name may hold spaces; what follows it has five words.
            size, used, free = (int(word) * 1024 for word in words[-5:-2])
            return Disk(" ".join(words[:-5]), size, used, free)
        except ValueError as error:
            raise Unreachable(f"`df` in the container says nothing that is understood: {line.strip()[:100]}") from error

    def told(self) -> str:
        """`95% used, 12MB free`."""
        return f"{self.used / max(1, self.size):.0%} used, {self.free} bytes free"

    def fits(self, size: int) -> bool:
        """Whether nobody else is hurt by so many bytes more."""
        if self.name in ITS_OWN:
            return True
        return self.free - size >= max(SPARE_BYTES, self.size * SPARE_SHARE)


def _path(act: Act) -> str:
    return f"{str(act.parameters['path']).rstrip('/')}/{FILE}"


class DiskFill:
    """Space is taken by a file of a fixed name."""

    def cannot(self, act: Act, at: Reached) -> str | None:
        """The folder must be there, and the disk must not be one that others need."""
        if not at.has_shell():
            return NO_SHELL
        folder, size = str(act.parameters["path"]), int(act.number("size"))
        try:
            at.run('[ -d "$1" ] && [ -w "$1" ] && [ ! -e "$1/$2" ]', folder, FILE)
        except Unreachable:
            return f"`path: {folder}` is no folder that can be written there, or it holds a {FILE} already"
        disk = Disk.parse(at.run(FREE, folder))
        if not disk.fits(size):
            return (
                f"{folder} is on {disk.name}, which others need as well: {format_size(size)} would leave less than a tenth, or "
                f"less than 1GiB, of it free; write a smaller `size:`, or a path on a tmpfs"
            )
        return None

    def apply(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """The file is there, and as long as there was room for."""
        folder, size = str(act.parameters["path"]), int(act.number("size"))
        earlier = Disk.parse(at.run(FREE, folder))
        if not earlier.fits(size):
            raise Unreachable(f"{folder} has become too full since the plan was made; nothing was written there")
        length = int(at.run(FILL, _path(act), str(size)))
        done = Done(f"{length} bytes in {_path(act)} of {at.name}")
        later = Disk.parse(at.run(FREE, folder))
        if length == 0 or later.used <= earlier.used:
            raise Unreachable(f"{done.call}: shows no effect in `df`")
        return Done(done.call, {"disk before": earlier.told(), "disk": later.told()}, done.at_wall_s)

    def undo(self, act: Act, at: Reached, before: Before) -> Done:
        """The file is gone."""
        running(at, "filled up", self.by_hand(act, at.container.id[:12], at.docker, before))
        said = at.run('[ -e "$1" ] && rm "$1" && echo gone; [ ! -e "$1" ]', _path(act)).strip()
        call = f"rm {_path(act)} in {at.name}" if said else f"nothing to do {at.name}"
        return Done(call, {"disk": Disk.parse(at.run(FREE, str(act.parameters["path"]))).told()})

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:  # noqa: ARG002
        """Remove it."""
        return f"{docker} exec -u 0 {at} rm -f {_path(act)}"
