"""Tells people of a run, before and after: one JSON text, posted to the webhook that the system file names.

`text` is a sentence for people (chats show it as it is); beside it stands the same for machines. The webhook's address is a secret, so
no error names more of it than its host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from chaos.drivers.http import ask, session
from chaos.errors import Unreachable

TIMEOUT_S = 5.0

When = Literal["before", "after"]


class Announcer:
    """One webhook."""

    def __init__(self, webhook: str, timeout_s: float = TIMEOUT_S) -> None:
        self._webhook = webhook
        self._timeout_s = timeout_s
        self._host = urlsplit(webhook).hostname or "its host"
        self._session = session()

    def tell(self, when: When, text: str, more: Mapping[str, str | float | list[str] | None]) -> None:
        """It was told, and answered that it heard. Raises Unreachable when not."""
        said = {"text": text, "when": when, **more}
        try:
            answer = ask(
                self._session, "POST", self._webhook, what="the webhook", timeout_s=self._timeout_s, json=said,
                allow_redirects=False,
            )  # fmt: skip
        except Unreachable:
            raise Unreachable(f"the webhook at {self._host} does not answer") from None
        if not 200 <= answer.status_code < 300:
            raise Unreachable(f"the webhook at {self._host} answered {answer.status_code}")
