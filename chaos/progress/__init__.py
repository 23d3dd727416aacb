"""What a run has seen so far, as far as it decides what happens next. Pure; fed by the engine, shown by the live view.

observations ─▶ seen: Progress ─┬▶ questions: is the baseline met, is the fault decided, has the system settled
                                └▶ guards: must it end now

Nothing here is a finding: findings are computed from the journal when the run is over (`chaos.judging`).
"""

from chaos.progress.seen import Progress

__all__ = ["Progress"]
