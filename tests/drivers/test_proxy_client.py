"""What a survey learns from a fault proxy about who holds it, also from an older one and from what is none."""

from __future__ import annotations

import json
import threading

import pytest

from chaos.drivers.proxy import ProxyFleet, ProxyInfo
from chaos.errors import Unreachable
from chaos.survey import Holder
from tests.drivers.loopback import Asked, Said, eventually, serving


def looked(version: object) -> ProxyInfo:
    """What is found where a server says this of its version."""
    with serving(lambda asked: Said(200, json.dumps(version).encode())) as here:
        return ProxyFleet([here.url], "a token").look(here.url)


@pytest.mark.parametrize(
    ("version", "holders"),
    [
        ({"version": "0.2", "held_by": None, "holders": []}, ()),
        (
            {
                "version": "0.2",
                "held_by": "a",
                "holders": [{"run": "a", "where": "json:$.x == 1"}, {"run": "b", "where": None, "more": 1}],
            },
            (Holder("a", "json:$.x == 1"), Holder("b")),
        ),
        ({"version": "0.1", "held_by": None}, ()),
        ({"version": "0.1", "held_by": "a"}, (Holder("a", alone=True),)),
    ],
)
def test_a_look_tells_who_holds_a_proxy_and_that_an_older_one_takes_nobody_beside(
    version: object, holders: tuple[Holder, ...]
) -> None:
    assert looked(version).holders == holders


@pytest.mark.parametrize("version", [[], "text", {"holders": 3}, {"holders": [3]}, {"holders": [{}]}])
def test_what_is_no_proxy_is_told_and_never_a_traceback(version: object) -> None:
    with pytest.raises(Unreachable, match="is it a fault proxy"):
        looked(version)


def test_a_proxy_lets_go_of_a_run_while_another_one_does_not_answer() -> None:
    awake = threading.Event()

    def silent(_: Asked) -> Said:
        awake.wait(20)
        return Said(204, b"")

    with serving(silent) as one, serving(lambda _: Said(204, b"")) as other:
        fleet = ProxyFleet([one.url, other.url], "a token", timeout_s=20.0)
        disarming = threading.Thread(target=fleet.disarm, args=("run",))
        disarming.start()
        eventually(lambda: other.asked, 5, "the other one is asked")
        assert [asked.method for asked in other.asked] == ["DELETE"]
        awake.set()
        disarming.join()
    assert [asked.path for asked in one.asked] == ["/runs/run"]


def test_a_proxy_that_refuses_to_let_go_is_named_after_every_one_was_asked() -> None:
    with serving(lambda _: Said(500, b"{}")) as one, serving(lambda _: Said(204, b"")) as other:
        with pytest.raises(Unreachable, match=one.url):
            ProxyFleet([one.url, other.url], "a token").disarm("run")
        assert other.asked
