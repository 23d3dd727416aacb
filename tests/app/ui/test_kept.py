"""What the folder of runs holds."""

from __future__ import annotations

import os
import time
from pathlib import Path

from chaos.app.past import GOING_S
from chaos.app.ui.kept import Kept
from chaos.drivers.state import State
from chaos.history import RunSummary
from tests.app.ui.serving import FOLDER, lines, over, until


def test_a_run_that_died_is_read_again_once_it_is_old_enough_to_be_judged(tmp_path: Path) -> None:
    journal = over(tmp_path / "runs") / "journal.jsonl"
    journal.write_text("".join(lines()[:60]))
    os.utime(journal, (time.time() - GOING_S + 3.0,) * 2)
    kept = Kept(tmp_path / "runs", State(tmp_path / "state"))
    assert not isinstance(kept.read(FOLDER), RunSummary)
    until(lambda: isinstance(kept.read(FOLDER), RunSummary), "a run that died goes on for ever")
