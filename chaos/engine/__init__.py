"""The run as a state machine: events in, commands out, no I/O, no clock.

states: the table of states, and its picture · effects: what is known of each effect, and when it is gone · run: the machine
"""

from __future__ import annotations

from chaos.engine.effects import APPLY_DEAD_S, MAY_LAND_S, RENEW_AGAIN_S, UNDO_CALL_S
from chaos.engine.run import Output, Run
from chaos.engine.states import TRANSITIONS, Trigger, picture

__all__ = [
    "APPLY_DEAD_S",
    "MAY_LAND_S",
    "RENEW_AGAIN_S",
    "TRANSITIONS",
    "UNDO_CALL_S",
    "Output",
    "Run",
    "Trigger",
    "picture",
]
