"""Who runs this: also where the machine has no name for the user, as in most containers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from chaos.drivers.user import as_user, user

NOBODY = 65532
"""What the shipped manifests run as; no /etc/passwd has it."""
PROGRAM = f"""
import getpass, os, pathlib, chaos.app.stopping as stopping  # before: that user may not be allowed into the interpreter's folder
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
state = stopping.State.of_user()
stopping.command(None, print, everything=True, state=state)
print(state.blocked())
"""


def stopped(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM], env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.skipif(os.getuid() != 0, reason="only root may run something as somebody else")
def test_a_user_without_a_name_stops_everything() -> None:
    with tempfile.TemporaryDirectory() as folder:  # tmp_path lies in a folder that is root's alone
        os.chown(folder, NOBODY, NOBODY)
        done = stopped(HOME="/", CHAOS_STATE=str(Path(folder, "state")))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"chaos stop (uid {NOBODY}@{os.uname().nodename})\n")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may run something as somebody else")
def test_a_user_without_a_home_is_told_to_name_a_folder() -> None:
    assert "NoState: this user has no home folder" in stopped().stderr


def test_how_to_stop_it_names_the_user_and_the_state_where_that_is_not_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAOS_STATE", raising=False)
    assert as_user("chaos stop") == "chaos stop"
    monkeypatch.setenv("CHAOS_STATE", str(tmp_path / "a b"))
    assert as_user("chaos stop") == f"sudo -u {user()} CHAOS_STATE='{tmp_path}/a b' chaos stop"
