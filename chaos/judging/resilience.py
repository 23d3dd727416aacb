"""Did the system hold: harms seen, holds kept, control unharmed, recovered?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.judging import arms, steady
from chaos.judging.trace import Trace
from chaos.verdict import Finding


def findings(trace: Trace) -> Iterator[Finding]:
    """Harms, holds, control, recovery. Nothing is said about a fault that never took effect."""
    if trace.first_effect() is None:
        return
    yield from steady.findings(trace)
    yield from arms.findings(trace)
    yield from steady.recovered(trace)
