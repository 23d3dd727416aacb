"""The door of the command line: what `chaos` and `python -m chaos` call. Errors become sentences and exit codes here.

`chaos stop` goes through it without waiting for the library of the command line, which takes ten times as long to load as all that a
stop needs: on a machine that is overloaded, that is a second in which everything stays hurt. Only its plain forms do; whatever else is
written after `stop` is the command line's to read, to explain and to refuse.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from chaos.errors import ChaosError, InvalidFile, NotUndone, Refused
from chaos.visible import visible

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C or SIGTERM has ended."""


def say(text: str) -> None:
    """What goes wrong often repeats what others wrote: files, labels, servers. None of it commands the terminal."""
    print(visible(text, keep="\n"), file=sys.stderr, flush=True)


def say_folded(text: str) -> None:
    """The same for sentences, which nobody copies: on a terminal they are folded to its width."""
    from chaos.app.widths import fold  # not above: most of the time nothing is said

    say(fold(visible(text, keep="\n"), sys.stderr))


def tell_refusal(error: Refused) -> None:
    """Every reason why something must not run is said."""
    say("this must not run:")
    for reason in error.reasons:
        say_folded(f"  - {reason}")


def plain_stop(words: Sequence[str]) -> tuple[str | None, bool] | None:
    """The run that these words of the command line stop, and whether all are stopped; None where it takes more to read them."""
    match words:
        case ["stop"]:
            return None, False
        case ["stop", "--all"]:
            return None, True
        case ["stop", name] if name and not name.startswith("-"):
            return name, False
        case _:
            return None


def main() -> None:
    """The console script."""
    if "_CHAOS_COMPLETE" in os.environ:
        from chaos.app import completions

        offers = completions.plain(os.environ)
        if offers is not None:
            print("\n".join(offers))
            return
    asked = plain_stop(sys.argv[1:])
    if asked is None:
        from chaos.app import cli

        cli.main()
    else:
        name, everything = asked
        through(lambda: _stop(name, everything=everything))


def _stop(name: str | None, *, everything: bool) -> None:
    """`chaos stop`; interrupted, it ends as every command of the command line's library does."""
    from chaos.app import stopping

    try:
        stopping.command(name, say, everything=everything)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def through(command: Callable[[], object]) -> None:
    """The command has been performed. Every error that we raise on purpose has become its sentences and its exit code.

    An error that nobody foresaw exits 3 (could not run), never Python's 1: that would say that a weakness was found.
    """
    # Whatever is half done (a lab that comes up, an image that is built) is cleaned up on SIGTERM as on Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupted)
    atexit.register(_let_go_of_closed_pipes)
    try:
        command()
    except InvalidFile as error:
        for problem in error.problems:
            say_folded(str(problem))
        sys.exit(error.exit_code)
    except Refused as error:
        tell_refusal(error)
        sys.exit(error.exit_code)
    except NotUndone as error:
        say(f"chaos: {error}\n  do it by hand: {error.by_hand}")
        sys.exit(error.exit_code)
    except ChaosError as error:
        say_folded(f"chaos: {error}")
        sys.exit(error.exit_code)
    except Exception:
        import logging

        from chaos.app.log_lines import shown

        shown()
        logging.getLogger("chaos").exception("an error of our own; please report it with the lines below")
        sys.exit(ChaosError.exit_code)


def _let_go_of_closed_pipes() -> None:
    """A reader that has gone (`chaos run … | head`) must not change the exit code: Python would make it 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
