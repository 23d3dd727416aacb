"""HTTP over unix sockets for the requests library: the socket's path, percent-encoded, stands in the place of the host."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import unquote, urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError


class _Connection(HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def _new_conn(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
            made.connect(self._path)
        except OSError as error:
            made.close()
            raise NewConnectionError(self, f"{self._path}: {error}") from error
        return made


class _Pool(HTTPConnectionPool):
    """Connections to one unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def _new_conn(self) -> _Connection:
        return _Connection(self._path)


class UnixAdapter(HTTPAdapter):
    """Requests to `http+unix://` addresses."""

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[str, _Pool] = {}

    def get_connection_with_tls_context(self, request: Any, *_: Any, **__: Any) -> _Pool:
        """The pool of the socket that the request's address names."""
        return self._pool(str(request.url))

    def get_connection(self, url: str | bytes, proxies: Any = None) -> _Pool:  # noqa: ARG002
        """The same, as older versions of the library ask for it."""
        return self._pool(url if isinstance(url, str) else url.decode())

    def _pool(self, url: str) -> _Pool:
        path = unquote(urlsplit(url).netloc)
        return self._pools.setdefault(path, _Pool(path))

    def close(self) -> None:
        """No connection is kept."""
        super().close()
        for pool in self._pools.values():
            pool.close()
