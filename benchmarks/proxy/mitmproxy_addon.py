"""An addon for mitmproxy: answers to selected requests are changed; the share depends on the port that was asked.

CHAOS_BENCHMARK_SHARES says `PORT=SHARE,PORT=SHARE`.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.proxy.cases import change, selected

SHARES = {
    int(port): float(share)
    for port, _, share in (pair.partition("=") for pair in os.environ["CHAOS_BENCHMARK_SHARES"].split(","))
}


def response(flow: Any) -> None:
    """The hook: an answer is whole, the client has not got it yet."""
    share = SHARES.get(flow.client_conn.sockname[1], 0.0)
    if share and selected(flow.request.headers.get("x-request-id", "0000"), share):
        flow.response.content = change(flow.response.content)
