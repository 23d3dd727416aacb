"""What a replica's container uses, and may use, under the names that cAdvisor gives to it: for a lab that has no cAdvisor.

Read from the container's own control group (both generations) and from the file system of a folder, when Prometheus asks.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

CONTROL_GROUP = Path("/sys/fs/cgroup")
NO_LIMIT = 1 << 60
"""A memory limit from here on is none: the first generation of control groups says 2⁶³ less a page."""


class ContainerResources:
    """A collector. A figure that the kernel does not give is left out."""

    def __init__(self, folder: Path, group: Path = CONTROL_GROUP) -> None:
        self.folder, self.group = folder, group
        self.started_at_s = psutil.Process().create_time()

    def collect(self) -> Iterator[Metric]:
        """Every figure, in seconds, bytes and counts."""
        yield GaugeMetricFamily("process_start_time_seconds", "When the server was started.", self.started_at_s)
        for name, text, value in self._counters():
            yield CounterMetricFamily(name, text, value)
        for name, text, value in self._gauges():
            yield GaugeMetricFamily(name, text, value)

    def _counters(self) -> Iterator[tuple[str, str, float]]:
        used_s = _used_s(self.group)
        if used_s is not None:
            yield "container_cpu_usage_seconds", "Processor time used.", used_s
        cpu = _table(self.group / "cpu.stat") or _table(self.group / "cpu" / "cpu.stat")
        if "nr_periods" in cpu:
            yield "container_cpu_cfs_periods", "Periods in which the limit counted.", cpu["nr_periods"]
            yield "container_cpu_cfs_throttled_periods", "Periods in which it held up.", cpu["nr_throttled"]

    def _gauges(self) -> Iterator[tuple[str, str, float]]:
        memory = _memory(self.group)
        if memory is not None:
            yield "container_memory_working_set_bytes", "Memory that cannot be taken back.", memory[0]
            yield "container_spec_memory_limit_bytes", "The most that it may be; 0 without a limit.", memory[1]
        with contextlib.suppress(OSError):
            disk = os.statvfs(self.folder)
            yield "container_fs_limit_bytes", "Size of the file system.", disk.f_frsize * disk.f_blocks
            yield "container_fs_usage_bytes", "What is used of it.", disk.f_frsize * (disk.f_blocks - disk.f_bavail)


def _used_s(group: Path) -> float | None:
    second = _table(group / "cpu.stat").get("usage_usec")
    if second is not None:
        return second / 1e6
    first = _number(group / "cpuacct" / "cpuacct.usage")
    return None if first is None else first / 1e9


def _memory(group: Path) -> tuple[float, float] | None:
    """What is in use without the page cache that nobody has touched lately, and the limit; None when it cannot be read."""
    for used_in, limit_in, cache in (
        ("memory.current", "memory.max", "inactive_file"),
        ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes", "total_inactive_file"),
    ):
        used = _number(group / used_in)
        if used is not None:
            limit = _number(group / limit_in)  # "max" is no number
            inactive = _table((group / used_in).with_name("memory.stat")).get(cache, 0.0)
            return max(0.0, used - inactive), 0.0 if limit is None or limit >= NO_LIMIT else limit
    return None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def _table(path: Path) -> dict[str, float]:
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
        return {row[0]: float(row[1]) for row in rows if len(row) == 2}
    except (OSError, ValueError):
        return {}
