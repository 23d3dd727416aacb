"""Serving protocols, one file each; third parties add theirs through the entry-point group `chaos.protocols`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache, lru_cache
from importlib.metadata import entry_points

from chaos.arms import HeaderValues
from chaos.protocols.base import Output, Protocol, Undecodable


@cache
def catalogue() -> dict[str, Protocol]:
    """Every protocol by its name. A module of this package offers its one under the name `PROTOCOL`; helpers offer none."""
    found: dict[str, Protocol] = {}
    for module in pkgutil.iter_modules(__path__):
        protocol: Protocol | None = getattr(importlib.import_module(f"{__name__}.{module.name}"), "PROTOCOL", None)
        if protocol is not None:
            found[protocol.name] = protocol
    for entry in entry_points(group="chaos.protocols"):
        protocol = entry.load()
        found[protocol.name] = protocol
    return dict(sorted(found.items()))


def sniff(
    path: str, request_headers: HeaderValues, answer_body: bytes | None = None, output: Output | None = None
) -> Protocol | None:
    """The protocol that this traffic speaks, as far as anybody can tell; None when nobody can.

    `path` is without its query, header names are lower-case. Path and headers decide. Where several protocols claim them, the
    answer does: the first (by name) that can read it, or the first at all when there is no answer yet. Where none does, the system
    file may: with `$.paths` in `output` it is plain JSON.
    """
    said = output or Output()
    claiming = _claiming(path, request_headers.get("content-type"))
    if not claiming and said.paths():
        return catalogue()["json"]
    if len(claiming) > 1 and answer_body is not None:
        return next((one for one in claiming if _reads(one, answer_body, said)), claiming[0])
    return claiming[0] if claiming else None


@lru_cache(maxsize=1024)
def _claiming(path: str, content_type: str | None) -> tuple[Protocol, ...]:
    headers = {"content-type": content_type} if content_type is not None else {}
    return tuple(one for one in catalogue().values() if one.detect(path, headers))


def _reads(protocol: Protocol, body: bytes, output: Output) -> bool:
    try:
        protocol.rows(body, {}, output)
    except Undecodable:
        return False
    return True
