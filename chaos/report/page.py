"""What every page has in common: one template base, one style sheet, one policy. Pure: values in, text out.

template + values ─▶ render() ─▶ one file: nothing from elsewhere, everything escaped, no script but the page's own

A page extends `base.html.j2`, which documents the blocks that it may fill; the classes that it may use stand at the head of
`style.css.j2`, and the macros in `parts.html.j2`.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from chaos.bounds import format_value
from chaos.units import format_duration, format_measured, format_rate, format_share, same_side
from chaos.verdict import VerdictName
from chaos.version import VERSION

_NOT_TEXT = re.compile(r"[^\t\n\r\x20-\x7E\xA0-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
NONE = "\N{EN DASH}"
"""What stands where there is no value."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a server puts around a page that it sends: markup above it with its style, its script, additions to the policy, and who may
    know its address. A page that is a file has nothing around it.
    """

    top: Markup = field(default_factory=Markup)
    style: Markup = field(default_factory=Markup)
    sources: Mapping[str, str] = field(default_factory=dict)
    referrer: str = "no-referrer"
    script: str = ""
    """Of pages that have none of their own."""


ALONE = Around()


def render(template: str, *, script: str = "", around: Around = ALONE, **values: object) -> str:
    """The page that this template makes of these values: every one of them escaped, unless it is Markup.

    `script` is the only code that a browser will run in it: the policy names its hash. Values that need no escaping are the caller's
    promise.
    """
    script = script or around.script
    made = (
        _environment()
        .get_template(template)
        .render(
            version=VERSION,
            policy=policy(script, around.sources),
            script=Markup(script),  # noqa: S704 - our own file
            top=around.top,
            top_style=around.style,
            referrer=around.referrer,
            **values,
        )
    )
    return printable(made)


def policy(script: str, sources: Mapping[str, str]) -> str:
    """The Content-Security-Policy: inline style, pictures within the page, and the one script by its hash; nothing else, from nowhere."""
    allowed = {"default-src": "'none'", "style-src": "'unsafe-inline'", "img-src": "data:"}
    if script:
        allowed["script-src"] = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    allowed |= {"base-uri": "'none'", "form-action": "'none'"} | dict(sources)
    return "; ".join(f"{name} {source}" for name, source in allowed.items())


@cache
def script(name: str) -> str:
    """A script that is shipped beside the templates: `timeline.js`."""
    return resources.files("chaos.report").joinpath("templates", name).read_text("utf-8")


def json_block(value: object) -> Markup:
    """JSON for the inside of `<script type="application/json">`: no text in it can end the element or begin a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - what could be markup was replaced above


def printable(text: str) -> str:
    """The text without control characters and halves of surrogate pairs, which labels and errors may carry and no file can hold."""
    return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("chaos", "report/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": clock_text,
        "moment": moment_text,
        "duration": duration_text,
        "share": share_text,
        "value": value_text,
        "evidence": evidence_text,
        "coded": coded,
        "sign": sign,
        "tone": tone,
        "rate": format_rate,
        "exact_share": format_share,
        "words": lambda text: str(text).replace("_", " "),
        "verbatim": verbatim,
    }
    return environment


# --- texts ------------------------------------------------------------------------------------------------------------


def sign(name: VerdictName) -> str:
    """✓ for confirmed, ? for inconclusive, ✗ for everything that speaks against the run."""
    return {"confirmed": "✓", "inconclusive": "?"}.get(name, "✗")


def tone(name: VerdictName) -> str:
    """The class of its colour: good, warn or bad."""
    return {"confirmed": "good", "inconclusive": "warn"}.get(name, "bad")


def moment_text(wall_s: float) -> str:
    """`2026-11-25 20:36:16 UTC`, or the number itself when no calendar has it."""
    try:
        return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{wall_s:g}"


def clock_text(wall_s: float | None) -> str:
    """`20:36:16.922 UTC`, or a dash."""
    if wall_s is None:
        return NONE
    try:
        return datetime.fromtimestamp(wall_s, UTC).strftime("%H:%M:%S.%f")[:-3] + " UTC"
    except (OverflowError, ValueError, OSError):
        return f"{wall_s:g}"


def duration_text(seconds: float | None, limit_s: float | None = None) -> str:
    """`1m26s`, `29.0s`, or a dash; with more figures where only they show on which side of its limit it lies."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    shown = round(seconds, 1) if abs(seconds) < 60 else float(round(seconds))
    if limit_s is not None and not same_side(shown, seconds, limit_s):
        return format_measured(seconds, limit_s)
    return f"{seconds:.1f}s" if abs(seconds) < 60 and seconds != int(seconds) else format_duration(shown)


def share_text(share: float | None) -> str:
    """`7.4%`, or a dash."""
    return NONE if share is None or not math.isfinite(share) else f"{share:.1%}"


def value_text(value: float | None, unit: str) -> str:
    """A probe's value in its unit, or a dash."""
    if value is None or math.isnan(value):
        return NONE
    return evidence_text(value) if math.isinf(value) else format_value(value, unit)


def evidence_text(value: str | float | None) -> str:
    """One value of a finding's evidence: numbers shortened, a dash where there is none."""
    if isinstance(value, float):
        if math.isnan(value):
            return NONE
        return ("∞" if value > 0 else "-∞") if math.isinf(value) else f"{value:.6g}"
    return NONE if value is None or value == "" else str(value)


def coded(text: str) -> Markup:
    """The text escaped, with what stands between two backticks as code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # one backtick has no partner: it is only a character
        return escape(text)
    return Markup().join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )


def verbatim(text: str) -> Markup:
    """The text for the inside of an element: quotes stay as they are, which makes JSON a third shorter."""
    return Markup(html.escape(text, quote=False))  # noqa: S704 - escaped
