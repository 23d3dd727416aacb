"""`python -m benchmarks.pytest_plugin`: what the plugin costs a suite that does not use it, in turn with and without it."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WITHOUT = ("-p", "no:chaos")


def once(folder: Path, *more: str) -> float:
    """Seconds of a session over this folder."""
    begun_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *more],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return time.perf_counter() - begun_s


def main() -> int:
    """The exit code: 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pytest_plugin")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for number in range(50):
            (folder / f"test_{number}.py").write_text("def test_one(): pass\n" * 1)
            (folder / f"data_{number}.yaml").write_text("a: 1\n")
        once(folder)
        pairs = [(once(folder), once(folder, *WITHOUT)) for _ in range(rounds)]
    for name, found in (("with", [one for one, _ in pairs]), ("without", [one for _, one in pairs])):
        print(f"{name:8} {statistics.median(found):.3f} s ({min(found):.3f} – {max(found):.3f})")
    ratios = [one / other for one, other in pairs]
    print(f"ratio    {statistics.median(ratios):.3f} ({min(ratios):.3f} – {max(ratios):.3f}), {rounds} rounds in turn")
    return 0


if __name__ == "__main__":
    sys.exit(main())
