"""What a form starts, stops and allows: a real server on loopback."""

from __future__ import annotations

import threading
from pathlib import Path

from chaos.drivers.state import State
from tests.app.ui.serving import RUN, going_on, lines, served, until


def test_the_button_stops_as_chaos_stop_does(tmp_path: Path) -> None:
    with going_on(tmp_path, "".join(lines()[:60])), served(tmp_path) as at:
        answer = at.post("/stop", run=RUN)
        assert (answer.status_code, "everything is undone" in answer.text) == (200, True)
        assert "chaos stop" in (State(tmp_path / "state").run(RUN).stop_asked() or "")
        assert at.post("/stop", run="no-such-run").status_code == 409
        assert at.post("/stop").status_code == 409


def test_no_stop_waits_behind_others_that_take_their_time(tmp_path: Path) -> None:
    """Whoever is in a hurry presses a button again and again."""
    with going_on(tmp_path, "".join(lines()[:60])), served(tmp_path) as at:
        run = State(tmp_path / "state").run(RUN)
        run.note("issued", "delay@model")
        presses = [threading.Thread(target=at.post, args=("/stop",), kwargs={"run": RUN}) for _ in range(40)]
        everything = threading.Thread(target=at.post, args=("/stop-everything",))
        try:
            for press in presses:
                press.start()
            until(
                lambda: sum(one.name.startswith("ui stops") for one in threading.enumerate()) >= 16, "few are pressed"
            )
            everything.start()
            until(lambda: State(tmp_path / "state").blocked() is not None, "it waits behind the others")
            assert sum(press.is_alive() for press in presses) == len(presses), "they had not to be waited for"
        finally:
            run.note("undone", "delay@model")
            for press in (*presses, everything):
                press.join(20)


def test_stop_everything_forbids_runs_until_they_are_allowed_again(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        for path in ("/", "/experiments", "/coverage", "/history", "/calendar"):
            assert "Stop everything" in at.get(path).text, path
        assert at.post("/stop-everything").status_code == 200
        assert State(tmp_path / "state").blocked() is not None
        assert "Allow runs again" in at.get("/coverage").text
        assert at.post("/resume").status_code == 303
        assert State(tmp_path / "state").blocked() is None


def test_only_files_of_the_folder_of_experiments_can_be_planned_or_started(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "outside.yaml").write_text("name: x\nfaults: []\n")
    (tmp_path / "experiments" / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    with served(tmp_path) as at:
        for name in ("../outside.yaml", "/etc/passwd", "link.yaml", ""):
            assert at.get(f"/plan?file={name}").status_code == 404, name
            assert at.post("/start", file=name, agreed="yes").status_code == 404, name
        assert at.ui.starts.of(1) is None


def test_nothing_starts_that_nobody_has_agreed_to(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        assert at.post("/start", file="a.yaml").status_code == 400
        assert at.ui.starts.of(1) is None
