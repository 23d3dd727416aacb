"""A relay before a server that holds one request back: what the server does with it happens late, when whoever asked may be dead."""

from __future__ import annotations

import contextlib
import re
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
    """Set when all of it is there, and kept from the server."""
    let_go: threading.Event = field(default_factory=threading.Event)
    """Set it, and the server gets the request, whether or not whoever sent it still lives."""
    answered: threading.Event = field(default_factory=threading.Event)
    answer: bytes = b""
    """The first bytes of what the server said to it."""
    _claimed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def catches(self, piece: bytes) -> bool:
        """Whether this is the one."""
        with self._lock:
            if self._claimed or self.what not in piece:
                return False
            self._claimed = True
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
            threading.Thread(target=_relay, args=(client, connect, held), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield held
    finally:
        held.let_go.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _relay(client: socket.socket, connect: Callable[[], socket.socket], held: Held) -> None:
    mine = threading.Event()
    server = connect()
    ends = [(server, _answering(server, client, held, mine))]
    with contextlib.suppress(OSError):
        while piece := client.recv(PIECE):
            if held.catches(piece):
                piece = _whole(client, piece)
                mine.set()
                held.caught.set()
                held.let_go.wait()
                server = connect()  # the other one may have been closed: servers wait for nobody for long
                ends.append((server, _answering(server, client, held, mine)))
            server.sendall(piece)
    if mine.is_set():
        held.answered.wait(30)  # the server would give a request up whose asker has gone
    for each, back in ends:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_WR)
        back.join(30)
        each.close()
    client.close()


def _whole(client: socket.socket, begun: bytes) -> bytes:
    """The request that begins so, with its body: whoever sends it may die before that has followed."""
    while b"\r\n\r\n" not in begun and (piece := client.recv(PIECE)):
        begun += piece
    head, _, body = begun.partition(b"\r\n\r\n")
    said = re.search(rb"(?i)content-length: *(\d+)", head)
    while said and len(body) < int(said[1]) and (piece := client.recv(PIECE)):
        begun, body = begun + piece, body + piece
    return begun


def _answering(server: socket.socket, client: socket.socket, held: Held, mine: threading.Event) -> threading.Thread:
    """Whatever the server says goes back to the client."""
    back = threading.Thread(target=_back, args=(server, client, held, mine), daemon=True)
    back.start()
    return back


def _back(server: socket.socket, client: socket.socket, held: Held, mine: threading.Event) -> None:
    while True:
        try:
            piece = server.recv(PIECE)
        except OSError:
            return
        if piece and mine.is_set() and held.let_go.is_set() and not held.answered.is_set():
            held.answer = piece
            held.answered.set()
        if not piece:
            if mine.is_set() and not held.answered.is_set():
                return  # of a connection that nothing more is asked on
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            return
        with contextlib.suppress(OSError):  # whoever asked is dead
            client.sendall(piece)
