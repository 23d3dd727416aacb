"""The fault proxy as `chaos proxy` starts it, and it also tells how many tasks its event loop has.

`python -m benchmarks.soak.proxied …` with the proxy's own arguments. It ends with standard input.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from contextlib import suppress

from benchmarks.soak.pipes import obey

LOOPS: list[asyncio.AbstractEventLoop] = []


def remembered(made: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes the same event loops, and they can be looked at."""

    def make() -> asyncio.AbstractEventLoop:
        LOOPS.append(made())
        return LOOPS[-1]

    return make


def tasks(_: str) -> str:
    """How many tasks are not done."""
    return str(sum(len(asyncio.all_tasks(loop)) for loop in LOOPS))


def main() -> int:
    """The proxy's exit code."""
    # The proxy takes whichever is there; both are looked at, and neither behaves differently.
    for library in ("asyncio", "uvloop"):
        with suppress(ImportError):
            module = importlib.import_module(library)
            module.new_event_loop = remembered(module.new_event_loop)  # type: ignore[attr-defined]
    from chaos.proxy.__main__ import main as proxy

    obey(tasks)
    return proxy(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
