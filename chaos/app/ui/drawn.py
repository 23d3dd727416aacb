"""Pages that are drawn from every run: one at a time, in a thread of their own, and anew only once something has changed. Wiring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field


@dataclass
class Drawn:
    """The last page of each name. Belongs to one event loop; nothing else waits behind what this draws."""

    _thread: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "ui draws"))
    _kept: dict[str, tuple[Hashable, str]] = field(default_factory=dict)

    async def page(self, name: str, seen: Callable[[], Hashable], draw: Callable[[], str]) -> str:
        """What `draw` makes, or made when `seen` was last the same. Both are called in the thread, and raise here."""

        def drawn() -> str:
            key = seen()  # before it is drawn: what changes meanwhile is drawn next time
            kept = self._kept.get(name)
            if kept is None or kept[0] != key:
                kept = self._kept[name] = (key, draw())
            return kept[1]

        return await asyncio.get_running_loop().run_in_executor(self._thread, drawn)
