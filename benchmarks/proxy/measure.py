"""One load on one peer, and what it cost. Before anything is measured, each peer proves that it does the work."""

from __future__ import annotations

import http.client
import json
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.proxy.cases import REQUEST, Case, answer, change, request_ids, selected
from benchmarks.proxy.machine import Cores, Memory, Usage, memory, pinned, usage
from benchmarks.proxy.peers import HERE, ROOT, Peer
from benchmarks.proxy.results import Run

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements have in common. `wrk` are its path and environment; None: our own load in its place."""

    cores: Cores
    backend: int
    """The backend's process id."""
    ids: Path
    wrk: tuple[str, dict[str, str]] | None


def check(peer: Peer, case: Case) -> str | None:
    """What is wrong with the peer's answers; None when selected ones are changed and all others keep every byte."""
    peer.prepare(case)
    ids = request_ids()
    hurt = next(one for one in ids if selected(one, 0.1))
    for one in (hurt, next(one for one in ids if one[-4:] > "8000")):
        connection = http.client.HTTPConnection("127.0.0.1", peer.ports[case.work], timeout=20)
        try:
            headers = {"X-Request-Id": one, "Content-Type": "application/json"}
            connection.request("POST", case.model.path, REQUEST, headers)
            got = connection.getresponse()
            status, body = got.status, got.read()
        except (OSError, http.client.HTTPException) as error:
            return f"no answer: {error!r}"
        finally:
            connection.close()
        before = answer(case.model)
        times = case.work.times if selected(one, case.work.share) else 0
        wanted = change(before, times)
        if status != 200 or (not times and body != before) or (times and not _same(body, wanted)):
            return f"wrong answer ({status}, {len(body)} bytes) where {times} changes were due"
    return None


def _same(body: bytes, wanted: bytes) -> bool:
    """Whether both say the same, scores within rounding."""
    try:
        got = json.loads(body)
    except ValueError:
        return False
    return _alike(got, json.loads(wanted))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-13)
    return bool(one == other)


def _load(bench: Bench, argv: Sequence[str], seconds: float, environment: dict[str, str]) -> dict[str, float]:
    """What the load told at its end. Raises RuntimeError; the load's process has ended in any case."""
    with pinned(bench.cores.load):
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, cwd=ROOT,
            env={**os.environ, **environment},
        )  # fmt: skip
    try:
        out, err = process.communicate(timeout=seconds + 30)
    except BaseException as error:
        process.kill()
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise RuntimeError("the load does not end") from error
        raise
    try:
        told: dict[str, float] = json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        said = " ".join((out + err).decode(errors="replace").split())[-200:]
        raise RuntimeError(f"the load failed: {said}") from None
    return told


def _argv(bench: Bench, peer: Peer, case: Case, seconds: float, rate: float) -> tuple[list[str], dict[str, str]]:
    port = peer.ports[case.work]
    if bench.wrk is not None and not rate:
        program, environment = bench.wrk
        size = [f"-c{case.connections}", "-t1", f"-d{max(1, round(seconds))}s", "--timeout", "20s"]
        script = ["-s", str(HERE / "wrk.lua"), f"http://127.0.0.1:{port}/"]
        return [program, *size, *script, "--", case.model.path, str(bench.ids), REQUEST.decode()], environment
    numbers = [str(port), case.model.name, str(case.connections), str(seconds), str(rate)]
    return [sys.executable, "-m", "benchmarks.proxy.load", *numbers], {}


def _busy_s(core: int) -> float:
    """Seconds in which this core did anything, or was not given to this machine, since it started."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    user, nice, system, _, _, *more = (int(field) for field in line.split()[1:9])
    return (user + nice + system + sum(more)) * TICK_S


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(bench: Bench, peer: Peer, case: Case, section: str, number: int, *, seconds: float) -> Run:
    """One run. Raises RuntimeError when the load cannot say what it saw."""
    peer.prepare(case)
    argv, environment = _argv(bench, peer, case, seconds, case.rate)
    process = peer.running.process.pid if peer.running is not None else None
    began_s, busy_s, load_s, backend = time.monotonic(), _busy_s(bench.cores.peer), _children_s(), usage(bench.backend)
    before = usage(process) if process is not None else Usage(())
    told = _load(bench, argv, seconds, environment)
    after = usage(process) if process is not None else Usage(())
    used_s, elapsed_s = after.since(before), time.monotonic() - began_s
    foreign_s = _busy_s(bench.cores.peer) - busy_s - used_s
    held = memory(process) if process is not None else Memory(0.0, 0.0, 0.0, 0.0)
    return Run(
        section=section,
        case=case.name,
        peer=peer.name,
        round=number,
        requests=int(told["requests"]),
        # What a process used that came or went meanwhile is not known: such a run counts as failed, too.
        errors=int(told["errors"]) + (not after.same(before)),
        seconds=told["seconds"],
        cpu_s=round(used_s, 6),
        load_cpu_s=round(_children_s() - load_s + usage(bench.backend).since(backend), 4),
        foreign=round(min(1.0, max(0.0, foreign_s / elapsed_s)), 4),
        rss_mb=round(held.rss_mb, 1),
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        pss_mb=round(held.pss_mb, 1),
        parent_mb=round(held.parent_mb, 1),
        largest_mb=round(held.largest_mb, 1),
    )
