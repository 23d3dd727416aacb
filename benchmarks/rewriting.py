"""What reading, changing and writing back an answer costs, without the proxy around it, next to what a parser alone takes.

    .venv/bin/python -m benchmarks.rewriting [--than CHECKOUT] [--repeat 41]

It is the time on the processor that is measured, and by turns in one process: a busy machine is busy for all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path

import orjson

from benchmarks.proxy.cases import MODELS, answer

HERE = Path(__file__).parents[1]
LEAST_S = 0.004
"""How long one measurement takes at least."""


def rewriting(checkout: Path) -> Callable[[bytes], object]:
    """What the proxy of this checkout does with an answer of which every row is selected."""
    for name in [name for name in sys.modules if name.split(".")[0] == "chaos"]:
        del sys.modules[name]
    sys.path.insert(0, str(checkout))
    from chaos.faults import catalogue as faults
    from chaos.faults.base import Call
    from chaos.protocols import base, oip

    assert Path(str(oip.__file__)).is_relative_to(checkout.resolve())
    sys.path.pop(0)
    fault = faults()["wrong_predictions"].model_validate({"fault": "wrong_predictions", "target": "model"})
    protocol, output, call = oip.PROTOCOL, base.Output(), Call("seed", 0, "subject", 1.0, {})
    forget = getattr(getattr(oip, "_read", None), "cache_clear", lambda: None)

    def rewrite(body: bytes) -> object:
        forget()  # an older one remembers the last answer, which would be this one
        rows = protocol.rows(body, {}, output)
        return protocol.encode(body, {}, output, rows, fault.edit(rows, call))

    return rewrite


def main() -> None:
    """Prints median and range of each, in microseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--than", type=Path, help="another checkout to compare with")
    parser.add_argument("--repeat", type=int, default=41)
    asked = parser.parse_args()
    measured: dict[str, Callable[[bytes], object]] = {"rewritten": rewriting(HERE)}
    if asked.than is not None:
        measured["there"] = rewriting(asked.than)
    measured |= {"json.loads": json.loads, "orjson.loads": orjson.loads}
    for name in ("small", "large", "rows-400"):
        body = answer(MODELS[name])
        timers = {what: timeit.Timer(partial(one, body), timer=time.process_time) for what, one in measured.items()}
        numbers = {what: max(1, int(LEAST_S / min(timer.repeat(5, 1)))) for what, timer in timers.items()}
        taken: dict[str, list[float]] = {what: [] for what in timers}
        for _ in range(asked.repeat):
            for what, timer in timers.items():
                taken[what].append(timer.timeit(numbers[what]) / numbers[what] * 1e6)
        print(f"{name}, {len(body)} bytes")
        for what, times in taken.items():
            print(f"  {what:12} {statistics.median(times):8.1f} µs ({min(times):.1f} – {max(times):.1f})")


if __name__ == "__main__":
    main()
