"""Who gets a page, and who may do something: a real server on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from chaos.app.ui.server import Wish, bound, ui_of
from chaos.drivers.state import State
from tests.app.ui.serving import FOLDER, RUN, over, served

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


def test_pages_may_be_in_no_frame_and_are_kept_nowhere(tmp_path: Path) -> None:
    with served(tmp_path) as at:
        heads = at.get("/").headers
        assert "frame-ancestors 'none'" in heads["content-security-policy"]
        assert heads["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in heads
