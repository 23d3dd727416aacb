"""Another chaos tool, for the experiment of the fault `external`: a container is paused for as long as this program runs.

python -m benchmarks.catalogue.another_tool CONTAINER
"""

from __future__ import annotations

import signal
import sys

import docker


def main() -> None:
    """Ends with SIGTERM or SIGINT, when the container runs again."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    engine = docker.from_env(timeout=10)
    container = engine.containers.get(sys.argv[1])
    container.pause()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    container.unpause()
    engine.close()


if __name__ == "__main__":
    main()
