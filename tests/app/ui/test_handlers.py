"""Who gets a page, and who may do something: a real server on loopback."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
import requests

from chaos.app.ui.server import Wish, bound, ui_of
from chaos.drivers.state import State
from tests.app.ui.serving import FOLDER, RUN, going_on, lines, over, served, until

PAGES = ("/", f"/events?run={FOLDER}", "/experiments", "/plan?file=a.yaml", "/coverage", "/history", "/calendar", f"/runs/{FOLDER}",
         f"/runs/{FOLDER}/events", f"/runs/{FOLDER}/report.html", f"/runs/{FOLDER}/summary.html", "/starts/1", "/else")  # fmt: skip
ACTS = ("/start", "/stop", "/stop-everything", "/resume")


def test_whoever_has_no_cookie_gets_nothing_of_any_page_and_does_nothing(tmp_path: Path) -> None:
    over(tmp_path / "runs")
    with served(tmp_path, enter=False) as at:
        for path in PAGES:
            answer = at.get(path)
            assert (answer.status_code, RUN in answer.text, 'name="form"' in answer.text) == (401, False, False), path
        for path in ACTS:
            assert at.post(path).status_code == 401, path
    assert State(tmp_path / "state").blocked() is None


def test_another_cookie_than_the_one_that_was_given_out_is_none(tmp_path: Path) -> None:
    with served(tmp_path, enter=False) as at:
        for wrong in ("", "x", at.ui.access.token(), at.ui.access.form_token()):
            assert at.get("/", Cookie=f"{at.ui.access.cookie}={wrong}").status_code == 401


def test_the_address_lets_one_browser_in_once_and_the_next_one_is_said(tmp_path: Path) -> None:
    with served(tmp_path, enter=False) as at:
        token = at.ui.access.token()
        first = at.get(f"/enter?token={token}")
        assert (first.status_code, first.headers["location"]) == (303, "/")
        cookie = first.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert at.get("/").status_code == 200
        assert requests.get(f"{at.address}/enter?token={token}", timeout=9, allow_redirects=False).status_code == 401
        assert any(at.ui.access.token() in said for said in at.said)
        assert token not in at.said[0]


def test_two_browsers_have_a_cookie_each(tmp_path: Path) -> None:
    with served(tmp_path, enter=False) as at:
        first, second = (at.ui.access.enter(at.ui.access.token()) for _ in range(2))
        assert first != second
        for cookie in (first, second):
            assert at.get("/", Cookie=f"{at.ui.access.cookie}={cookie}").status_code == 200


def test_where_nobody_reads_along_no_address_for_another_browser_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    with bound("127.0.0.1", 0) as listener:
        ui = ui_of(Wish(tmp_path, tmp_path, tmp_path, terminal=False), listener, said.append)
        ui.entered()
        assert "let in" in said[0]
        assert ui.access.token() not in said[0]


def test_a_name_that_was_made_to_point_here_gets_nothing(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        for host in ("evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:80"):
            assert at.get("/", Host=host).status_code == 421, host
        token = at.ui.access.token()
        assert at.get(f"/enter?token={token}", Host="evil.example").status_code == 421
        assert at.ui.access.token() == token, "a stranger has used the token up"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_a_form_of_another_page_does_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    with served(tmp_path) as at:
        assert at.post("/stop-everything", headers).status_code == 403
        assert State(tmp_path / "state").blocked() is None


def test_a_form_without_its_token_does_nothing(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        for form in ("", "x", at.ui.access.token()):
            assert at.post("/stop-everything", form=form).status_code == 403
        assert at.get("/stop-everything").status_code in (404, 405)
        assert State(tmp_path / "state").blocked() is None


def test_a_form_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        assert at.post("/stop-everything", more="x" * 200_000).status_code == 413
        answer = at.post("/stop-everything", **{f"field{number}": "x" for number in range(60)})
        assert (answer.status_code, "too many fields" in answer.text) == (413, True)


@pytest.mark.parametrize(
    "name", ["..%2f..%2fsecret", "..", "%2e%2e", "..%5csecret", "a%00b", ".hidden", "%2fetc", "x" * 300, "linked"]
)
def test_no_name_of_a_run_leads_out_of_the_folder_of_runs(tmp_path: Path, name: str) -> None:
    over(tmp_path, "secret", "SECRET")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(tmp_path / "secret")
    with served(tmp_path) as at:
        for file in ("", "/report.html", "/events", "/summary.html"):
            with socket.create_connection(
                ("127.0.0.1", int(at.address.rsplit(":", 1)[1])), 9
            ) as raw:  # nothing tidies the path
                cookie = "; ".join(f"{one.name}={one.value}" for one in at.session.cookies)
                raw.sendall(
                    f"GET /runs/{name}{file} HTTP/1.1\r\nHost: {at.address[7:]}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode()
                )
                answer = b"".join(iter(lambda raw=raw: raw.recv(65536), b""))
            assert b"SECRET" not in answer
            assert b" 404 " in answer.split(b"\r\n")[0], answer[:200]


def test_a_run_that_has_only_just_ended_is_looked_at_again_until_its_report_is_there(tmp_path: Path) -> None:
    folder = over(tmp_path / "runs")
    (folder / "report.html").rename(tmp_path / "later.html")
    with served(tmp_path) as at:
        assert "is being written" in at.get(f"/runs/{FOLDER}").text
        os.utime(folder / "journal.jsonl", (1e9, 1e9))
        assert "is being written" not in at.get(f"/runs/{FOLDER}").text
        (tmp_path / "later.html").rename(folder / "report.html")
        assert "Read the whole report" in at.get(f"/runs/{FOLDER}").text


def test_a_report_that_is_a_link_is_not_shown(tmp_path: Path) -> None:
    folder = over(tmp_path / "runs")
    (folder / "report.html").unlink()
    (tmp_path / "secret").write_text("SECRET")
    (folder / "report.html").symlink_to(tmp_path / "secret")
    with served(tmp_path) as at:
        assert at.get(f"/runs/{FOLDER}/report.html").status_code == 404


def test_what_stands_in_a_runs_folder_is_of_no_origin_here(tmp_path: Path) -> None:
    over(tmp_path / "runs", report="<script>fetch('/stop-everything', {method: 'POST'})</script>")
    with served(tmp_path) as at:
        policy = at.get(f"/runs/{FOLDER}/report.html").headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts;")
        assert "allow-same-origin" not in policy
        assert "default-src 'none'" in policy


def test_pages_may_be_in_no_frame_and_are_kept_nowhere(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        heads = at.get("/").headers
        assert "frame-ancestors 'none'" in heads["content-security-policy"]
        assert heads["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in heads


def test_hostile_texts_of_a_journal_stay_text(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    text = (
        "".join(lines()[:60])
        .replace("ModelAccuracyLow", evil)
        .replace("the warm-up is over", f"{evil}\\n\\nevent: over")
    )
    with going_on(tmp_path, text), served(tmp_path) as at:
        first = next(one for one in at.events(f"/runs/{FOLDER}/events") if one.get("event") == "now")
        assert "&lt;img src=x" in first["data"]
        assert "<img" not in first["data"]
        assert "<img" not in at.get(f"/runs/{FOLDER}").text


def test_a_broken_journal_is_named_and_keeps_no_other_run_from_being_listed(tmp_path: Path) -> None:
    over(tmp_path / "runs")
    (over(tmp_path / "runs", "20261128-000000-broken-12345678") / "journal.jsonl").write_text('{"no": "journal"}\n')
    with served(tmp_path) as at:
        page = at.get("/").text
        assert "unreadable" in page
        assert "confirmed" in page
        assert at.get("/runs/20261128-000000-broken-12345678").status_code == 200
        assert (
            at.get("/history").status_code == at.get("/coverage").status_code == at.get("/calendar").status_code == 200
        )


def test_many_runs_come_a_hundred_at_a_time_and_are_read_once(tmp_path: Path) -> None:
    verdict = over(tmp_path / "runs", "20261127-000000-x-00000000")
    for number in range(1, 500):
        folder = tmp_path / "runs" / f"20261128-000000-x-{number:08d}"
        folder.mkdir()
        (folder / "journal.jsonl").write_text('{"no": "journal"}\n')
    with served(tmp_path) as at:
        assert at.get("/").text.count('<th scope="row">') == 100
        assert at.get("/?from=400").text.count('<th scope="row">') == 100
        before = at.ui.kept.over()
        assert at.ui.kept.over()[0] is before[0], "a run that is over was read again"
    assert verdict.is_dir()


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
