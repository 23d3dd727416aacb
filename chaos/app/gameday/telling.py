"""Tells everybody whom a game day names, and its systems' own webhooks. Wiring."""

from __future__ import annotations

import logging

from chaos.app.gameday.loading import LoadedDay
from chaos.drivers.teller import tell
from chaos.errors import Refused, Unreachable
from chaos.gameday import Tell
from chaos.gameday.messages import Message

log = logging.getLogger("chaos.gameday")


def ways(loaded: LoadedDay) -> list[Tell]:
    """How people are told: what the day names, and the webhook of each of its systems once."""
    found = list(loaded.day.tell)
    known = {one.webhook.get_secret_value() for one in found if one.webhook is not None}
    for one in loaded.loaded:
        webhook = one.system.announce.webhook if one.system.announce is not None else None
        if webhook is not None and webhook.get_secret_value() not in known:
            known.add(webhook.get_secret_value())
            found.append(Tell(webhook=webhook))
    return found


def announce(loaded: LoadedDay, message: Message) -> None:
    """Everybody who can be reached was told. What cannot be is logged: what has happened has happened."""
    failed, _ = _told(loaded, message)
    for why in failed:
        log.warning("not everybody could be told of the game day %s: %s", loaded.day.name, why)


def announce_before(loaded: LoadedDay, message: Message) -> None:
    """Somebody was told what is about to happen, where anybody is to be told. Raises Refused when nobody could be."""
    failed, heard = _told(loaded, message)
    if failed and not heard:
        raise Refused([f"nobody could be told of this game day beforehand: {'; '.join(failed)}; mend it, or `tell:`"])
    for why in failed:
        log.warning("not everybody could be told of the game day %s: %s", loaded.day.name, why)


def _told(loaded: LoadedDay, message: Message) -> tuple[list[str], int]:
    """What went wrong, and how many heard it."""
    failed: list[str] = []
    heard = 0
    for way in ways(loaded):
        if not message.is_for(way.when):
            continue
        try:
            tell(way, message)
            heard += 1
        except Unreachable as error:
            failed.append(str(error))
    return failed, heard
