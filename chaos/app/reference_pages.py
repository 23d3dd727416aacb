"""The pages docs/commands.md, docs/probes.md and docs/protocols.md, made of the code and of the probe files.

python -m chaos.app.reference_pages docs       writes them (`make docs`)
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from chaos.app.fault_page import table
from chaos.probe import Catalogue, Probe, merge
from chaos.protocols import catalogue as protocol_catalogue
from chaos.protocols.base import Asking, Protocol, Streaming
from chaos.verdict import EXIT_CODE, MEANING

MADE = "This page is made of the code by `make docs`."
EXIT_CODES = (
    (0, "the hypothesis was confirmed"),
    (1, "a weakness was found: the system deviated, or monitoring missed it, was late, or told nobody"),
    (2, "the files or the command line are wrong"),
    (3, "could not run, or could not tell"),
    (4, "a guard ended it, and everything is undone"),
    (5, "something could not be undone; the command that does it by hand is printed"),
    (130, "interrupted, and everything is undone"),
)


def pages() -> dict[str, str]:
    """File name → the whole page."""
    return {"commands.md": commands(), "probes.md": probes(), "protocols.md": protocols()}


# --- commands ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its arguments and options, and what its exit code says."""
    from typer.main import get_command

    from chaos.app.cli import app

    codes = [
        (str(code), said, ", ".join(f"`{name}`" for name, of in EXIT_CODE.items() if of == code))
        for code, said in EXIT_CODES
    ]
    head = (
        f"# Commands\n\nResults go to stdout, everything else to stderr. {MADE}\n\n## Exit codes\n\n"
        + table(("code", "means", "verdicts"), codes)
        + "\n\n"
        + table(("verdict", "means"), [(f"`{name}`", said) for name, said in MEANING.items()])
    )
    found = [_command(name, one) for name, one in _each(get_command(app), "chaos")]
    return "\n\n".join([head, *found]) + "\n"


def _each(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, one in getattr(group, "commands", {}).items():
        if getattr(one, "commands", None):
            yield from _each(one, f"{path} {name}")
        else:
            yield f"{path} {name}", one


def _command(name: str, one: Any) -> str:
    arguments = [part for part in one.params if part.param_type_name == "argument"]
    options = [part for part in one.params if part.param_type_name == "option" and not part.hidden]
    usage = " ".join(
        [
            name,
            *(["[OPTIONS]"] if options else []),
            *(f"[{_value(part)}]" if not part.required else _value(part) for part in arguments),
        ]
    )
    rows = [(f"`{_value(part)}`", _prose(part.help or ""), "") for part in arguments]
    rows += [(_option(part), _prose(part.help or ""), _default(part)) for part in options]
    said = [table(("", "what it says", "default"), rows)] if rows else []
    return "\n\n".join([f"## {name}", _prose(one.help or ""), f"```text\n{usage}\n```", *said])


def _value(part: Any) -> str:
    return str(part.metavar or part.name.upper())


def _option(part: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*part.opts, *part.secondary_opts])
    return names if part.is_flag else f"{names} `{_value(part)}`"


def _default(part: Any) -> str:
    value = part.default
    return "" if value in (None, False, (), []) or callable(value) else f"`{value}`"


# --- probes -----------------------------------------------------------------------------------------------------------


def probes() -> str:
    """Every shipped probe with its query, file by file."""
    folder = Path(__file__).parents[2] / "probes"
    head = (
        "# Probes\n\nWhat an experiment can be judged by: the shipped catalogue. Yours stand in a `probes/` folder beside your "
        f"experiments and come first ([how to write one](how-to/write-a-probe.md)). {MADE}"
    )
    parts = [head]
    for path in sorted(folder.rglob("*.yaml")):
        found = merge({str(path): path.read_text(encoding="utf-8")})
        parts.append(f"## {path.relative_to(folder)}\n\n{_overview(found)}")
        parts += [_probe(name, one) for name, one in sorted(found.items())]
    return "\n\n".join(parts) + "\n"


def _overview(found: Catalogue) -> str:
    return table(
        ("probe", "unit", "better", "what it says"),
        [(f"[`{name}`](#{name})", one.unit, one.better, _prose(one.doc)) for name, one in sorted(found.items())],
    )


def _probe(name: str, one: Probe) -> str:
    facts = [f"no data means: {one.when_missing}", f"arms are known to: {one.arms}"]
    if one.count is not None:
        facts.append(f"nothing is concluded below {one.needs:g} of what `count` counts")
    facts += [f"source: {_prose(one.source)}"] if one.source else []
    return "\n\n".join(
        [
            f"### {name}",
            _prose(one.doc),
            f"```promql\n{one.query.strip()}\n```",
            "\n".join(f"- {fact}" for fact in facts),
        ]
    )


# --- protocols --------------------------------------------------------------------------------------------------------


def protocols() -> str:
    """Every serving protocol: what it is, and what the proxy can do in it."""
    known = protocol_catalogue()
    rows = [
        (
            f"[`{name}`](#{name})",
            _about(one)[0],
            *("yes" if isinstance(one, can) else "no" for can in (Asking, Streaming)),
        )
        for name, one in known.items()
    ]
    head = (
        "# Protocols\n\nWhat the proxy reads and changes; anything else passes as it came. "
        f"[How to add one](how-to/add-a-protocol.md). {MADE}"
    )
    parts = [head, table(("protocol", "what it is", "faults on inputs", "streamed answers"), rows)]
    return "\n\n".join([*parts, *(f"## {name}\n\n" + "\n\n".join(_about(one)) for name, one in known.items())]) + "\n"


def _about(one: Protocol) -> Sequence[str]:
    """The paragraphs that its own file says; what is indented stays as it is."""
    said = inspect.cleandoc(inspect.getdoc(inspect.getmodule(type(one))) or "")
    return [part if part.startswith(" ") else _prose(part) for part in said.split("\n\n")]


def _prose(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def write(into: Path, made: Iterable[tuple[str, str]]) -> None:
    """The pages stand in the folder."""
    for name, text in made:
        (into / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), pages().items())
