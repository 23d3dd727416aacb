"""How several processes that accept from one socket share the connections out: whoever has more than another lets it go first.

Every process has a place in a piece of shared memory, where it writes how many connections it has. Nobody waits for anybody: one
that is ahead gives the others YIELD_S to take what waits, and then takes it itself.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
from collections.abc import Callable

PLACES = 64
NOBODY = 2**31 - 1
"""What the place of a process that does not accept says: nobody is ahead of it."""
YIELD_S = 0.001
AHEAD = 1
"""So many connections more than another has are no reason to wait."""
AGAIN_S = 0.1


class Shares:
    """The piece of memory, made by the parent; `number` is the descriptor that its children inherit."""

    def __init__(self, number: int | None = None) -> None:
        made = number is None
        self.number = os.memfd_create("chaos-proxy") if number is None else number
        if made:
            os.ftruncate(self.number, 4 * PLACES)
        self._memory = mmap.mmap(self.number, 4 * PLACES)
        self._counts = memoryview(self._memory).cast("i")
        if made:
            for place in range(PLACES):
                self.say(place, NOBODY)

    def say(self, place: int, count: int) -> None:
        """The process at this place has so many connections."""
        self._counts[place] = count

    def least(self) -> int:
        """How many the process has that has the fewest."""
        return min(self._counts)


class Share:
    """One process's place among the others."""

    def __init__(self, shares: Shares, place: int) -> None:
        self._shares = shares
        self._place = place

    def say(self, count: int) -> None:
        """This process has so many connections now."""
        self._shares.say(self._place, count)

    def ahead(self, count: int) -> bool:
        """Whether another has clearly fewer."""
        return count > self._shares.least() + AHEAD


class SharedListener:
    """Accepts from a socket that several processes share, one connection at a time."""

    def __init__(
        self,
        listener: socket.socket,
        made: Callable[[], asyncio.Protocol],
        share: Share,
        connections: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._made = made
        self._share = share
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self._share.say(self._count())
        self._resume()

    def _count(self) -> int:
        return self._connections() + len(self._tasks)

    def _wanted(self) -> None:
        """Somebody waits."""
        count = self._count()
        self._share.say(count)
        if self._share.ahead(count):
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(YIELD_S, self._after)
        else:
            self._accept()

    def _after(self) -> None:
        """The others had their chance."""
        if self._listener.fileno() >= 0:
            self._resume()
            self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the client has left
        except OSError:  # no descriptors left: whoever waits does so until some are free
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(AGAIN_S, self._resume)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._made, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._share.say(self._count())

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener.fileno(), self._wanted)

    def close(self) -> None:
        """Nobody is accepted here any more."""
        if self._listener.fileno() >= 0:
            self._share.say(NOBODY)
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()
