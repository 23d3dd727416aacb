"""Where an upstream is, and how it is reached over TLS: verified, by its own name, never in clear text instead.

`HOST:PORT` is reached as it is, and every byte passes untouched. `https://HOST[:PORT]` is reached over TLS: the server name is
sent (SNI), its certificate is verified, one protocol is agreed on (ALPN), and the request is addressed to it: Host, or in HTTP/2
`:authority`, carries its name, not the proxy's.

Source: RFC 9110, sections 4.3.4 and 7.2; RFC 9112, section 3.2; RFC 9113, section 3.3; RFC 6066, section 3; RFC 7301.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from chaos.drivers.serving import split_address
from chaos.proxy import wire

CONNECT_S = 1.0
HANDSHAKE_S = 5.0
"""Most seconds that connecting over TLS may take: an address far away, two or three round trips."""


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """Host and port of an upstream, and whether it is reached over TLS."""

    host: str
    port: int
    tls: bool = False
    http2: ssl.SSLContext | None = field(default=None, compare=False, repr=False)
    """How HTTP/2 is spoken to it over TLS; the route's own context is for HTTP/1.1."""

    @property
    def authority(self) -> bytes:
        """What Host says to this upstream: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == 443 else f"{host}:{self.port}").encode("ascii")


def parse_upstream(text: str) -> UpstreamAddress:
    """`HOST:PORT` or `https://HOST[:PORT]`. Raises ValueError that says what to write."""
    if "://" not in text:
        return UpstreamAddress(*split_address(text))
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        host = host if ":" in host else host.encode("idna").decode("ascii")
    except ValueError:  # a bracket left open, a port that is no number, a label that is empty or too long
        host, port, parts = "", None, urlsplit("")
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme != "https" or not host or not plain or port == 0:
        shown = "this" if "@" in text else repr(text)  # what stands before an @ may be a password
        raise ValueError(
            f"{shown} is no upstream; write HOST:PORT, or https://HOST or https://HOST:PORT without a path or a password"
        )
    return UpstreamAddress(host, port or 443, tls=True)


def tls_context(ca: Path | None, protocol: Literal["http/1.1", "h2"] = "http/1.1") -> ssl.SSLContext:
    """Verifies certificates and names, with the system's store or only with the authorities in `ca`; offers this protocol alone.

    Raises ValueError when `ca` has no certificates.
    """
    try:
        made = ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except OSError as error:
        raise ValueError(f"{ca} cannot be used as certificate authorities: {error}") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols([protocol])
    return made


def addressed(head: wire.Head, authority: bytes) -> wire.Head:
    """The head with `authority` in its one Host line and the target in origin form; every other byte stays."""
    first, *lines = head.raw[:-4].split(b"\r\n")
    method, target, version = first.split(b" ")
    scheme, found, rest = target.partition(b"://")
    if found and scheme.lower() in (b"http", b"https"):
        # An absolute target names another authority, and would outvote Host.
        at = min((place for place in (rest.find(b"/"), rest.find(b"?")) if place >= 0), default=len(rest))
        target = rest[at:] if rest[at : at + 1] == b"/" else b"/" + rest[at:]
    made: list[bytes] = []
    told = False
    for line in lines:
        if line[:5].lower() != b"host:":
            made.append(line)
        elif not told:
            made.append(line[:5] + b" " + authority)
            told = True
    if not told:
        made.insert(0, b"Host: " + authority)
    return replace(head, raw=b"\r\n".join([b" ".join((method, target, version)), *made]) + b"\r\n\r\n")


def why_unreachable(error: Exception, upstream: UpstreamAddress) -> tuple[str, str]:
    """For whoever asked an upstream that could not be connected to: what `x-chaos-proxy` says, and a sentence without quotes."""
    if not upstream.tls:
        return "upstream-unreachable", "the model behind this proxy did not answer"
    where = f"https://{upstream.authority.decode('ascii')}"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = " ".join((error.verify_message or str(error)).replace('"', "'").split())
        told = f"the certificate of {where} is not accepted: {reason}; nothing was sent to it;"
        return (
            "upstream-certificate",
            f"{told} write its own name in --route, or name its authorities with --upstream-ca",
        )
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no TLS is spoken there").replace("_", " ").lower()
        told = f"{where} cannot be spoken to over TLS: {reason}; nothing was sent to it;"
        return "upstream-tls", f"{told} if it speaks none, write HOST:PORT without https:// in --route"
    return (
        "upstream-unreachable",
        f"the model behind this proxy, {where}, did not answer; is it running, and its address right?",
    )
