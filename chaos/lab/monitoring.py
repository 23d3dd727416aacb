"""Finds Prometheus and Alertmanager, or unpacks them from Debian's packages into the project. No system service.

PATH ─▶ .chaos/tools/ (unpacked earlier) ─▶ apt-get download + dpkg -x ─▶ out of Docker images ─▶ MissingTool that says how
"""

from __future__ import annotations

import fcntl
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.errors import MissingTool

PACKAGES = ("prometheus", "prometheus-alertmanager")
NAMES = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "amtool": ("amtool",),
}
"""Tool → what its binary is called, Debian's name first."""
HOW = (
    "Prometheus and Alertmanager are needed and were not found. Any of these helps: `apt-get install prometheus "
    "prometheus-alertmanager` (Debian, Ubuntu), `brew install prometheus alertmanager` (macOS), a Docker engine that may pull "
    "their images, or the binaries from their projects' releases on PATH."
)
PROMETHEUS_IMAGE = "prom/prometheus:v2.53.4"
ALERTMANAGER_IMAGE = "prom/alertmanager:v0.27.0"
IMAGES = {
    PROMETHEUS_IMAGE: ("/bin/prometheus", "/bin/promtool"),
    ALERTMANAGER_IMAGE: ("/bin/alertmanager", "/bin/amtool"),
}
"""Image → the programs in it."""


TEMPLATES = "/usr/share/prometheus/alertmanager"
"""Where Debian's Alertmanager reads its templates, fixed when it was compiled."""
HERE = b"./" * (len(TEMPLATES) // 2)
"""The same number of bytes, and it means the working directory."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the programs are. `templates` must be copied into Alertmanager's working directory; None: it finds its own."""

    prometheus: Path
    promtool: Path
    alertmanager: Path
    templates: Path | None


def _unpacked(folder: Path, name: str) -> Path | None:
    for binary in NAMES[name]:
        path = folder / "usr" / "bin" / binary
        if path.is_file():
            return path
    return None


def _on_path(name: str) -> Path | None:
    for binary in NAMES[name]:
        found = shutil.which(binary)
        if found is not None:
            return Path(found)
    return None


def _look(folder: Path) -> Tools | None:
    found = {name: _on_path(name) or _unpacked(folder, name) for name in NAMES}
    prometheus, promtool, alertmanager = found["prometheus"], found["promtool"], found["alertmanager"]
    if prometheus is None or promtool is None or alertmanager is None:
        return None
    mine = folder / "usr/share/prometheus/alertmanager"
    unpacked = folder.resolve() in alertmanager.resolve().parents
    return Tools(prometheus.resolve(), promtool.resolve(), alertmanager.resolve(), mine.resolve() if unpacked else None)


def lacking(state: Path) -> list[str]:
    """The programs that are neither on PATH nor unpacked below `state`; nothing is fetched."""
    return [
        name
        for name in ("prometheus", "promtool", "alertmanager")
        if not (_on_path(name) or _unpacked(state / "tools", name))
    ]


def _look_for_templates_here(alertmanager: Path) -> None:
    """The unpacked copy of Debian's Alertmanager reads its templates from its working directory.

    Debian compiles an absolute path in that only exists when the package is installed, which takes root and starts a
    system service. A path of the same length takes its place in our copy; nothing else changes.
    """
    program = alertmanager.read_bytes()
    if TEMPLATES.encode() in program:
        fresh = alertmanager.with_suffix(".new")
        fresh.write_bytes(program.replace(TEMPLATES.encode(), HERE))
        fresh.chmod(0o755)
        fresh.replace(alertmanager)


def _run(argv: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(argv, cwd=folder, capture_output=True, timeout=180, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _unpack(folder: Path, report: Callable[[str], None]) -> bool:
    """Debian's packages, downloaded and unpacked below `folder`; whether that worked. Needs no privileges."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    report("unpacking Prometheus and Alertmanager from Debian's packages")
    fetched = _run(["apt-get", "download", "-qq", *PACKAGES], folder)
    if not fetched:
        # The package lists may be missing (a fresh image) or old; refreshing them needs root.
        report("refreshing the package lists (apt-get update)")
        fetched = _run(["apt-get", "update", "-qq"], folder) and _run(["apt-get", "download", "-qq", *PACKAGES], folder)
    if not fetched:
        return False
    unpacked = all(_run(["dpkg", "-x", str(package.resolve()), "."], folder) for package in folder.glob("*.deb"))
    for package in folder.glob("*.deb"):
        package.unlink()
    alertmanager = _unpacked(folder, "alertmanager")
    if alertmanager is not None:
        _look_for_templates_here(alertmanager)
    return unpacked


def _unpack_program(archive: bytes, to: Path) -> None:
    """The one file of the archive stands at `to`, whatever the archive calls it, and can be run. OSError when it has none.

    By hand, since the first releases of Python 3.11 know no filter that keeps an archive's names inside of a folder.
    """
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is not None:
                fresh = to.with_suffix(".new")
                fresh.write_bytes(content.read())
                fresh.chmod(0o755)
                fresh.replace(to)
                return
    raise FileNotFoundError(to.name)


def copy_out(folder: Path, report: Callable[[str], None], images: Mapping[str, tuple[str, ...]] | None = None) -> bool:
    """The programs, copied out of their images by a Docker engine; whether that worked. They are static Linux programs."""
    if sys.platform != "linux":
        return False
    import docker
    from docker.errors import DockerException, ImageNotFound

    (folder / "usr/bin").mkdir(parents=True, exist_ok=True)
    try:
        engine = docker.from_env(timeout=300)
        engine.ping()
        report("copying Prometheus and Alertmanager out of their Docker images")
        for image, programs in (images or IMAGES).items():
            try:
                engine.images.get(image)
            except ImageNotFound:
                engine.images.pull(image)
            made = engine.containers.create(image, command=["never-started"])
            try:
                for program in programs:
                    chunks, _ = made.get_archive(program)
                    _unpack_program(b"".join(chunks), folder / "usr/bin" / Path(program).name)
            finally:
                made.remove()
    except (DockerException, OSError):
        return False
    return True


def find(state: Path, report: Callable[[str], None] = lambda said: None) -> Tools:
    """The programs, unpacked if need be. Raises MissingTool that says how to get them."""
    folder = state / "tools"
    found = _look(folder) if (folder / WHOLE).is_file() or not folder.is_dir() else None
    if found is None:
        # Of several that come at once one fetches, and the others wait until everything is there.
        with _alone(folder):
            found = _look(folder)
            for get in (_unpack, copy_out):
                if found is None and get(folder, report):
                    found = _look(folder)
            if found is not None:
                (folder / WHOLE).touch()
    if found is None:
        raise MissingTool(HOW)
    return found


WHOLE = ".whole"
"""In the folder when everything that was fetched is there: what somebody else is still unpacking is not looked at."""


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else fetches into this folder until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
