"""The disk of a run's folder fails under it: full, suddenly read-only, or read-only from the start."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.safety.stand import LEASE_S, Stand, nothing_left
from tests.safety.test_deaths import everything_off
from tests.safety.test_warden import hurting, verdict_of

pytestmark = [pytest.mark.timeout(120)]


def mounted(folder: Path, *arguments: str) -> None:
    """Something is mounted there; the test is skipped where that is not possible."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("to mount a disk takes root")
    folder.mkdir(exist_ok=True)
    made = subprocess.run([mount, *arguments, str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no disk can be mounted here: {made.stderr.decode().strip()}")


def unmounted(folder: Path) -> None:
    """It is gone, whoever still has a file open there."""
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_disk(own_stand: Stand) -> Iterator[Path]:
    """The folder of the stand's runs is a disk of its own, of half a megabyte."""
    runs = own_stand.folder / "runs"
    mounted(runs, "-t", "tmpfs", "-o", "size=512k", "none")
    yield runs
    unmounted(runs)


def fill(disk: Path) -> None:
    """Not a byte fits on it any more."""
    with (disk / "full").open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def test_a_run_whose_disk_is_full_undoes_everything_and_never_confirms(own_stand: Stand, small_disk: Path) -> None:
    with hurting(own_stand, "proxy", "kill", "pause") as (process, _run):
        fill(small_disk)
        everything_off(own_stand, LEASE_S + 2.0)
        verdict = verdict_of(process)
    assert verdict["verdict"] == "invalid"
    assert "journal" in json.dumps(verdict["findings"])
    nothing_left(own_stand, 2.0)


@pytest.fixture
def failing_disk(own_stand: Stand, tmp_path: Path) -> Iterator[Path]:
    """The folder of the stand's runs is a disk that goes read-only at its first error, as a machine's own disk does."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not there")
    image, runs = tmp_path / "disk.img", own_stand.folder / "runs"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    mounted(runs, "-o", "loop,errors=remount-ro", str(image))
    yield runs
    unmounted(runs)


def break_disk(disk: Path) -> None:
    """The kernel takes it for broken: nothing can be written there any more, not even to a file that is open."""
    device = disk.stat().st_dev
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("a test's")
    with pytest.raises(OSError, match="Read-only"):
        (disk / "more").touch()


def test_a_run_whose_disk_goes_read_only_undoes_everything_and_never_confirms(
    own_stand: Stand, failing_disk: Path
) -> None:
    with hurting(own_stand, "proxy", "kill", "pause") as (process, _run):
        break_disk(failing_disk)
        everything_off(own_stand, LEASE_S + 2.0)
        verdict = verdict_of(process)
    assert verdict["verdict"] == "invalid"
    assert "journal" in json.dumps(verdict["findings"])
    nothing_left(own_stand, 2.0)


def test_a_run_whose_folder_is_read_only_from_the_start_says_so_and_hurts_nothing(own_stand: Stand) -> None:
    runs = own_stand.folder / "runs"
    mounted(runs, "-t", "tmpfs", "-o", "ro,size=64k", "none")
    with contextlib.ExitStack() as stack:
        stack.callback(unmounted, runs)
        before = {entry.name: entry.pid for entry in own_stand.table.entries()}
        answered = own_stand.chaos("run", str(own_stand.experiment("proxy", "kill", "pause")), "--runs", str(runs))
        assert answered.returncode not in (0, 1), answered
        lines = [line for line in answered.stderr.splitlines() if "Read-only file system" in line]
        assert len(lines) == 1
        assert str(runs) in lines[0]
        assert "Traceback" not in answered.stderr
        assert {entry.name: entry.pid for entry in own_stand.table.entries()} == before
        assert not own_stand.left()
