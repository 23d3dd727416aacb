"""Game days: sequences of experiments on a calendar, as values. Pure: time is an argument.

file ─▶ GameDay ─▶ due (what its calendar and its history want now) ─▶ course (which step follows) ─▶ Summary
"""

from chaos.gameday.course import Ask, Outcome, Run, Skip, following
from chaos.gameday.due import Due, Pass, Play, Record, Wait, due
from chaos.gameday.file import GameDay, Schedule, Step, Tell, json_schema, parse_gameday
from chaos.gameday.starts import starts
from chaos.gameday.summary import Summary, summary

__all__ = [
    "Ask",
    "Due",
    "GameDay",
    "Outcome",
    "Pass",
    "Play",
    "Record",
    "Run",
    "Schedule",
    "Skip",
    "Step",
    "Summary",
    "Tell",
    "Wait",
    "due",
    "following",
    "json_schema",
    "parse_gameday",
    "starts",
    "summary",
]
