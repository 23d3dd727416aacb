"""Why a rehearsal and the second run disagree, as far as somebody has found it: fault → sentence."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "restart": (
        "the replica needed 18 s to serve again in the first run and 6 s in the second, on a machine that was busy with other work: "
        "one recording knows one such time"
    ),
    "stop": (
        "the effect counts from the end of `docker stop`, which took 2.7 s in the first run and 7.4 s in the second (the engine killed "
        "the process in the end), and the replica answers no scrape from its beginning on"
    ),
}
