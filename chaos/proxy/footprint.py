"""A proxy stays for months: what was loaded once costs nothing any more, and what a large body took is given back."""

from __future__ import annotations

import ctypes
import gc
import logging
import resource
import sys
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
_GIVEN_BACK = 1 << 20
"""Bytes. The C library would learn from one large body to keep as much for good (10 MB after answers of 1 MB were edited); smaller
pieces, such as every read of the event loop, are still taken from what is there."""
_YOUNG = 10_000
"""Objects that are made before any are looked at; requests leave none behind that refer to each other."""


def prepare() -> None:
    """Called first: what the proxy has to tell goes to stderr, and as many connections are possible as this user may have."""
    logging.basicConfig(level=logging.WARNING, format="chaos proxy: %(message)s", stream=sys.stderr)
    logging.getLogger("chaos.proxy").setLevel(logging.INFO)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a client takes two descriptors


def settle() -> None:
    """Called once everything is loaded: the garbage collector forgets what is there, and freed memory goes back to the system."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
    with suppress(OSError, AttributeError):  # another C library has other words for it
        malloc = ctypes.CDLL(None).mallopt
        malloc(_MMAP_THRESHOLD, _GIVEN_BACK)
        malloc(_TRIM_THRESHOLD, _GIVEN_BACK)
