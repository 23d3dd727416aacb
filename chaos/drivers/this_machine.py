"""What is true of this machine, for `chaos doctor`: each question asked of the system itself, none of them slow, none changing anything."""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

NET_ADMIN = 12
"""The capability's bit, as Linux numbers them."""
ENGINE_S = 1.0
"""How long a Docker engine may take to say that it is there."""
LONGEST_HEAD = 65536


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine, as its socket says: `api` is the newest version of its interface, `why_not` why nobody can talk to it."""

    address: str
    api: str = ""
    why_not: str = ""


def docker_engine(environment: Mapping[str, str]) -> Engine:
    """The engine that the environment names, or the usual one."""
    address = environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        parts = urlsplit(address)
        there: str | tuple[str, int] = (
            parts.path if parts.scheme == "unix" else (parts.hostname or "", parts.port or 2375)
        )
        with socket.socket(socket.AF_UNIX if isinstance(there, str) else socket.AF_INET) as asking:
            asking.settimeout(ENGINE_S)
            asking.connect(there)
            asking.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
            said = b""
            while (piece := asking.recv(4096)) and len(said) < LONGEST_HEAD:
                said += piece
    except PermissionError:
        return Engine(address, why_not="no rights")
    except (FileNotFoundError, ConnectionRefusedError):
        return Engine(address, why_not="not running")
    except (OSError, ValueError) as error:
        return Engine(address, why_not=str(error) or type(error).__name__)
    found = re.search(rb'"ApiVersion":\s*"([0-9.]+)"', said)
    return Engine(address, found[1].decode(), "") if found is not None else Engine(address, why_not="it speaks no HTTP")


def may_administer_networks(status: Path = Path("/proc/self/status")) -> bool | None:
    """Whether this process has NET_ADMIN; None where the system does not say."""
    try:
        found = re.search(r"^CapEff:\s*([0-9a-f]+)", status.read_text(), re.MULTILINE)
    except OSError:
        return None
    return bool(int(found[1], 16) >> NET_ADMIN & 1) if found is not None else None


def programs_called(name: str, path: str) -> list[Path]:
    """Every program of this name on a PATH, the one that wins first, each once."""
    found = [shutil.which(name, path=folder) for folder in path.split(os.pathsep) if folder]
    return list(dict.fromkeys(Path(one) for one in found if one is not None))


def belongs_to(program: Path) -> str:
    """What a Python program imports first, such as `chaostoolkit.__main__`; empty for one that is none, or that says nothing."""
    try:
        with program.open("rb") as file:
            text = file.read(2000).decode(errors="replace")
    except OSError:
        return ""
    found = re.search(r"^from ([\w.]+) import", text, re.MULTILINE)
    return found[1] if found is not None else ""


def open_files() -> tuple[int, int]:
    """How many files this process may open, and up to how many it may raise that itself."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def folder_problem(path: Path) -> str | None:
    """Why a private folder cannot be used or made there; None when it can."""
    if path.exists():
        mode = path.stat()
        if not stat.S_ISDIR(mode.st_mode):
            return "it is no folder"
        if mode.st_uid != os.getuid():
            return "it belongs to somebody else"
        if mode.st_mode & 0o022:
            return "others may write into it"
        return None if os.access(path, os.W_OK | os.X_OK) else "it cannot be written"
    above = next((one for one in path.parents if one.exists()), path)
    return None if os.access(above, os.W_OK | os.X_OK) else f"{above} cannot be written"
