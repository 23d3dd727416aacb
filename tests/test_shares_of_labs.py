"""Labs and workers are all at work until the end: what is known of how long tests take is of tests that are there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import LONG
from tests.system.shares import LASTS_S, shares, unit

SYSTEM = Path(__file__).parent / "system"


def names() -> list[str]:
    """One test of each that is known, as pytest names them."""
    return [f"tests/system/{known}" + ("" if "::" in known else "::test_any") for known in LASTS_S]


@pytest.mark.parametrize("labs", [2, 3, 4])
def test_every_lab_is_at_work_until_the_end(labs: int) -> None:
    load: Counter[int] = Counter()
    for name, share in shares(names(), labs).items():
        load[share] += LASTS_S[unit(name)]
    assert set(load) == set(range(labs))
    assert max(load.values()) - min(load.values()) <= 60


def test_what_belongs_together_is_in_one_share() -> None:
    files = ["test_lab_in_docker.py", "test_new.py"]
    found = shares([*names(), *(f"tests/system/{file}::test_{n}[a]" for file in files for n in range(9))], 4)
    for file in files:
        assert len({share for name, share in found.items() if f"/{file}::" in name}) == 1


@pytest.mark.parametrize("known", LASTS_S)
def test_what_is_known_is_there(known: str) -> None:
    file, _, test = known.partition("::")
    assert f"\ndef {test}" in (SYSTEM / file).read_text()


@pytest.mark.parametrize("file", LONG)
def test_every_file_that_begins_first_is_there(file: str) -> None:
    assert (SYSTEM.parent / file).exists()
