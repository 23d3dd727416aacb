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

from chaos.engine import Run
from chaos.engine.moment import NAMES, Shown, moment
from chaos.events import State
from chaos.visible import visible

LINE_EVERY_S = 5.0
REDRAW_EVERY_S = 0.25
MOST_FRAMES = 50
CLOSE_S = 2.0

log = logging.getLogger("chaos.run")


def happening(run: Shown, at_s: float) -> str:
    """One line: the state, how far it is, the probes, the alerts, what is being waited for."""
    now = moment(run, at_s)
    clock = f"{now.elapsed_s:.0f}s" + (f" of at most {now.most_s:.0f}s" if now.most_s else "")
    parts = [f"{now.doing} ({clock})"]
    seen = [f"{probe.title} {probe.value}" for probe in now.probes if probe.value is not None]
    if seen:
        parts.append(", ".join(seen))
    if now.alerts:
        parts.append("alerts: " + ", ".join(f"{name} {state}" for name, state in now.alerts))
    if now.waiting:
        parts.append("waiting for " + "; ".join(now.waiting[:2]) + ("…" if len(now.waiting) > 2 else ""))
    return visible(" · ".join(parts))


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
        now = moment(run, at_s)
        bar = ""
        if now.most_s:
            filled = min(30, int(30 * now.elapsed_s / now.most_s))
            bar = "━" * filled + "─" * (30 - filled) + f" {now.elapsed_s:.0f}/{now.most_s:.0f}s"
        table = Table.grid(padding=(0, 2))
        for probe in now.probes:
            table.add_row(
                Text(f"  {visible(probe.title)}"), Text(probe.value or "no data"), Text(probe.bounds, style="dim")
            )
        alerts = ", ".join(f"{name} {state}" for name, state in now.alerts)
        rows: list[object] = [Text(f"  {now.doing}  {bar}", style="bold cyan"), table]
        rows.append(Text("  alerts: " + (visible(alerts) or "quiet"), style="bold red" if alerts else "dim"))
        if now.waiting:
            rows.append(Text("  waiting for " + visible("; ".join(now.waiting)), style="yellow"))
        rows.append(Text("  Ctrl-C undoes everything and leaves", style="dim"))
        return Group(*rows)  # type: ignore[arg-type]
