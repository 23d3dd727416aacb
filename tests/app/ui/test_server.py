"""Where the page listens, and what `chaos ui` says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from chaos.app.ui.access import hosts
from chaos.app.ui.server import NoServer, bound, is_loopback
from tests.app.ui.serving import DEADLINE_S


def test_it_listens_on_this_machine_alone_says_an_address_and_ends_on_sigterm(tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "chaos", "ui", "--no-browser"],
        cwd=tmp_path,
        env={**os.environ, "CHAOS_STATE": str(tmp_path / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        session = requests.Session()
        session.trust_env = False
        assert session.get(address, timeout=DEADLINE_S).status_code == 200
    finally:
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=DEADLINE_S)
    assert server.returncode == 0
    assert "Traceback" not in said
    assert "go on" in said
    assert "which lets one browser in, once" in said.splitlines()[0]
    assert "http" not in said.splitlines()[0], "the address is on a line of its own, on stdout"


def test_the_page_finds_what_chaos_init_has_written(tmp_path: Path) -> None:
    from chaos.app.commands.options import WRITTEN
    from chaos.app.commands.ui import experiments_in

    assert experiments_in(tmp_path) == tmp_path / "experiments"
    (tmp_path / WRITTEN).mkdir()
    assert experiments_in(tmp_path) == tmp_path / WRITTEN


def test_without_its_libraries_the_command_says_how_to_get_them(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; sys.argv = ['chaos', 'ui']; from chaos.app.door import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert ended.returncode == 3
    assert "pip install '.[ui]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_address_at_once_and_one_of_another_machine_are_refused() -> None:
    for address in ("0.0.0.0", "::"):
        with pytest.raises(NoServer, match="every address at once"):
            bound(address, 0)
    with pytest.raises(NoServer, match="cannot be listened on"):
        bound("192.0.2.1", 0)


def test_only_loopback_is_loopback() -> None:
    assert all(is_loopback(one) for one in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(one) for one in ("192.168.1.2", "gateway", "localhost.example"))


def test_a_host_has_its_port_and_an_address_of_six_its_brackets() -> None:
    assert hosts(frozenset({"localhost", "::1"}), 8080) == {"localhost:8080", "[::1]:8080"}
    assert "localhost" in hosts(frozenset({"localhost"}), 80)
