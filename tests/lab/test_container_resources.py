"""What a container uses is read from its control group, of either generation, and from its disk."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from chaos.lab.container_resources import ContainerResources

FIRST = {
    "cpu/cpu.stat": "nr_periods 40\nnr_throttled 10\nthrottled_time 5\n",
    "cpuacct/cpuacct.usage": "2500000000\n",
    "memory/memory.usage_in_bytes": "3000\n",
    "memory/memory.limit_in_bytes": "8000\n",
    "memory/memory.stat": "cache 1500\ntotal_inactive_file 1000\n",
}
SECOND = {
    "cpu.stat": "usage_usec 2500000\nuser_usec 1\nnr_periods 40\nnr_throttled 10\n",
    "memory.current": "3000\n",
    "memory.max": "8000\n",
    "memory.stat": "file 1500\ninactive_file 1000\n",
}
USED = {
    "container_cpu_usage_seconds_total": 2.5,
    "container_cpu_cfs_periods_total": 40.0,
    "container_cpu_cfs_throttled_periods_total": 10.0,
    "container_memory_working_set_bytes": 2000.0,
    "container_spec_memory_limit_bytes": 8000.0,
}
OF_THE_DISK = {"container_fs_limit_bytes", "container_fs_usage_bytes", "process_start_time_seconds"}


def collected(group: Path, files: dict[str, str]) -> dict[str, float]:
    """Every sample, of a control group with these files."""
    for name, text in files.items():
        (group / name).parent.mkdir(parents=True, exist_ok=True)
        (group / name).write_text(text)
    families = ContainerResources(group, group).collect()
    return {sample.name: sample.value for family in families for sample in family.samples}


@pytest.mark.parametrize("files", [FIRST, SECOND], ids=["first", "second"])
def test_both_generations_of_control_groups_say_the_same(files: dict[str, str], tmp_path: Path) -> None:
    found = collected(tmp_path, files)
    assert {name: value for name, value in found.items() if name not in OF_THE_DISK} == USED


@pytest.mark.parametrize(
    "files",
    [{**FIRST, "memory/memory.limit_in_bytes": "9223372036854771712\n"}, {**SECOND, "memory.max": "max\n"}],
    ids=["first", "second"],
)
def test_no_limit_is_a_limit_of_0(files: dict[str, str], tmp_path: Path) -> None:
    assert collected(tmp_path, files)["container_spec_memory_limit_bytes"] == 0


def test_a_processor_without_a_limit_has_no_periods(tmp_path: Path) -> None:
    found = collected(tmp_path, {**SECOND, "cpu.stat": "usage_usec 2500000\n"})
    assert "container_cpu_cfs_periods_total" not in found
    assert found["container_cpu_usage_seconds_total"] == 2.5


@pytest.mark.parametrize("files", [{}, {"memory.current": "?", "cpu.stat": "usage_usec much\n"}], ids=["none", "odd"])
def test_what_cannot_be_read_is_left_out(files: dict[str, str], tmp_path: Path) -> None:
    assert set(collected(tmp_path, files)) == OF_THE_DISK


def test_the_disk_and_the_start_are_this_ones(tmp_path: Path) -> None:
    found = collected(tmp_path, {})
    assert found["process_start_time_seconds"] == psutil.Process().create_time()
    disk = psutil.disk_usage(str(tmp_path))
    assert found["container_fs_limit_bytes"] == disk.total
    assert 0 < found["container_fs_usage_bytes"] <= disk.total
