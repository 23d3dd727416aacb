"""How a link reaches the route's upstream, and how a call is addressed to it: over TLS verified, as HTTP/2, or not at all."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from hpack import HeaderTuple

from chaos.proxy.grpc.link import Headers, Link
from chaos.proxy.upstream import CONNECT_S, HANDSHAKE_S, UpstreamAddress, why_unreachable

if TYPE_CHECKING:
    from chaos.proxy.route import Route

_NO_COMMON_PROTOCOL = "no application protocol"
"""What the alert of a server is called that knows ALPN, and nothing of what it is offered; not every Python has it as a reason."""
_NOT_AGREED = "does not agree on HTTP/2 (h2 in ALPN)"


class NoHttp2(OSError):
    """The upstream was reached, and does this instead of speaking HTTP/2."""


class EndedAtOnce(OSError):
    """The upstream accepted the connection, and ended it before it said anything."""


async def connect(link: Link, route: Route) -> None:
    """The link is connected. Raises OSError or TimeoutError; then nothing was said to the upstream."""
    upstream = route.upstream
    over_tls = upstream.tls or route.tls is not None
    if over_tls and upstream.http2 is None:
        raise OSError("there is no context for TLS, and clear text is never spoken instead")
    try:
        async with asyncio.timeout(HANDSHAKE_S if over_tls else CONNECT_S):
            await asyncio.get_running_loop().create_connection(
                lambda: link, route.host, route.port, ssl=upstream.http2 if over_tls else None
            )
    except ssl.SSLError as error:
        if _NO_COMMON_PROTOCOL in str(error).lower().replace("_", " "):
            raise NoHttp2(_NOT_AGREED) from error
        raise
    if link.other_protocol:
        raise NoHttp2(_NOT_AGREED)
    if link.over:
        raise ended(link)


def ended(link: Link) -> OSError:
    """Why nothing can be said on a link that is over before a word of HTTP/2 was heard on it."""
    return EndedAtOnce() if link.error is None else NoHttp2("does not speak HTTP/2")


def why_not(error: Exception, upstream: UpstreamAddress) -> tuple[str, str]:
    """For calls whose upstream cannot be spoken to: what `x-chaos-proxy` says, and the call's message."""
    who = "the model behind this proxy"
    if upstream.tls:
        who += f", https://{upstream.authority.decode('ascii')},"
    if isinstance(error, NoHttp2):
        return "upstream-http2", f"{who} {error}, which gRPC needs; is this the port of its gRPC server?"
    if isinstance(error, EndedAtOnce):
        wants = ", and does it want certificates of its clients" if upstream.tls else ""
        told = f"{who} ended the connection before it said anything; is this the port of its gRPC server{wants}?"
        return "upstream-closed", told
    return why_unreachable(error, upstream)


def addressed(headers: Headers, upstream: UpstreamAddress) -> list[HeaderTuple | tuple[bytes, bytes]]:
    """The request's headers with the upstream's own authority and scheme; every other one stays as it is, in its place."""
    told = (b":authority", upstream.authority)
    made: list[HeaderTuple | tuple[bytes, bytes]] = []
    for one in headers:
        match bytes(one[0]):
            case b":scheme":
                made.append((b":scheme", b"https"))
            case b":authority":
                made.append(told)
            case b"host":  # would name another authority beside it
                continue
            case _:
                made.append(one)
    if told not in made:  # pseudo-headers come before all others
        made.insert(sum(bytes(one[0]).startswith(b":") for one in made), told)
    return made
