"""Values in an answer's JSON, as armed faults change them: of a whole answer, or of each event of a streamed one. No sockets.

Only the bytes of the values that become others are replaced; every other byte of the answer keeps its place and its spelling.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from chaos import json_codec, json_places
from chaos.faults.base import Call
from chaos.proxy.armed import ArmedFault
from chaos.proxy.counters import Counters


class DocumentFaults:
    """The armed faults that change values in JSON, as they hurt one answer, each counted once for it.

    A fault that is taken off meanwhile changes nothing further. What a fault changes because it has changed a text of the answer is
    counted with the text.
    """

    def __init__(
        self,
        faults: Sequence[tuple[ArmedFault, Call]],
        obeys: Callable[[ArmedFault], bool],
        counters: Counters,
        arm: str = "treatment",
        allows: Callable[[], bool] = lambda: True,
    ) -> None:
        self._faults = faults
        self._obeys = obeys
        self._counters = counters
        self._arm = arm
        self._allows = allows
        self._withheld: set[int] = set()
        self._selected: set[int] = set()
        self._changed: set[int] = set()
        self._counted: set[int] = set()
        self._counted_selected: set[int] = set()

    def edit(self, text: bytes) -> bytes:
        """The JSON text with other values in it; the very same object when nothing changes. Raises ValueError when it is no JSON."""
        for fault, call in self._faults:
            follows = _follows(fault)
            if not self._obeys(fault) or not (follows or (call.selected() and self._allowed(fault))):
                continue
            if not follows:
                self._selected.add(fault.index)
            fresh = _replaced(text, fault, call)
            if fresh != text:
                text = fresh
                if not follows:
                    self._changed.add(fault.index)
        return text

    def _allowed(self, fault: ArmedFault) -> bool:
        """Whether the run's cap lets this answer be hurt: throughout, or not at all."""
        if fault.index in self._selected or fault.index in self._withheld:
            return fault.index in self._selected
        if not self._allows():
            self._withheld.add(fault.index)
            return False
        return True

    def edit_event(self, data: str) -> str:
        """The data of one event, with other values in its JSON; the very same string when nothing changes. It is counted at once."""
        if not data.startswith("{"):
            return data
        before = data.encode("utf-8", "surrogatepass")
        try:
            after = self.edit(before)
        except (ValueError, RecursionError):
            return data
        self.count()
        return data if after is before else after.decode("utf-8", "surrogatepass")

    def after(self, feed: Callable[[str], str]) -> Callable[[str], str]:
        """What edits the data of an event once `feed` has edited its text."""
        return lambda data: self.edit_event(feed(data))

    def count(self) -> None:
        """What was selected and changed by now has reached the client, and is counted."""
        for fault, _ in self._faults:
            index, name = fault.index, fault.name
            if index in self._selected and index not in self._counted_selected:
                self._counted_selected.add(index)
                fault.counts.selected_rows += 1
                self._counters.selected[name, self._arm] += 1
                # One that acts has counted the request when it came.
                fault.counts.selected_requests += not fault.acts
                fault.memory.selected += not fault.acts
            if index in self._changed and index not in self._counted:
                self._counted.add(index)
                fault.counts.changed_rows += 1
                fault.counts.happened(time.time(), time.monotonic())
                self._counters.changed[name, self._arm] += 1

    def changes(self) -> bool:
        """Whether any value has become another, apart from those that follow a changed text."""
        return bool(self._changed)


def _follows(fault: ArmedFault) -> bool:
    """Whether the fault edits rows or text, and its other values follow these."""
    return fault.edits_rows or fault.fault.edits_text


def _replaced(text: bytes, fault: ArmedFault, call: Call) -> bytes:
    """The text after one fault's edits; the very same object when there are none."""
    document = json_codec.exactly(text)
    wanted = fault.fault.edit_document(document, call)
    if not wanted:
        return text
    escaped = text.isascii()
    places = json_places.find(text, wanted)
    edits = [(places[address], _dumped(value, escaped=escaped)) for address, value in wanted.items()]
    return json_places.replaced(text, edits)


def _dumped(value: object, *, escaped: bool) -> bytes:
    """The value as JSON, escaped as its surroundings are; half a surrogate pair is escaped in any case."""
    try:
        return json.dumps(value, ensure_ascii=escaped).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value).encode("utf-8")
