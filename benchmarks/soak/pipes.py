"""A process that ends with the one that started it, however that ends: it reads standard input to its end.

The parent writes a line to ask something, and reads a line; when it is gone, killed included, the pipe is closed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

GOODBYE_S = 5.0
"""How long a process may take to end by itself; then it is cut off."""


def obey(answer: Callable[[str], str]) -> None:
    """From now on every line of standard input is answered with one of standard output; its end ends this process."""
    threading.Thread(target=_listen, args=(answer,), daemon=True).start()


def _listen(answer: Callable[[str], str]) -> None:
    held = b""
    # Not sys.stdin: a thread that waits in it holds a lock which the end of the interpreter wants.
    while data := os.read(0, 4096):
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            print(answer(line.decode()), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GOODBYE_S)
    os._exit(1)
