"""One way to ask over HTTP: always a time-out, never a retry, and one clear sentence when it does not work."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from chaos.errors import Unreachable

if TYPE_CHECKING:
    import requests

TIMEOUT_S = 2.0
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes, unfolded; what the largest Prometheus says of its rules is a few megabytes."""
SLOWEST = 10
"""An answer that is not whole after so many time-outs comes drop by drop."""
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")

_REJECTED = re.compile(r"certificate verify failed: (.+?)\.? \(_ssl")
"""Where the reason stands in what the TLS library says."""


def without_secrets(url: str) -> str:
    """The address as it may be shown and kept: whoever it logs in as, and with what, is replaced by asterisks."""
    return _USERINFO.sub("**********@", url)


def session(headers: Mapping[str, str] | None = None) -> requests.Session:
    """A session that ignores the environment's proxies: what is asked is named in the system file."""
    made: requests.Session = _bounded()()
    made.trust_env = False
    made.headers.update(headers or {})
    made.own_headers = tuple(headers or ())  # type: ignore[attr-defined]
    return made


@cache
def _bounded() -> Any:
    """The class of sessions; made at first use, since requests is heavy."""
    import requests
    from urllib3.exceptions import DecodeError, HTTPError, ReadTimeoutError

    class Bounded(requests.Session):
        """Reads no more, and no longer, than an answer may take; tells its own headers to nobody it is redirected to."""

        own_headers: tuple[str, ...] = ()

        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            timeout_s = kwargs.get("timeout") or TIMEOUT_S
            timeout_s = max(timeout_s) if isinstance(timeout_s, tuple) else timeout_s
            until_s = time.monotonic() + SLOWEST * timeout_s
            answer = super().send(request, **{**kwargs, "stream": True})
            if answer.raw is None or vars(answer)["_content_consumed"]:  # the last of some redirects: it has been read
                return answer
            try:
                body = _read(answer, until_s)
            except requests.RequestException:
                raise  # some of them are urllib3's, too
            except ReadTimeoutError as error:
                raise requests.Timeout(str(error)) from error
            except DecodeError as error:
                raise requests.exceptions.ContentDecodingError(str(error)) from error
            except HTTPError as error:
                raise requests.ConnectionError(str(error)) from error
            vars(answer).update(_content=body, _content_consumed=True)
            return answer

        def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
            super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
            before, after = str(response.request.url), str(prepared_request.url)
            if self.should_strip_auth(before, after):  # type: ignore[no-untyped-call]
                for name in self.own_headers:
                    prepared_request.headers.pop(name, None)

    return Bounded


def _read(answer: requests.Response, until_s: float) -> bytes:
    """The whole body, unfolded. Raises what requests and urllib3 raise, and when it is too large or too slow."""
    import requests

    pieces, size = [], 0
    while piece := answer.raw.read1(
        65536, decode_content=True
    ):  # one look at the socket: a slow sender cannot keep us in it
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER or time.monotonic() > until_s:
            answer.close()
            if size > LARGEST_ANSWER:
                raise requests.exceptions.ContentDecodingError(f"more than {LARGEST_ANSWER} bytes")
            raise requests.Timeout("it comes drop by drop")
    answer.raw.release_conn()
    return b"".join(pieces)


def ask(
    using: requests.Session, method: str, url: str, *, what: str, timeout_s: float = TIMEOUT_S, **more: Any
) -> requests.Response:
    """The answer, whatever its status. Raises Unreachable, naming `what` and the address, when there is none."""
    import requests

    try:
        return using.request(method, url, timeout=timeout_s, **more)
    except requests.Timeout as error:
        raise Unreachable(
            f"{what} at {without_secrets(url)} did not answer within {timeout_s:g}s; is it overloaded, or is the address wrong?"
        ) from error
    except requests.exceptions.SSLError as error:
        found = _REJECTED.search(str(error))
        reason = f"its certificate is not accepted: {found[1]}" if found else "no TLS can be spoken with it"
        raise Unreachable(
            f"{what} at {without_secrets(url)} cannot be reached: {reason}; are the name and the authorities in the system file right?"
        ) from error
    except requests.exceptions.ContentDecodingError as error:
        raise Unreachable(
            f"{what} at {without_secrets(url)} answered too much, or what cannot be unfolded; is the address right?"
        ) from error
    except requests.RequestException as error:
        raise Unreachable(
            f"{what} at {without_secrets(url)} cannot be reached; is it running, and is the address right?"
        ) from error


def json_of(answer: requests.Response, what: str) -> Any:
    """The answer's JSON. Raises Unreachable when it is none, or its status is an error."""
    if answer.status_code >= 400:
        said = " ".join(answer.text.split())[:200]
        raise Unreachable(f"{what} at {without_secrets(answer.url)} answered {answer.status_code}: {said}")
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        raise Unreachable(
            f"{what} at {without_secrets(answer.url)} answered what is no JSON; is the address right?"
        ) from error


@contextmanager
def understood(what: str, url: str) -> Iterator[None]:
    """Takes an answer apart inside the block. Raises Unreachable when the parts that `what` always sends are not there."""
    import yaml

    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError, yaml.YAMLError) as error:
        raise Unreachable(
            f"{what} at {without_secrets(url)} answered JSON that {what} never sends; is the address right?"
        ) from error
