"""The image of the containers that tests start: $CHAOS_BASE_IMAGE, or what the lab's own images are built on."""

from __future__ import annotations

import fcntl
import os
import tempfile
from functools import cache
from pathlib import Path

import docker
import pytest

from chaos.lab import images

IMAGE = os.environ.get("CHAOS_BASE_IMAGE", images.LOCAL_BASE)


@cache
def image_is_there() -> None:
    """The engine has `IMAGE`. Of several processes one sees to it, and the others wait."""
    with (Path(tempfile.gettempdir()) / "chaos-tests-base-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = docker.from_env(timeout=120)
        try:
            if not images.present(engine, IMAGE):
                engine.images.get(images.base(engine, print)).tag(IMAGE)
        finally:
            engine.close()


@cache
def exec_lands_inside() -> bool:
    """Whether the engine's `exec` runs in the container's own files. That of an engine in a chroot runs in its machine's."""
    image_is_there()
    engine = docker.from_env(timeout=30)
    try:
        box = engine.containers.run(IMAGE, ["sleep", "60"], detach=True, network_mode="none")
        try:
            first = box.exec_run(["cat", "/proc/1/comm"])  # the container's first process, or the machine's
            return bool(first.output.strip() == b"sleep")
        finally:
            box.remove(force=True)
    finally:
        engine.close()


@pytest.fixture
def inside() -> None:
    """Skips a test of what is started inside of a container, where nothing can be."""
    if not exec_lands_inside():
        pytest.skip("the engine runs in a chroot: what its `exec` starts does not run inside of the container")
