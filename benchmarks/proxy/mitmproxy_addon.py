"""An addon for mitmproxy: answers to selected requests are changed; which and how often depends on the port that was asked.

CHAOS_BENCHMARK_WORKS says `PORT=WORK,PORT=WORK`, each as `cases.Work` writes it.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.proxy.cases import IDLE, Work, change, selected

WORKS = {
    int(port): Work.of(work)
    for port, _, work in (pair.partition("=") for pair in os.environ["CHAOS_BENCHMARK_WORKS"].split(","))
}


def response(flow: Any) -> None:
    """The hook: an answer is whole, the client has not got it yet."""
    work = WORKS.get(flow.client_conn.sockname[1], IDLE)
    if work.share and selected(flow.request.headers.get("x-request-id", "0000"), work.share):
        flow.response.content = change(flow.response.content, work.times)
