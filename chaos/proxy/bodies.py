"""Bodies that faults replace by others, whatever their method, status and protocol. Pure."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from chaos.faults.base import Call
from chaos.protocols.base import Undecodable
from chaos.proxy import coding
from chaos.proxy.armed import ArmedFault

log = logging.getLogger("chaos.proxy")


def with_other_body(
    body: bytes, coded: str | None, faults: Sequence[tuple[ArmedFault, Call]]
) -> tuple[bytes, list[ArmedFault]]:
    """The body after every one of these faults, and those that changed it: the very same object when none did.

    A compressed one (`coded` is its content coding) is opened for them, and closed again in the same way. What a fault cannot do has
    not happened, and is counted as undecodable.
    """
    changed: list[ArmedFault] = []
    try:
        plain = after = body if coded is None else coding.opened(body, coded)
    except Undecodable:
        for fault, _ in faults:
            fault.counts.undecodable += 1
        return body, changed
    for fault, call in faults:
        try:
            made = fault.fault.edit_body(after, call)
            if not isinstance(made, bytes):
                raise TypeError("a fault that makes something else of a body")
        except Exception as error:  # the code of others: traffic goes on
            log.debug("%s could not be done to a body", fault.name, exc_info=error)
            fault.counts.undecodable += 1
            continue
        if made != after:
            changed.append(fault)
            after = made
    if after == plain:
        return body, []
    return after if coded is None else coding.closed(after, coded), changed
