"""A YAML file as data that remembers where each value stood.

Scalars follow YAML 1.2's core rules: `on`, `no` and `1:30` stay text. Duplicate keys are refused. `${NAME}` is
replaced inside scalar nodes and never in the text, so no value can change the structure. Numbers come out as WrittenInt
and WrittenFloat: they stand in a file without a unit. Size, depth and number of nodes are bounded, aliases included.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from chaos.errors import InvalidFile, Problem
from chaos.kinds import manifests
from chaos.units import WrittenFloat, WrittenInt

Path = tuple[str | int, ...]

LARGEST_FILE = 1_000_000
MOST_NODES = 20_000
DEEPEST = 40
LONGEST_ECHO = 60
"""Characters of what stands in a file that a message repeats."""

_VARIABLE = re.compile(r"\$\{([^}]{0,200})\}")
"""Bounded, for what never closes would be searched to its end from each of its beginnings."""
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_WORDS: Mapping[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that somebody most likely meant, or None."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean X?` or the list of what there is; the end of a sentence about an unknown word."""
    known = sorted(known)
    close = nearest(word, known)
    if close is not None:
        return f"did you mean `{close}`?"
    return f"known: {', '.join(known)}" if known else "there are none"


def shortened(text: str) -> str:
    """As much of the text as a message repeats."""
    return text if len(text) <= LONGEST_ECHO else text[: LONGEST_ECHO - 1] + "…"


@dataclass
class Document:
    """One parsed file. `places` has the 1-based line and column of each value, `keys` of each mapping's keys."""

    path: str
    data: object = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    substituted: set[Path] = field(default_factory=set)
    hidden: dict[Path, list[tuple[str, str]]] = field(default_factory=dict)
    """Where `${…}` was replaced: texts that no message may repeat (they may be secrets) → what is shown instead."""

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """A problem placed at the value (or the key) of this path, or at the nearest thing above it that exists."""
        place = self.keys.get(path) if key else None
        above = path
        while place is None:
            place = self.places.get(above) or ((1, 1) if not above else None)
            above = above[:-1]
        for value, written in self.hidden.get(path, ()):
            message = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", written.replace("\\", r"\\"), message)
        if path not in self.hidden:
            message = _echoing_less(message, (self._at(path), path[-1] if path else None))
        return Problem(self.path, place[0], place[1], where(path), message)

    def _at(self, path: Path) -> object:
        """The value at this path; None where there is none."""
        value: Any = self.data
        for part in path:
            try:
                value = value[part]
            except (LookupError, TypeError):
                return None
        return value


def _echoing_less(message: str, echoed: Iterable[object]) -> str:
    """The message, where what it repeats of these texts is short."""
    for text in echoed:
        if isinstance(text, str) and len(text) > LONGEST_ECHO:
            message = message.replace(repr(text), repr(shortened(text))).replace(text, shortened(text))
    return message


def where(path: Path) -> str:
    """`faults[0].share` for people."""
    text = ""
    for part in path:
        named = part if isinstance(part, int) else shortened(part)
        text += f"[{part}]" if isinstance(part, int) else (f".{named}" if text else str(named))
    return text


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return WrittenInt(text)
    if _FLOAT.fullmatch(text):
        return WrittenFloat(text)
    return text


class _Reader:
    def __init__(self, document: Document, variables: Mapping[str, str]) -> None:
        self.document = document
        self.variables = variables
        self.nodes = 0
        self.tired = False

    def read(self, node: yaml.Node, path: Path) -> object:
        self.nodes += 1
        mark = node.start_mark
        self.document.places[path] = (mark.line + 1, mark.column + 1)
        if self.nodes > MOST_NODES:
            self._give_up(path, f"the file has more than {MOST_NODES:,} values, aliases written out; write fewer")
            return None
        if len(path) > DEEPEST:
            self._give_up(path, f"this is nested deeper than {DEEPEST} levels; write it flatter")
            return None
        if node.tag.startswith("!") or node.tag.startswith("tag:yaml.org,2002:python"):
            tag = shortened(node.tag.replace("tag:yaml.org,2002:", "!!"))
            self._say(path, f"the tag `{tag}` is not allowed; write a plain value")
        if isinstance(node, yaml.ScalarNode):
            return self._read_scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*path, place)) for place, child in enumerate(node.value) if not self.tired]
        return self._read_mapping(node, path)

    def _give_up(self, path: Path, message: str) -> None:
        """What is found after this would be found in half a file, so nothing more is looked for."""
        self.tired = True
        self._say(path[:3], message, self.document.places[path])

    def _read_scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        text = _VARIABLE.sub(lambda match: self._variable(match[1], path), node.value)
        value = _scalar(text) if node.style is None else text
        if path in self.document.substituted and text:
            self.document.hidden[path] = [(repr(text), repr(node.value)), (text, node.value), (str(value), node.value)]
        return value

    def _variable(self, name: str, path: Path) -> str:
        self.document.substituted.add(path)
        if name in self.variables:
            return self.variables[name]
        hint = f"set it in the environment or write --var {name}=VALUE"
        if name.startswith("file:"):
            hint = f"there is no file `{name.removeprefix('file:')}` beside this one, or it cannot be read"
        close = nearest(name, self.variables) if len(name) > 3 else None
        self._say(path, f"${{{name}}} has no value; {hint}" + (f" (did you mean `{close}`?)" if close else ""))
        return ""

    def _read_mapping(self, node: yaml.Node, path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            place = (mark.line + 1, mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self._say(path, "a key must be text; write one word before the colon", place)
                continue
            if key_node.value == "<<":
                self._say(path, "`<<` merges nothing here; write the keys out", place)
                continue
            key = key_node.value
            if key in found:
                first = self.document.keys[(*path, key)][0]
                self._say((*path, key), f"`{shortened(key)}` stands twice, first in line {first}; write it once", place)
                continue
            self.document.keys[(*path, key)] = place
            found[key] = self.read(value_node, (*path, key))
            if self.tired:
                break
        return found

    def _say(self, path: Path, message: str, place: tuple[int, int] | None = None) -> None:
        line, column = place or self.document.places.get(path, (1, 1))
        self.document.problems.append(Problem(self.document.path, line, column, where(path), message))


def read_document(text: str, path: str, variables: Mapping[str, str]) -> Document:
    """The file as data with places. What is wrong but does not stop the reading is left in `.problems`.

    Raises InvalidFile when the text is no YAML at all, is empty, or is too large.
    """
    if len(text) > LARGEST_FILE:
        raise InvalidFile([Problem(path, 1, 1, "", f"the file is larger than {LARGEST_FILE:,} characters")])
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        if "another document" in str(error.problem) and manifests(text):
            said = "these are Kubernetes manifests, and none of our files; `chaos init` writes the first ones"
            raise InvalidFile([Problem(path, 1, 1, "", said)]) from error
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise InvalidFile([Problem(path, line, column, "", _not_yaml(error, text))]) from error
    except RecursionError as error:
        raise InvalidFile([Problem(path, 1, 1, "", "this is nested far too deeply; write it flatter")]) from error
    except (yaml.YAMLError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidFile([Problem(path, 1, 1, "", f"this is not YAML: {said}")]) from error
    if root is None:
        raise InvalidFile([Problem(path, 1, 1, "", "the file is empty")])
    document = Document(path)
    reader = _Reader(document, variables)
    try:
        document.data = reader.read(root, ())
    except RecursionError as error:
        raise InvalidFile([Problem(path, 1, 1, "", "the file is nested too deeply or refers to itself")]) from error
    if reader.tired:
        raise InvalidFile(document.problems)
    return document


_REMEDIES = (
    ("found character '\\t'", "a tab stands where only spaces may; write spaces"),
    ("could not find expected ':'", "write a space after the colon"),
    ("undefined alias", "write quotes around a text that begins with `*`"),
    ("another document", "write one document in each file"),
    ("mapping values are not allowed", "write quotes around a text that has a colon in it, or mend the indentation"),
    ("cannot start any token", "write quotes around this text"),
    ("did not find expected <document start>", "mend the indentation"),
    ("expected <block end>", "mend the indentation"),
)
"""What PyYAML says → what to write instead."""


def _variable_in_braces(line: str) -> bool:
    begun = re.search(r"[\[{]", line)
    return begun is not None and "${" in line[begun.end() :]


def _not_yaml(error: yaml.MarkedYAMLError, text: str) -> str:
    """What is wrong, where what it belongs to begins, and what to write instead."""
    said = ", ".join(part for part in (error.context, error.problem) if part)
    begin, end = error.context_mark, error.problem_mark
    if begin is not None and end is not None and begin.line != end.line:
        said += f"; it begins in line {begin.line + 1}"
    lines = text.splitlines()
    if end is not None and end.line < len(lines) and _variable_in_braces(lines[end.line]):
        remedy: str | None = "write quotes around ${…} inside { } and [ ]"
    else:
        remedy = next((remedy for sign, remedy in _REMEDIES if sign in said), None)
    return f"this is not YAML: {said}" + (f"; {remedy}" if remedy else "")
