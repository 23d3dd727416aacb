"""How many examples are tried: few with every test run, as many times more as CHAOS_FUZZ says with `make fuzz`."""

from __future__ import annotations

import os


def examples(few: int) -> int:
    """`few`, times CHAOS_FUZZ."""
    return few * int(os.environ.get("CHAOS_FUZZ", "1"))
