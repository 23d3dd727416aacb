"""A way to the Docker engine on which one kind of call can be held back, as an engine that hangs does."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Holding:
    """What is asked of `address` reaches the engine, apart from calls that are held until they are let go."""

    def __init__(self, engine: str, path: Path) -> None:
        self.address = f"unix://{path}"
        self._engine = engine.removeprefix("unix://")
        self._held: re.Pattern[bytes] | None = None
        self._go = threading.Event()
        self.caught = threading.Event()
        """Set when a call is being held."""
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen(64)

    def hold(self, first_line: str) -> None:
        """From now on a request whose first line matches this expression waits."""
        self.caught.clear()
        self._go.clear()
        self._held = re.compile(first_line.encode())

    def let_go(self) -> None:
        """What is held reaches the engine, and nothing is held any more."""
        self._held = None
        self._go.set()

    def serve(self) -> None:
        """Passes connections on until the door is closed."""
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._connected, args=(client,), daemon=True).start()

    def close(self) -> None:
        """Nobody is let in any more, and nobody is kept waiting."""
        self.let_go()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _connected(self, client: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX)
        try:
            engine.connect(self._engine)
        except OSError:
            client.close()
            return
        threading.Thread(target=_copied, args=(engine, client), daemon=True).start()
        while piece := _received(client):
            # Nobody asks a second thing before the first is answered, so a request begins where a piece begins.
            line = piece.partition(b"\r\n")[0]
            held = self._held
            if held is not None and held.search(line):
                self.caught.set()
                self._go.wait(60)
            if not _sent(engine, piece):
                break
        for one in (engine, client):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(65536)
    except OSError:
        return b""


def _sent(one: socket.socket, piece: bytes) -> bool:
    try:
        one.sendall(piece)
    except OSError:
        return False
    return True


def _copied(source: socket.socket, to: socket.socket) -> None:
    while (piece := _received(source)) and _sent(to, piece):
        pass
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_WR)
    for one in (source, to):
        one.close()


@contextmanager
def holding(folder: Path) -> Iterator[Holding]:
    """A way to the engine that DOCKER_HOST names, or to the usual one, until the block ends."""
    made = Holding(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"), folder / "engine.sock")
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.close()
