"""A relay before a server that holds one request back: what the server does with it happens late, when whoever asked may be dead."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PIECE = 65536


@dataclass
class Held:
    """The first request that has `what` in it. Every other one passes."""

    what: bytes
    caught: threading.Event = field(default_factory=threading.Event)
    """Set when it is there, and kept from the server."""
    let_go: threading.Event = field(default_factory=threading.Event)
    """Set it, and the server gets the request, whether or not whoever sent it still lives."""
    answered: threading.Event = field(default_factory=threading.Event)
    answer: bytes = b""
    """The first bytes of what the server said to it."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def catches(self, piece: bytes) -> bool:
        """Whether this is the one."""
        with self._lock:
            if self.caught.is_set() or self.what not in piece:
                return False
            self.caught.set()
            return True


@contextmanager
def holding(listener: socket.socket, connect: Callable[[], socket.socket], what: bytes) -> Iterator[Held]:
    """What comes in at the listener goes to the server that `connect` reaches, but for the request that is held; until the block ends."""
    held = Held(what)
    listener.listen(64)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_relay, args=(client, connect(), held), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield held
    finally:
        held.let_go.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _relay(client: socket.socket, server: socket.socket, held: Held) -> None:
    mine = threading.Event()
    back = threading.Thread(target=_back, args=(server, client, held, mine), daemon=True)
    back.start()
    with contextlib.suppress(OSError):
        while piece := client.recv(PIECE):
            if held.catches(piece):
                mine.set()
                held.let_go.wait()
            server.sendall(piece)
    if mine.is_set():
        held.answered.wait(30)  # the server would give a request up whose asker has gone
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_WR)
    back.join(30)
    client.close()
    server.close()


def _back(server: socket.socket, client: socket.socket, held: Held, mine: threading.Event) -> None:
    while True:
        try:
            piece = server.recv(PIECE)
        except OSError:
            return
        if mine.is_set() and held.let_go.is_set() and not held.answered.is_set():
            held.answer = piece
            held.answered.set()
        if not piece:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            return
        with contextlib.suppress(OSError):  # whoever asked is dead
            client.sendall(piece)
