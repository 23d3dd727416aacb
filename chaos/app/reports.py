"""What a run leaves in its folder when it is over: the verdict and its reports. Wiring."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from chaos.app.following import Following
from chaos.drivers.folder import FileName, JournalWriter, RunFolder
from chaos.journal import BrokenJournal, Line
from chaos.verdict import Verdict

log = logging.getLogger("chaos.run")


def report_first(
    folder: RunFolder, journal: JournalWriter, following: Following, *, interrupts: int = 0
) -> tuple[list[Line], Verdict | None]:
    """The journal and its verdict, which is None where nothing stands in it: the run is reported, and who looked on has heard the rest.

    What the run was for comes first: whoever looks on may take its time, and hears meanwhile. Somebody who pressed Ctrl-C waits for
    nobody who looks on, and who pressed it again for no page either.
    """
    following.end()
    try:
        lines = journal.lines()
        return lines, report(folder, lines, quick=interrupts > 1) if lines else None
    finally:
        following.close(wait=not interrupts)


def report(folder: RunFolder, lines: Sequence[Line] | None = None, *, quick: bool = False) -> Verdict:
    """The journal (the folder's, unless its lines are given) is judged; the reports stand beside it, as far as they can be
    written: a full disk or a picture that cannot be drawn costs nobody the verdict.
    """
    from chaos.judging import judge
    from chaos.judging.trace import trace
    from chaos.report import html, junit

    read = lines if lines is not None else folder.lines()
    try:
        verdict = judge(read)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, MemoryError) as error:
        if lines is not None:
            raise  # our own run's: whatever this is, no journal of somebody else is to blame
        log.debug("", exc_info=True)
        raise BrokenJournal(f"the journal in {folder.path} says what no run can have said: {error}") from error
    _keep(folder, "verdict.json", verdict.to_json)
    _keep(folder, "junit.xml", lambda: junit.junit(verdict))
    if not quick:
        _keep(folder, "report.html", lambda: html.render(verdict, trace(read).plan, read))
    return verdict


def _keep(folder: RunFolder, name: FileName, made: Callable[[], str]) -> None:
    try:
        folder.write(name, made())
    except Exception as error:
        log.error("%s could not be written: %s; `chaos judge %s` makes it again", name, error, folder.path)
        log.debug("", exc_info=True)
