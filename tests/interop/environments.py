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
    "openai": ("llmock",),
}
"""What is installed into each, in the newest versions that the package index has. Delete an environment to get newer ones."""
_INSTALL_S = 600.0


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found is not None, "uv is missing; `make setup` installs it"
    return found


def environment(name: str) -> Path:
    """The folder with the environment's programs (`bin`), which is installed first where it is not yet.

    Raises AssertionError with what the installer said.
    """
    place = FOLDER / name
    stamp, wanted = place / ".installed", "\n".join(NEEDS[name])
    if not stamp.exists() or stamp.read_text() != wanted:
        FOLDER.mkdir(parents=True, exist_ok=True)
        _told(_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        _told(_uv(), "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *NEEDS[name])
        stamp.write_text(wanted)
    return place / "bin"


def version(name: str, package: str) -> str:
    """Which version of a package is in the environment."""
    script = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    return _told(str(environment(name) / "python"), "-c", script, package).strip()


def _told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_S)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
