"""Where only monitoring asks, everything is hurt: no header says who asks, and the proxy's own counts prove it and the removal."""

from __future__ import annotations

import socket
from http.client import HTTPConnection

import pytest

from chaos.app.armings import WHOLE
from chaos.faults.scrape_loss import LONGEST_S
from tests.proxy.loopback import Backend, Proxy, sized

EVERYTHING = {"traffic": 1.0, "by": WHOLE, "where": None}
PAGE = b"up 1\n"


def ask(port: int, path: str = "/metrics", body: bytes | None = None) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=15)
    connection.request("POST" if body is not None else "GET", path, body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_lost_metrics_are_lost_for_whoever_asks_and_nothing_reaches_the_exporter(
    proxy: Proxy, backend: Backend
) -> None:
    backend.replies["/metrics"] = sized(PAGE)
    assert ask(proxy.routes["model"]) == (200, PAGE)
    backend.seen.clear()
    proxy.arm("lost", {"fault": "scrape_loss"}, arms=EVERYTHING)
    assert [ask(proxy.routes["model"])[0] for _ in range(10)] == [503] * 10
    assert backend.seen == []
    counts = proxy.state("lost")["faults"]["0"]
    assert (counts["selected_requests"], counts["injected"]) == (10, 10)


def test_refused_notifications_are_refused_with_the_status_asked_for(proxy: Proxy, backend: Backend) -> None:
    proxy.arm("refused", {"fault": "alert_delivery_loss", "status": 502}, arms=EVERYTHING)
    assert [ask(proxy.routes["model"], "/", b'{"alerts": []}')[0] for _ in range(5)] == [502] * 5
    assert backend.seen == []
    assert proxy.state("refused")["faults"]["0"]["injected"] == 5


def test_hanging_metrics_give_no_answer_and_the_wait_is_counted_when_it_ends(proxy: Proxy) -> None:
    proxy.arm("hanging", {"fault": "scrape_loss", "how": "hang"}, arms=EVERYTHING)
    with socket.create_connection(("127.0.0.1", proxy.routes["model"])) as scraper:
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n")
        scraper.settimeout(0.3)
        with pytest.raises(TimeoutError):
            scraper.recv(1)
    assert proxy.state("hanging")["faults"]["0"]["first_effect"] is not None
    assert proxy.ask("DELETE", "/runs/hanging").status_code == 204
    assert 0.2 <= proxy.state("hanging")["faults"]["0"]["delayed_s"] < LONGEST_S


def test_the_removal_is_proven_by_what_asks_afterwards(proxy: Proxy, backend: Backend) -> None:
    backend.replies["/metrics"] = sized(PAGE)
    proxy.arm("removed", {"fault": "scrape_loss"}, arms=EVERYTHING)
    assert ask(proxy.routes["model"])[0] == 503
    assert proxy.ask("DELETE", "/runs/removed").status_code == 204
    assert [ask(proxy.routes["model"]) for _ in range(3)] == [(200, PAGE)] * 3
    assert proxy.state("removed")["arms"]["treatment"]["untouched_since_disarm"] == 3


def test_frozen_metrics_are_the_first_page_again_and_again_and_true_again_afterwards(
    proxy: Proxy, backend: Backend
) -> None:
    proxy.arm("frozen-page", {"fault": "frozen_metrics"}, arms=EVERYTHING)
    seen = []
    for page in (b"up 1\n", b"up 22\n", b"up 3\n"):
        backend.replies["/metrics"] = sized(page)
        seen.append(ask(proxy.routes["model"]))
    assert seen == [(200, b"up 1\n")] * 3
    assert len(backend.seen) == 3, "the exporter is asked as ever"
    counts = proxy.state("frozen-page")["faults"]["0"]
    assert counts["selected_requests"] == 3
    assert counts["injected"] + counts["changed_rows"] >= 2
    assert counts["first_effect"] is not None
    assert proxy.ask("DELETE", "/runs/frozen-page").status_code == 204
    assert ask(proxy.routes["model"]) == (200, b"up 3\n")
