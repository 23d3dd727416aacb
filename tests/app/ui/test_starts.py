"""Runs that are started from the page: processes of their own."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.app.ui.acts import _not_started
from chaos.app.ui.starts import Starts, Wish
from chaos.app.ui.views import Planned, radius
from chaos.events import RunStarted
from chaos.journal import from_text
from chaos.plans import Plan
from tests.app.ui.serving import DEADLINE_S, lines, over

PROGRAM = (
    sys.executable,
    "-c",
    "import os, sys; print(os.getsid(0) == os.getpid(), *sys.argv[1:], os.environ.get('TOKEN'))",
)
WISH = Wish(Path("a.yaml"), "5eed", Path("runs"), production=False)


def plan() -> Plan:
    record = from_text(lines()[0]).record
    assert isinstance(record, RunStarted)
    return Plan.from_json(record.plan)


def shown(**changes: object) -> Planned:
    return Planned(Path("a.yaml"), replace(plan(), **changes), "print", sweep=False, frozen=None)  # type: ignore[arg-type]


def test_a_start_is_a_session_of_its_own_with_the_seed_that_was_shown_and_no_secret_among_its_words() -> None:
    start = Starts(PROGRAM).begin(replace(WISH, variables={"TOKEN": "s3cret"}))
    assert start.process.wait(DEADLINE_S) == 0
    assert start.said().split() == ["True", "run", "a.yaml", "--seed=5eed", "--runs", "runs", "s3cret"]
    assert os.getsid(0) != start.process.pid
    assert "s3cret" not in " ".join(start.wish.words())


def test_what_a_start_says_is_whole_however_often_somebody_looks() -> None:
    numbers = list(range(2000))
    code = "import os\nfor number in range(2000): os.write(1, b'%d ' % number)"
    start = Starts((sys.executable, "-c", code)).begin(WISH)
    while start.code() is None:
        start.said()
    assert start.said().split() == [str(number) for number in numbers]


def test_a_form_that_is_sent_twice_starts_one_run(tmp_path: Path) -> None:
    release = tmp_path / "release"
    starts = Starts((sys.executable, "-c", f"import os\nwhile not os.path.exists({str(release)!r}): pass"))
    first = starts.begin(WISH)
    try:
        assert starts.begin(WISH) is first
        other = starts.begin(replace(WISH, seed="another"))
        assert other is not first
    finally:
        release.touch()
    assert (first.process.wait(DEADLINE_S), other.process.wait(DEADLINE_S)) == (0, 0)
    again = starts.begin(WISH)
    assert again is not first
    assert again.process.wait(DEADLINE_S) == 0


def test_only_what_was_confirmed_for_production_says_yes() -> None:
    assert "--yes" not in WISH.words()
    assert replace(WISH, production=True).words()[-1] == "--yes"


def test_a_start_knows_its_folder_by_the_seed(tmp_path: Path) -> None:
    start = Starts(PROGRAM).begin(replace(WISH, runs=tmp_path, seed=plan().seed))
    assert start.folder() is None
    folder = over(tmp_path, "20261128-000000-x-12345678")
    (folder / "plan.json").write_text(plan().to_json())
    (over(tmp_path, "20261128-000001-y-12345678") / "plan.json").write_text(replace(plan(), seed="other").to_json())
    assert start.folder() == folder.name


@pytest.mark.parametrize(
    ("planned", "form", "why"),
    [
        (shown(), {"shown": "print"}, None),
        (shown(), {"shown": "another"}, "changed"),
        (shown(), {}, "changed"),
        (shown(environment="production"), {"shown": "print"}, "production"),
        (shown(environment="production"), {"shown": "print", "system": "LAB"}, "production"),
        (shown(environment="production", system="shop"), {"shown": "print", "system": "shop"}, None),
        (shown(refusals=("it cannot be detected",)), {"shown": "print"}, "cannot be detected"),
    ],
)
def test_what_was_confirmed_is_what_runs(planned: Planned, form: dict[str, str], why: str | None) -> None:
    said = _not_started(planned, form)
    assert (said is None) if why is None else (said is not None and why in said)


def test_the_button_says_whom_it_hurts() -> None:
    assert radius(plan()) == "10% of synthetic subjects"
