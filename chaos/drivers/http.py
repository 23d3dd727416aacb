"""One way to ask over HTTP: always a time-out, never a retry, and one clear sentence when it does not work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chaos.errors import Unreachable

if TYPE_CHECKING:
    import requests

TIMEOUT_S = 2.0
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")

_REJECTED = re.compile(r"certificate verify failed: (.+?)\.? \(_ssl")
"""Where the reason stands in what the TLS library says."""


def without_secrets(url: str) -> str:
    """The address as it may be shown and kept: whoever it logs in as, and with what, is replaced by asterisks."""
    return _USERINFO.sub("**********@", url)


def session(headers: Mapping[str, str] | None = None) -> requests.Session:
    """A session that ignores the environment's proxies: what is asked is named in the system file."""
    import requests

    made = requests.Session()
    made.trust_env = False
    made.headers.update(headers or {})
    return made


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
    except requests.RequestException as error:
        raise Unreachable(
            f"{what} at {without_secrets(url)} cannot be reached; is it running, and is the address in the system file right?"
        ) from error


def json_of(answer: requests.Response, what: str) -> Any:
    """The answer's JSON. Raises Unreachable when it is none, or its status is an error."""
    if answer.status_code >= 400:
        said = " ".join(answer.text.split())[:200]
        raise Unreachable(f"{what} at {without_secrets(answer.url)} answered {answer.status_code}: {said}")
    try:
        return answer.json()
    except ValueError as error:
        raise Unreachable(
            f"{what} at {without_secrets(answer.url)} answered what is no JSON; is the address right?"
        ) from error


@contextmanager
def understood(what: str, url: str) -> Iterator[None]:
    """Takes an answer apart inside the block. Raises Unreachable when the parts that `what` always sends are not there."""
    import yaml

    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise Unreachable(
            f"{what} at {without_secrets(url)} answered JSON that {what} never sends; is the address right?"
        ) from error
