"""Who may read and do what on the page. Decisions on values; the handlers ask before anything else.

address with a token, once ─▶ a cookie of its own (HttpOnly, SameSite=Strict) ─▶ every page
cookie + Origin of this server + the form's token ─▶ every act
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

READS = ("GET", "HEAD")
LONGEST_FORM = 64 * 1024
"""Bytes of a form that are read."""
MOST_FIELDS = 50
"""Fields of a form that are read; ours have six at most."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself. None where it says nothing."""

    method: str
    host: str | None
    origin: str | None
    site: str | None
    """`Sec-Fetch-Site`: which page made the browser ask."""
    cookie: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is answered, and with which status."""

    status: int
    sentence: str


@dataclass
class Access:
    """The secrets of one server, for as long as it lives. Safe from any thread."""

    hosts: frozenset[str]
    """What `Host` may say: the names and addresses that the server was told to listen on, with its port."""
    cookie: str = "chaos_ui"
    """The cookie's name: browsers keep cookies by host and not by port, so each port has a name of its own."""
    draw: Callable[[int], str] = secrets.token_urlsafe
    _sessions: set[str] = field(default_factory=set)
    _forms: str = field(init=False)
    _token: str = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._forms = self.draw(32)
        self._token = self.draw(32)

    def token(self) -> str:
        """What lets the next browser in."""
        with self._lock:
            return self._token

    def enter(self, token: str) -> str | None:
        """A cookie of its own for whoever has the token, which is worth nothing afterwards; None for everybody else."""
        with self._lock:
            if not same(token, self._token):
                return None
            self._token = self.draw(32)
            session = self.draw(32)
            self._sessions.add(session)
            return session

    def _entered(self, cookie: str) -> bool:
        with self._lock:
            return any(same(cookie, one) for one in self._sessions)

    def form_token(self) -> str:
        """What every form of our pages carries: no page elsewhere can read it, and it is worth nothing without a cookie."""
        return self._forms

    def stranger(self, asked: Asked) -> Refusal | None:
        """Whoever reached this server under another name: a page whose name was made to point here (DNS rebinding)."""
        if (asked.host or "").lower() in self.hosts:
            return None
        names = ", ".join(sorted(self.hosts))
        return Refusal(421, f"this server answers to {names} alone; open the address that `chaos ui` printed")

    def refusal(self, asked: Asked) -> Refusal | None:
        """Why this request gets no page; None when it may go on. An act needs `may_act`, too."""
        strange = self.stranger(asked)
        if strange is not None:
            return strange
        if asked.cookie is None or not self._entered(asked.cookie):
            return Refusal(401, "open the address that `chaos ui` printed last: it lets one browser in, once")
        if asked.method not in READS and not self._from_here(asked):
            return Refusal(403, "this came from another page, so nothing was done")
        return None

    def _from_here(self, asked: Asked) -> bool:
        here = asked.origin is not None and asked.origin.lower() == f"http://{(asked.host or '').lower()}"
        return here and asked.site in (None, "same-origin")

    def may_act(self, form_token: str) -> bool:
        """Whether a form is one of ours."""
        return same(form_token, self.form_token())


def same(left: str, right: str) -> bool:
    """Whether the texts are equal, in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def hosts(addresses: frozenset[str], port: int) -> frozenset[str]:
    """What `Host` says of whoever reaches these addresses at this port."""
    names = {f"[{address}]" if ":" in address else address.lower() for address in addresses}
    return frozenset({f"{name}:{port}" for name in names} | (names if port == 80 else set()))
