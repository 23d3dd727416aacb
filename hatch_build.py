"""Builds the wheel: plain Python, or with the data plane compiled by mypyc from the very same source where CHAOS_COMPILE=1.

    CHAOS_COMPILE=1 pip install .        needs a C compiler and Python's headers (Debian: gcc python3-dev)

Every compiled module lies beside its source, which serves wherever the compiled one does not fit: another Python, another machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = (
    "chaos/arms.py",
    "chaos/json_codec.py",
    "chaos/json_places.py",
    "chaos/protocols/oip.py",
    "chaos/protocols/oip_binary.py",
    "chaos/protocols/oip_messages.py",
    "chaos/protocols/oip_tensors.py",
    "chaos/proxy/answering.py",
    "chaos/proxy/armed.py",
    "chaos/proxy/asking.py",
    "chaos/proxy/bodies.py",
    "chaos/proxy/coding.py",
    "chaos/proxy/connection.py",
    "chaos/proxy/delivering.py",
    "chaos/proxy/delivery.py",
    "chaos/proxy/exchange.py",
    "chaos/proxy/grpc/call.py",
    "chaos/proxy/handed.py",
    "chaos/proxy/hurting.py",
    "chaos/proxy/plane.py",
    "chaos/proxy/route.py",
    "chaos/proxy/streams.py",
    "chaos/proxy/wire.py",
    "chaos/slices.py",
)
"""What every request goes through. Models of pydantic and classes that others extend stay as they are."""
_SETUP = """
from mypyc.build import mypycify
from setuptools import setup
import sys
options = ["--config-file=", "--ignore-missing-imports", "--follow-imports=silent"]
setup(name="chaos-ml", packages=[], ext_modules=mypycify([*options, *sys.argv.pop().split()], opt_level="3", group_name="chaos_ml"))
"""


def compiled(root: Path, folder: Path) -> list[Path]:
    """The compiled modules, below `folder`, in the folders that they belong to. Raises RuntimeError, which says what is missing."""
    shutil.copytree(root / "chaos", folder / "chaos", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    (folder / "setup.py").write_text(_SETUP)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", " ".join(MODULES)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise RuntimeError(
            f"the data plane cannot be compiled; gcc and Python's headers (python3-dev) are needed:\n{said}"
        )
    shutil.rmtree(folder / "build")
    return sorted(folder.rglob("*.so"))


class CompiledDataPlane(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled modules to the wheel where they are asked for."""

    PLUGIN_NAME = "custom"

    def _asked(self) -> bool:
        return os.environ.get("CHAOS_COMPILE") == "1" and self.target_name == "wheel"

    def dependencies(self) -> list[str]:
        """What else building needs."""
        return ["mypy>=1.10", "setuptools>=65"] if self._asked() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable install stays plain: who edits a source wants to see what it does."""
        if not self._asked() or version == "editable":
            return
        self._folder = tempfile.mkdtemp(prefix="chaos-compiled-")
        folder = Path(self._folder)
        for module in compiled(Path(self.root), folder):
            build_data["force_include"][str(module)] = str(module.relative_to(folder))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Nothing is left."""
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder, ignore_errors=True)
