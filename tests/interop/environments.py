"""Virtual environments of servers and clients, one each below `.chaos/interop`: they share no package with the project."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".chaos" / "interop"
NEEDS: dict[str, tuple[str, ...]] = {
    "clients": ("tritonclient[http,grpc]", "openai", "requests"),
    "mlserver": ("mlserver", "mlserver-sklearn"),
    "mlflow": ("mlflow", "scikit-learn", "fastapi", "uvicorn"),
    "kserve": ("kserve", "scikit-learn"),
    "llama": ("xllamacpp", "gguf"),
    "llmock": ("llmock",),
}
"""What is installed into each, in the newest versions that the package index has. Delete an environment to get newer ones."""
_INSTALL_S = 900.0
_MOST_SAID = 400


class NotInstalled(Exception):
    """An environment that cannot be had on this machine, in one sentence."""


_failed: dict[str, NotInstalled] = {}


def installed(name: str) -> bool:
    """Whether the environment is there, with the packages that it needs by now."""
    stamp = FOLDER / name / ".installed"
    return stamp.exists() and stamp.read_text() == "\n".join(NEEDS[name])


def environment(name: str) -> Path:
    """The folder with the environment's programs (`bin`), which is installed first where it is not yet.

    Raises NotInstalled, at once when it was tried before.
    """
    if name in _failed:
        raise _failed[name]
    place = FOLDER / name
    if not installed(name):
        FOLDER.mkdir(parents=True, exist_ok=True)
        try:
            _told(_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(place))
            _told(_uv(), "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *NEEDS[name])
        except NotInstalled as error:
            _failed[name] = NotInstalled(f"{', '.join(NEEDS[name])} cannot be installed: {error}")
            raise _failed[name] from error
        (place / ".installed").write_text("\n".join(NEEDS[name]))
    return place / "bin"


def version(name: str, package: str) -> str:
    """Which version of a package is in the environment. Raises NotInstalled."""
    script = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    return _told(str(environment(name) / "python"), "-c", script, package).strip()


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise NotInstalled("uv is missing; `make setup` installs it")
    return found


def _told(*command: str) -> str:
    """What the command said. Raises NotInstalled with what it complained about, on one line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"it took longer than {_INSTALL_S:.0f} s") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"{Path(command[0]).name} ended with {done.returncode}"
        raise NotInstalled(said if len(said) <= _MOST_SAID else said[: _MOST_SAID - 1] + "…")
    return done.stdout
