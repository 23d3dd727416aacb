"""What the pages show, and of which files: a real server on loopback."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.app.ui.serving import FOLDER, going_on, lines, over, served


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
