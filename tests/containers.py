"""The image of the containers that tests start: $CHAOS_BASE_IMAGE, or what the lab's own images are built on."""

from __future__ import annotations

import fcntl
import os
import tempfile
from functools import cache
from pathlib import Path

import docker

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
