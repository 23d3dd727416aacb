"""HTTPS for the requests library to an address whose certificate is for a name: one of the replicas that are behind that name."""

from __future__ import annotations

from typing import Any

from requests import PreparedRequest
from requests.adapters import HTTPAdapter


class NamedAdapter(HTTPAdapter):
    """Every connection asks for `name` (SNI) and verifies it, and every request is addressed to it, wherever its URL leads."""

    def __init__(self, name: str, port: int) -> None:
        self._name = name
        self._host = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
        super().__init__()

    def init_poolmanager(self, *sizes: Any, **more: Any) -> None:
        """Connections of this pool take nobody for the replica who is not `name`."""
        super().init_poolmanager(*sizes, **more, server_hostname=self._name)

    def add_headers(self, request: PreparedRequest, **_: Any) -> None:
        """The request says whom it is for."""
        request.headers["Host"] = self._host
