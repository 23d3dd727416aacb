"""The live view of a run: what it does at every moment. Lines in a log, a moving panel on a terminal."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaos.bounds import format_value
from chaos.engine import Run
from chaos.events import State
from chaos.readings import values_of
from chaos.visible import visible

STEPS = (State.preflight, State.warmup, State.baseline, State.inject, State.undo, State.recovery, State.collect)
NAMES = {
    State.preflight: "holding the proxies, starting the load", State.warmup: "warming up", State.baseline: "measuring the baseline",
    State.inject: "the fault is on", State.undo: "undoing", State.recovery: "waiting for the system and its alerts to settle",
    State.collect: "collecting the evidence", State.ended: "over",
}  # fmt: skip
LINE_EVERY_S = 5.0
REDRAW_EVERY_S = 0.25
MOST_FRAMES = 50
CLOSE_S = 2.0

log = logging.getLogger("chaos.run")


def length_s(run: Run, state: State) -> float | None:
    """The most that a state lasts, or None when nobody can say."""
    plan = run.plan
    return {
        State.warmup: plan.load.warmup_s if plan.load else 0.0,
        State.baseline: plan.baseline_s,
        State.inject: max((effect.start_s + effect.duration_s for effect in plan.faults()), default=0.0),
        State.recovery: plan.recovery_s,
    }.get(state)


def happening(run: Run, at_s: float) -> str:
    """One line: the state, how far it is, the probes, the alerts, what is being waited for."""
    elapsed_s, most_s = at_s - run.entered_at_s, length_s(run, run.state)
    clock = f"{elapsed_s:.0f}s" + (f" of at most {most_s:.0f}s" if most_s else "")
    parts = [f"{NAMES[run.state]} ({clock})"]
    seen = []
    for probe in run.plan.steady():
        reading = run.progress.sliding.get(probe.title)
        values = values_of(probe, reading) if reading is not None else ()
        if values:
            seen.append(f"{probe.title} {format_value(values[0], probe.unit)}")
    if seen:
        parts.append(", ".join(seen))
    told = [f"{name} {state}" for name, state in sorted(run.progress.active.items()) if name != "Watchdog"]
    if told:
        parts.append("alerts: " + ", ".join(told))
    waiting = _waiting(run)
    if waiting:
        parts.append("waiting for " + "; ".join(waiting[:2]) + ("…" if len(waiting) > 2 else ""))
    return visible(" · ".join(parts))


def _waiting(run: Run) -> list[str]:
    """What the run waits for now, in words."""
    match run.state:
        case State.inject:
            return run.progress.waiting_for()
        case State.undo:
            return [f"the external effect at {one.target} to end" for one in run.progress.externals_on()]
        case State.recovery:
            return run.progress.unsettled()
        case _:
            return []


class Painter:
    """Draws beside the run: a terminal that is held, or a pipe that nobody reads, keeps no run and no guard waiting.

    What is to be drawn is made when the run says so, since it changes afterwards; when drawing lags behind, the oldest frames are
    left out. What cannot be drawn at all is given up.
    """

    def __init__(self) -> None:
        self._frames: deque[Callable[[], None]] = deque(maxlen=MOST_FRAMES)
        self._change = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._draw, daemon=True, name="live view")
        self._thread.start()

    def put(self, frame: Callable[[], None]) -> None:
        """It is drawn as soon as those before it are."""
        self._frames.append(frame)
        self._change.set()

    def close(self) -> None:
        """Everything is drawn, as far as somebody reads."""
        self._over = True
        self._change.set()
        self._thread.join(CLOSE_S)

    def _draw(self) -> None:
        while True:
            self._change.wait()
            self._change.clear()
            while self._frames:
                try:
                    self._frames.popleft()()
                except (Exception, SystemExit) as error:
                    log.debug("the live view ended: %r", error)
                    self._frames = deque(maxlen=0)
            if self._over:
                return


class Lines:
    """For logs: a line when the state changes, and one every few seconds in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._painter = Painter()
        self._state: State | None = None
        self._said_s = -LINE_EVERY_S

    def __call__(self, run: Run, at_s: float) -> None:
        """Says what there is to say now."""
        if run.state is self._state and at_s - self._said_s < LINE_EVERY_S:
            return
        if run.state is not self._state:
            self._state = run.state
            line = Text(
                f"{at_s:6.1f}s  ▸ {NAMES[run.state]}" + (f": {visible(run.why)}" if run.why else ""), style="bold"
            )
        else:
            line = Text(f"{at_s:6.1f}s    {happening(run, at_s)}")
        self._painter.put(lambda: self._console.print(line, soft_wrap=True))
        self._said_s = at_s

    def __enter__(self) -> Self:
        """Nothing to set up."""
        return self

    def __exit__(self, *_: object) -> None:
        """Everything is said."""
        self._painter.close()


class Panel:
    """For terminals: the steps with their clocks, the probes against their bounds, the alerts, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._painter = Painter()
        self._state: State | None = None
        self._drawn_s = -1.0

    def __enter__(self) -> Self:
        """The panel is on the screen."""
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """The panel is gone."""
        self._painter.close()
        self._live.__exit__(None, None, None)

    def __call__(self, run: Run, at_s: float) -> None:
        """Redraws, a few times a second."""
        if run.state is not self._state:
            self._state = run.state
            line = Text(f"{at_s:6.1f}s  ▸ {NAMES[run.state]}: {visible(run.why)}", style="bold")
            self._painter.put(lambda: self._live.console.print(line))
        elif at_s - self._drawn_s < REDRAW_EVERY_S:
            return
        self._drawn_s = at_s
        panel = self._draw(run, at_s)
        self._painter.put(lambda: self._live.update(panel, refresh=True))

    def _draw(self, run: Run, at_s: float) -> Group:
        elapsed_s, most_s = at_s - run.entered_at_s, length_s(run, run.state)
        bar = ""
        if most_s:
            filled = min(30, int(30 * elapsed_s / most_s))
            bar = "━" * filled + "─" * (30 - filled) + f" {elapsed_s:.0f}/{most_s:.0f}s"
        table = Table.grid(padding=(0, 2))
        for probe in run.plan.steady():
            reading = run.progress.sliding.get(probe.title)
            values = values_of(probe, reading) if reading is not None else ()
            value = format_value(values[0], probe.unit) if values else "no data"
            bounds = ", ".join(
                f"{word} {bound}"
                for word, bound in (("min", probe.bound("minimum")), ("max", probe.bound("maximum")))
                if bound
            )
            table.add_row(Text(f"  {visible(probe.title)}"), Text(value), Text(bounds, style="dim"))
        alerts = [f"{name} {state}" for name, state in sorted(run.progress.active.items()) if name != "Watchdog"]
        rows: list[object] = [Text(f"  {NAMES[run.state]}  {bar}", style="bold cyan"), table]
        rows.append(Text("  alerts: " + (visible(", ".join(alerts)) or "quiet"), style="bold red" if alerts else "dim"))
        waiting = _waiting(run)
        if waiting:
            rows.append(Text("  waiting for " + visible("; ".join(waiting)), style="yellow"))
        rows.append(Text("  Ctrl-C undoes everything and leaves", style="dim"))
        return Group(*rows)  # type: ignore[arg-type]
