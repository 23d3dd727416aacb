"""One backend and one proxy process for all tests of this folder; each test starts with a proxy that nobody holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.proxy.loopback import Backend, Proxy, running_proxy, unused_port


@pytest.fixture(scope="session")
def _backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.close()


@pytest.fixture(scope="module")  # it remembers runs, and their names need differ within a file alone
def _proxy(_backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_proxy(tmp_path_factory.mktemp("proxy"), model=_backend.port, dead=unused_port()) as made:
        yield made


@pytest.fixture
def backend(_backend: Backend) -> Backend:
    """A backend that has seen nothing."""
    _backend.forget()
    return _backend


@pytest.fixture
def proxy(_proxy: Proxy) -> Proxy:
    """The proxy, idle."""
    assert _proxy.ask("DELETE", "/runs").status_code == 204
    return _proxy


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody else trusts."""
    return trustme.CA()


@pytest.fixture(scope="session")
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate, in a file."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path
