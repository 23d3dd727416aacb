"""`python -m benchmarks.soak`: mixed traffic through one proxy for minutes or hours; exit code 1 when it leaks or errs.

A minute, while developing:  python -m benchmarks.soak --minutes 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.proxy.machine import memory
from benchmarks.soak.children import Child, Ended
from benchmarks.soak.runs import TOKEN, Control, come_and_go, read_metrics, scrape
from benchmarks.soak.samples import Sample, Tally, left_over, missing, problems, report
from benchmarks.soak.traffic import KINDS, OUTCOMES, Where, prepare, send

MOST_RATE = 2000
MOST_MINUTES = 7 * 24 * 60.0
WARM_UP, MOST_WARM_UP_S = 0.2, 300.0
SAMPLE_S, SCRAPE_S, TELL_S, START_S, REST_S = 1.0, 1.0, 10.0, 20.0, 5.0
STEADY, WILD = "steady", "wild"
HAPPENS = (*OUTCOMES, "armed and disarmed", "lapsed", "scraped")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    minutes: float
    rate: float
    workers: int

    @property
    def warm_up_s(self) -> float:
        """The part of the time in which memory may still grow: caches fill, and so does what a run remembers."""
        return min(WARM_UP * self.minutes * 60, MOST_WARM_UP_S)


@dataclass(slots=True)
class Seen:
    """Everything that a soak has seen so far."""

    samples: list[Sample] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    problems: list[str] = field(default_factory=list)
    interrupted: bool = False


def say(text: str) -> None:
    """To standard output, at once."""
    print(text, flush=True)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def _listening(proxy: Child, ports: Path) -> dict[str, Any]:
    """Where the proxy listens, once it does. Raises Ended, and TimeoutError."""
    async with asyncio.timeout(START_S):
        while (text := await asyncio.to_thread(_read, ports)) is None:
            proxy.check()
            await asyncio.sleep(0.05)
    found: dict[str, Any] = json.loads(text)
    return found


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


async def _sample(proxy: Child, at_s: float) -> Sample:
    return Sample(at_s, memory(proxy.pid).rss_mb, proxy.descriptors(), int(await proxy.ask("tasks")))


async def _watch(proxy: Child, seen: Seen) -> None:
    """The proxy is looked at again and again until this is cancelled. Raises Ended when it is not there any more."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while True:
        seen.samples.append(await _sample(proxy, loop.time() - began_s))
        await asyncio.sleep(SAMPLE_S)


async def _tell(seen: Seen) -> None:
    """A line of progress now and then, until this is cancelled."""
    before = 0
    while True:
        await asyncio.sleep(TELL_S)
        now, last = sum(seen.tally.requests.values()), seen.samples[-1]
        say(
            f"{last.at_s:7.0f} s  {now:10,} requests ({(now - before) / TELL_S:5.0f}/s), "
            f"{sum(seen.tally.unexpected.values())} not asked for; {last.rss_mb:.1f} MB, {last.descriptors} descriptors, "
            f"{last.tasks} tasks; armed {seen.tally.asked['armed and disarmed']}, lapsed {seen.tally.asked['lapsed']}"
        )
        before = now


async def _until(stop: asyncio.Event, seconds: float, going: list[Coroutine[Any, Any, None]], seen: Seen) -> None:
    """Everything goes on for so long, or until it is stopped or something ends by itself, which is a problem."""
    tasks = [asyncio.create_task(one) for one in going]
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([*tasks, stopped], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        seen.interrupted = stopped.done()
        seen.problems += [f"{task.exception()!r}" for task in tasks if task.done()]
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, stopped, return_exceptions=True)


async def _settle(proxy: Child, control: tuple[str, int], before: Sample, seen: Seen) -> None:
    """Every client has gone and nothing is armed: what is left over is a problem."""
    asked = Control(control, seen.tally)
    try:
        await asked.ask("DELETE", "/runs")
        if read_metrics((await asked.ask("GET", "/metrics")).decode()).get("chaos_proxy_armed") != 0:
            seen.problems.append("the proxy says that it is armed after everything was disarmed")
    finally:
        asked.close()
    loop = asyncio.get_running_loop()
    until_s, after = loop.time() + REST_S, await _sample(proxy, 0.0)
    while left_over(before, after) and loop.time() < until_s:
        await asyncio.sleep(0.1)
        after = await _sample(proxy, 0.0)
    seen.problems += left_over(before, after)
    say(
        f"when every client had gone: {after.rss_mb:.1f} MB, {after.descriptors} descriptors, {after.tasks} tasks "
        f"(before the first came: {before.rss_mb:.1f} MB, {before.descriptors}, {before.tasks})"
    )


async def soak(options: Options, folder: Path, start: Callable[[str, list[str]], Child]) -> Seen:
    """What was seen; both processes still run."""
    loop, stop, seen = asyncio.get_running_loop(), asyncio.Event(), Seen()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        backend = await start("benchmarks.soak.backend", []).line()
        token, ports = folder / "token", folder / "ports"
        token.write_text(TOKEN)
        routes = [f"--route={name}=127.0.0.1:0>127.0.0.1:{backend}" for name in (STEADY, WILD)]
        where = [
            "--control=127.0.0.1:0",
            f"--token-file={token}",
            f"--ports-file={ports}",
            f"--workers={options.workers}",
        ]
        proxy = start("benchmarks.soak.proxied", [*routes, *where])
        found = await _listening(proxy, ports)
        control = _address(found["control"])
        prepare()
        before = await _sample(proxy, 0.0)
        addresses = Where(*(_address(found["routes"][name]) for name in (STEADY, WILD)))
        going = [send(kind, options.rate, addresses, seen.tally) for kind in KINDS]
        going += [come_and_go(control, seen.tally), scrape(control, STEADY, SCRAPE_S, seen.tally)]
        say(f"traffic begins; the proxy is process {proxy.pid}")
        await _until(stop, options.minutes * 60, [*going, _watch(proxy, seen), _tell(seen)], seen)
        await _settle(proxy, control, before, seen)
    except (Ended, OSError, TimeoutError) as error:
        seen.problems.append(f"{type(error).__name__}: {error}")
    return seen


def _judge(seen: Seen, options: Options) -> int:
    """The exit code; everything that was seen has been said."""
    say(report(seen.samples, seen.tally, options.warm_up_s))
    found = [*seen.problems, *problems(seen.samples, seen.tally, options.warm_up_s)]
    if seen.samples and not seen.interrupted:  # without any, there was no traffic at all, and why has been said
        kinds = [kind.name for kind in KINDS]
        found += missing(seen.samples, seen.tally, options.warm_up_s, kinds, HAPPENS)
    for one in found:
        say(f"PROBLEM: {one}")
    if seen.interrupted:
        say("interrupted; everything has ended")
        return 130
    say("failed" if found else "passed")
    return 1 if found else 0


def _number(text: str, least: float, most: float) -> float:
    value = float(text)
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} is not between {least:g} and {most:g}")
    return value


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0, 1 when the proxy grew or erred, 130 when it was interrupted. No process is left."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Whether the proxy leaks or errs.")
    parser.add_argument("--minutes", type=lambda text: _number(text, 0.01, MOST_MINUTES), default=10.0)
    parser.add_argument(
        "--rate", type=lambda text: _number(text, 1, MOST_RATE), default=300.0, help="requests a second"
    )
    parser.add_argument("--workers", type=int, default=1, help="of the proxy; tasks are those of its first process")
    given = parser.parse_args(arguments)
    options = Options(given.minutes, given.rate, given.workers)
    say(f"{options.minutes:g} minutes at {options.rate:g} requests/s, warm-up {options.warm_up_s:.0f} s")
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-soak-", ignore_cleanup_errors=True))
        )

        children: list[Child] = []

        def start(module: str, more: list[str]) -> Child:
            child = Child(module, more, folder / f"{module}.log")
            stack.callback(child.end)
            children.append(child)
            return child

        seen = uvloop.run(soak(options, folder, start))
        for child in reversed(children):
            child.end()
            seen.problems += child.complaints()
    return _judge(seen, options)


if __name__ == "__main__":
    sys.exit(main())
