"""Compiled from the same source, the data plane passes the very tests of the plain one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMPILED = ROOT / ".chaos" / "compiled"
QUICK = ("proxy/test_wire.py", "proxy/test_smuggling.py", "proxy/test_plane_memory.py", "proxy/test_plane_overlaps.py",
         "proxy/test_plane_states.py", "proxy/test_delivery.py", "proxy/test_other_bodies.py", "proxy/test_redirects.py",
         "proxy/test_event_streams.py", "proxy/test_proxy_arms.py",
         "proxy/test_grpc_calls.py", "protocols/test_oip.py", "protocols/test_json_bytes.py")  # fmt: skip
"""`make compiled` runs all of tests/proxy, tests/protocols and tests/drivers."""


@pytest.mark.skipif(
    shutil.which("gcc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="compiling needs gcc and Python's headers",
)
@pytest.mark.timeout(600)
def test_the_compiled_data_plane_passes_the_tests_of_the_plain_one() -> None:
    subprocess.run([ROOT / "scripts" / "compile"], check=True, timeout=300)
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": f"{COMPILED}{os.pathsep}{ROOT}"}
    where = subprocess.run(
        [sys.executable, "-c", "import chaos.proxy.plane as it; print(it.__file__)"],
        env=environment, cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(COMPILED)
    assert where.stdout.strip().endswith(".so")
    tests = [str(ROOT / "tests" / name) for name in QUICK]
    command = [sys.executable, "-m", "pytest", "-q", "-o", "pythonpath=", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
