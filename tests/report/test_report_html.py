"""The page about one run, from a real journal: what it is made of, for whom, and what it says."""

from __future__ import annotations

import base64
import html
import math
import re
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import pytest

from chaos.events import GuardBreached, State
from chaos.journal import Line, to_text
from chaos.judging import judge
from chaos.judging.trace import trace
from chaos.report.html import render
from chaos.report.page import coded
from chaos.report.raw import size
from tests.report.report_pages import Page, inserted, page, planned, real_run, rendered


@pytest.fixture(scope="module")
def confirmed() -> list[Line]:
    return real_run()


@pytest.fixture(scope="module")
def text(confirmed: list[Line]) -> str:
    return rendered(confirmed)


# --- one file ---------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_from_elsewhere(text: str) -> None:
    seen = Page(text)
    assert not any("src" in script for script in seen.all("script"))
    addresses = [
        value
        for _, attributes in seen.elements
        for name, value in attributes.items()
        if name in ("href", "src", "xlink:href")
    ]
    assert all(value == "data:," or (value or "").startswith("#") for value in addresses)
    assert not re.search(r"@import|url\((?!#)", text)


def test_the_policy_forbids_everything_but_inline_style_and_the_one_script(text: str) -> None:
    policies = [
        meta["content"] for meta in Page(text).all("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert (policies[0] or "").startswith(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-"
    )
    (code,) = [one for one in Page(text).scripts if not one.startswith("{")]
    assert base64.b64encode(sha256(code.encode()).digest()).decode() in (policies[0] or "")
    assert not any(name.startswith("on") for _, attributes in Page(text).elements for name in attributes)


def test_the_page_of_the_quickstart_is_small_with_its_whole_journal_in_it(confirmed: list[Line], text: str) -> None:
    assert len(text.encode()) < 1_500_000
    assert len(text.encode()) - sum(size(to_text(line)) for line in confirmed) < 250_000
    assert "\n".join(to_text(line) for line in confirmed) in html.unescape(text)


def test_the_same_journal_gives_the_same_page(confirmed: list[Line], text: str) -> None:
    assert rendered(confirmed) == text


# --- for everyone -----------------------------------------------------------------------------------------------------


def test_headings_go_down_one_level_at_a_time_from_a_single_h1(text: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(text).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_page_names_its_language_and_fits_a_phone(text: str) -> None:
    seen = Page(text)
    assert seen.all("html")[0]["lang"] == "en"
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in seen.all("meta")


def test_the_end_of_an_alert_stands_below_a_heading_that_says_where_its_time_counts_from(text: str) -> None:
    stages = text[text.index("Stages of ") :]
    heading, reset = stages.index("in seconds after that"), stages.index(">reset<")
    assert stages.index(">delivered<") < heading < reset < stages.index("</table>")


def test_every_table_has_a_caption_and_every_head_cell_a_scope(text: str) -> None:
    seen = Page(text)
    assert len(seen.all("table")) == len(seen.all("caption")) >= 5
    assert {cell.get("scope") for cell in seen.all("th")} == {"row", "col", "rowgroup"}


def test_every_table_scrolls_in_a_box_that_keys_can_reach(text: str) -> None:
    boxes = [div for div in Page(text).all("div") if "scroll" in (div.get("class") or "").split()]
    assert len(boxes) == len(Page(text).all("table"))
    assert all(box["tabindex"] == "0" and box["role"] == "region" and box["aria-label"] for box in boxes)


def test_every_picture_has_a_role_a_title_and_a_description(text: str) -> None:
    seen = Page(text)
    pictures = [svg for svg in seen.all("svg") if svg.get("role") == "img"]
    assert len(pictures) == 4  # the timeline and the arms, for a page and for a phone
    ids = {attributes["id"] for _, attributes in seen.elements if "id" in attributes}
    assert {picture["aria-labelledby"] for picture in pictures} | {
        picture["aria-describedby"] for picture in pictures
    } <= ids
    described = next(said for tag, said in seen.inside if tag == "desc")
    assert "the fault was on from 0 to 29.0 s" in described
    assert "ModelAccuracyLow firing from 27.7" in described
    assert "oncall told +28.7 s" in described
    assert any(
        "mistakes in treatment: 92.4% [86.0%, 96.5%] of 118" in said for tag, said in seen.inside if tag == "desc"
    )


def test_ids_are_unique_and_every_link_has_its_target(text: str) -> None:
    seen = Page(text)
    ids = Counter(attributes["id"] for _, attributes in seen.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    links = {link["href"] for link in seen.all("a")}
    assert links
    assert {f"#{name}" for name in ids} >= links


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_every_text_colour_stands_out_from_what_is_behind_it(text: str, mode: int) -> None:
    light, dark = (
        dict(re.findall(r"--([a-z0-9-]+):(#[0-9a-f]{6})", block))
        for block in re.findall(r":root\{([^}]*--page[^}]*)\}", text)[:2]
    )
    colours = {**light, **dark} if mode else light
    behind = ("page", "card", "sunk", "phase-0", "phase-1")
    pairs = [("text", name) for name in behind] + [("muted", name) for name in behind[:3]]
    pairs += [
        (tone, name) for tone in ("good", "warn", "bad", "accent", "treatment", "control") for name in ("page", "card")
    ]
    pairs += [("on-tone", tone) for tone in ("good", "warn", "bad", "muted")]
    pairs += [(front, f"{tone}-back") for tone in ("good", "warn", "bad") for front in (tone, "text")]
    weak = {
        pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2)
        for pair in pairs
        if contrast(colours[pair[0]], colours[pair[1]]) < 4.5
    }
    assert weak == {}


def test_verdicts_are_told_by_a_sign_and_a_word_and_not_by_colour_alone(confirmed: list[Line]) -> None:
    seen = page(inserted(confirmed, State.undo, GuardBreached("availability (min 90%)", "80.0% for 5s"))).text
    assert "✗ aborted" in seen
    assert "✓ confirmed" in seen


# --- what it says -----------------------------------------------------------------------------------------------------


def test_the_page_says_what_the_verdict_says(confirmed: list[Line], text: str) -> None:
    verdict, said = judge(confirmed), Page(text).text
    facts = [
        verdict.experiment,
        verdict.sentence,
        verdict.description,
        verdict.run,
        verdict.seed,
        verdict.version,
        "1m26s",
        "2026-11-25 20:36:16 UTC",
    ]
    facts += [finding.question for finding in verdict.findings] + [finding.answer for finding in verdict.findings]
    facts += [effect.apply_call for effect in verdict.effects] + [effect.undo_call for effect in verdict.effects]
    assert [fact for fact in facts if fact not in said] == []


def test_every_gate_stands_with_its_time_its_error_and_its_source(text: str) -> None:
    said = Page(text).text
    for row in (
        "signal +9.0s ± 2s",
        "pending +22.7s ± 1s",
        "firing +27.7s ± 1s",
        "delivered +28.7s ± 0.1s",
        "reset +14.8s ± 1s",
    ):
        assert row in said
    assert 'ALERTS{alertstate="firing"}' in said


def test_steady_state_and_arms_stand_with_their_numbers(text: str) -> None:
    said = Page(text).text
    assert "accuracy min 88% 93.9% 84.0% 88.1% break" in said
    assert "latency_p99 max 250ms 5ms 9ms 9ms hold" in said
    assert "treatment 118 0 (0.0%) 118 109 92.4% 86.0% \N{EN DASH} 96.5% 25ms" in said


def test_the_page_says_how_to_see_it_again(text: str) -> None:
    said = Page(text).text
    assert "chaos judge FOLDER" in said
    assert "chaos run experiment.yaml --system system.yaml --seed 97f9e6ac72927483" in said


def test_a_seed_is_quoted_for_the_shell(confirmed: list[Line]) -> None:
    assert "--seed 'a b; rm -rf x'" in page(planned(confirmed, seed="a b; rm -rf x")).text


def test_warnings_of_the_plan_are_shown(confirmed: list[Line]) -> None:
    assert "The plan warned: beware of this" in page(planned(confirmed, warnings=("beware of this",))).text


def test_evidence_that_is_no_number_reads_as_a_dash(confirmed: list[Line]) -> None:
    verdict = judge(confirmed)
    odd = replace(
        verdict.findings[0],
        evidence={"ratio": math.nan, "high": math.inf, "low": -math.inf, "p": 0.12345678, "by": None},
    )
    said = Page(render(replace(verdict, findings=(odd,)), trace(confirmed).plan, confirmed)).text
    assert "ratio \N{EN DASH} high ∞ low -∞ p 0.123457 by \N{EN DASH}" in said


def test_backticks_become_code_and_stay_escaped() -> None:
    assert coded("the gate `a<b`: no") == "the gate <code>a&lt;b</code>: no"
    assert coded("one ` alone <i>") == "one ` alone &lt;i&gt;"
