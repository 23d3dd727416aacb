"""Drawings by matplotlib, made fit for a page: one SVG whose colours follow the page's, whose text stays text. Pure.

Sheet ─▶ axes, lines, texts (matplotlib) ─▶ Sheet.svg() ─▶ "<svg …>"

matplotlib knows no CSS. Every colour of ours is a placeholder that only a custom property of the page can stand for, so that the same
drawing is right in light, in dark and on paper. What it writes besides is taken out: fonts, metadata, ids that two drawings would share.
Nothing of pyplot is used: no global state, no window system. matplotlib is imported inside functions, for it takes half a second.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from chaos.report.page import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
TONES = (
    "text", "muted", "edge", "edge-strong", "accent", "good", "warn", "bad", "on-tone", "curve", "treatment", "control", "band", "fault",
    "fault-edge", "beyond", "grid", "phase-0", "phase-1", "card",
)  # fmt: skip
"""The custom properties of the style sheet that a drawing may use."""
_PLACEHOLDER = {tone: f"#00{place + 1:02x}f1" for place, tone in enumerate(TONES)}
_TONE = {colour: tone for tone, colour in _PLACEHOLDER.items()}
_COLOUR = re.compile(r"#00[0-9a-f]{2}f1")
_FONT = re.compile(r"(?:font-family:[^;]*|font:[^;]*);?\s*")
_DIGITS = re.compile(r"-?\d+\.\d+")
FONT_PX = 11.0


def tone(name: str) -> str:
    """The colour to give to matplotlib for this custom property of the page."""
    return _PLACEHOLDER[name]


@dataclass
class Sheet:
    """A drawing of this size in pixels; (0, 0) is its upper left corner. `named` gives class and title (which a pointer shows) by gid."""

    width: float
    height: float
    named: dict[str, tuple[str, str]] = field(default_factory=dict)
    figure: Figure = field(init=False)

    def __post_init__(self) -> None:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        _quiet()
        self.figure = Figure(figsize=(self.width / 72, self.height / 72), dpi=72)
        self.figure.patch.set_visible(False)
        FigureCanvasSVG(self.figure)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Bare axes over this box: no frame, no ground, no ticks. `axes.yaxis.set_visible(True)` gives it ticks of values."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        made = self.figure.add_axes(box, frameon=False)
        made.xaxis.set_visible(False)
        made.yaxis.set_visible(False)
        return made

    def text(self, x: float, y: float, said: str, *, kind: str = "text", **how: Any) -> Text:
        """A text at these pixels; `y` is its base line. Nothing in it is read as mathematics."""
        placed: dict[str, Any] = {"fontsize": FONT_PX, "va": "baseline", "zorder": 50} | how
        return self.figure.text(
            x / self.width, 1 - y / self.height, plain(said), color=tone(kind), parse_math=False, **placed
        )

    def right_of(self, drawn: Text) -> float:
        """Where this text ends, in pixels, in matplotlib's own font, which is wider than most."""
        return float(drawn.get_window_extent().x1)

    def name(self, kind: str, said: str = "") -> str:
        """A gid for one thing that is drawn: its class, and its title."""
        gid = f"named-{len(self.named)}"
        self.named[gid] = (kind, plain(said))
        return gid

    def svg(self, title: str, description: str, *, name: str, shape: str = "") -> str:
        """The drawing as one element. `name` keeps its ids apart from those of other drawings in the page; `shape` is its class."""
        from matplotlib import rc_context

        drawn = io.StringIO()
        with (
            rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify_threshold": 0.2}),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")  # a glyph that its own font has not: the reader's has
            self.figure.savefig(drawn, format="svg", metadata={"Date": None})
        return _fit(ET.fromstring(drawn.getvalue()), self, plain(title), plain(description), name, shape)  # noqa: S314 - matplotlib wrote it


def plain(said: str) -> str:
    """One line that any file and matplotlib can hold."""
    return " ".join(printable(said).replace("\ufffd", "?").split())


@cache
def _quiet() -> None:
    """Matplotlib says on the log when it makes its list of fonts; nobody who runs an experiment needs that."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


# --- made fit ---------------------------------------------------------------------------------------------------------


def _fit(root: ET.Element, sheet: Sheet, title: str, description: str, name: str, shape: str) -> str:
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"viewBox": f"0 0 {sheet.width:g} {sheet.height:g}", "role": "img"}
    root.attrib |= {"aria-labelledby": f"{name}-title", "aria-describedby": f"{name}-desc"}
    if shape:
        root.set("class", shape)
    used = _used(root)
    for element in root.iter():
        _fit_element(element, sheet, used, name)
    _prune(root)
    for place, (tag, said) in enumerate((("title", title), ("desc", description))):
        made = ET.Element(f"{{{SVG}}}{tag}", {"id": f"{name}-{tag}"})
        made.text = said
        root.insert(place, made)
    return _written(root)


def _used(root: ET.Element) -> set[str]:
    """The ids that something in the drawing points at."""
    found: set[str] = set()
    for element in root.iter():
        for value in element.attrib.values():
            found.update(re.findall(r"url\(#([^)]+)\)", value))
        found.add(element.get(_XLINK, "").removeprefix("#"))
    return found


def _fit_element(element: ET.Element, sheet: Sheet, used: set[str], name: str) -> None:
    own = element.attrib.pop("id", None)
    if own in sheet.named:
        kind, said = sheet.named[own]
        element.set("class", kind)
        if said:
            title = ET.Element(f"{{{SVG}}}title")
            title.text = said
            element.insert(0, title)
    elif own in used:
        element.set("id", f"{name}-{own}")
    for attribute, value in list(element.attrib.items()):
        fit = value
        if attribute == "style":
            fit = _COLOUR.sub(lambda found: f"var(--{_TONE[found[0]]})", _FONT.sub("", value))
        elif attribute == _XLINK:
            fit = f"#{name}-{value.removeprefix('#')}"
        elif attribute in ("d", "x", "y", "transform", "points"):
            fit = " ".join(_DIGITS.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value).split())
        element.set(attribute, fit.replace("url(#", f"url(#{name}-"))
    if element.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _prune(element: ET.Element) -> None:
    """Out with what draws nothing: metadata, fonts, groups and definitions without content."""
    for child in list(element):
        _prune(child)
        empty = len(child) == 0 and not (child.text or "").strip()
        if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style") or (empty and child.tag in _GROUPS):
            element.remove(child)


_GROUPS = (f"{{{SVG}}}g", f"{{{SVG}}}defs")


def _written(root: ET.Element) -> str:
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    said = {f"{{{SVG}}}{tag}" for tag in ("text", "title", "desc", "tspan")}
    for element in root.iter():  # indentation is for people, who read the page
        element.tail = None
        if element.tag not in said:
            element.text = None
    return ET.tostring(root, encoding="unicode").replace("\n", " ")
