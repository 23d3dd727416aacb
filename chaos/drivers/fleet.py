"""Where the control APIs of fault proxies are: `http://`, `https://`, `http+unix:///PATH`, or every replica behind a name.

`dns+http://NAME:PORT` names as many proxies as the name has addresses, such as a headless Service in Kubernetes. So does
`dns+https://NAME:PORT`, over TLS: every one of them must prove that it is NAME.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from chaos.errors import Unreachable

if TYPE_CHECKING:
    import requests

UNIX = "http+unix://"
DNS = ("dns+http://", "dns+https://")

Resolve = Callable[[str, int], list[str]]
"""Every address of a name, for connections to this port. Raises OSError."""


class NoAddress(Unreachable):
    """The resolver answers that nobody is behind this name."""


def addresses_of(name: str, port: int) -> list[str]:
    """Every address that the resolver knows for the name, each once and in order. Raises OSError when it cannot tell."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return []
        raise
    return sorted({str(where[0]) for *_, where in found})


def replicas(address: str, resolve: Resolve = addresses_of) -> tuple[str, ...]:
    """The proxies that an address of the system file stands for now. Raises NoAddress when nobody is behind a name, and
    Unreachable when it cannot be looked up.
    """
    if not address.startswith(DNS):
        return (url_of(address),)
    scheme = urlsplit(address).scheme.removeprefix("dns+")
    name, port = name_of(address)
    try:
        found = resolve(name, port)
    except OSError as error:
        raise Unreachable(
            f"the name {name} of the fault proxies cannot be looked up ({error}); is the address right?"
        ) from error
    if not found:
        raise NoAddress(f"the name {name} has no address: no fault proxy is ready behind it, or the name is wrong")
    return tuple(f"{scheme}://[{one}]:{port}" if ":" in one else f"{scheme}://{one}:{port}" for one in found)


def name_of(address: str) -> tuple[str, int]:
    """The name and the port of an address that stands for every replica behind a name."""
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "dns+https" else 80)


def url_of(address: str) -> str:
    """The address as a URL that paths can be appended to: a socket's path takes the place of the host."""
    path = address.removeprefix(UNIX)
    return address if path == address or not path.startswith("/") else UNIX + quote(path, safe="")


def speaks_unix(using: requests.Session, addresses: Sequence[str]) -> requests.Session:
    """The session, which can ask the `http+unix://` ones among the addresses, too."""
    if any(address.startswith(UNIX) for address in addresses):
        from chaos.drivers.unix_http import UnixAdapter

        using.mount(UNIX, UnixAdapter())
    return using


def verifies_name(using: requests.Session, address: str) -> requests.Session:
    """The session, which takes nobody for a replica behind this name who cannot prove to be it, whatever IP address is asked."""
    from chaos.drivers.named_https import NamedAdapter

    using.mount("https://", NamedAdapter(*name_of(address)))
    return using
