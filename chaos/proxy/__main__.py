"""`python -m chaos.proxy`: the fault proxy alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chaos.drivers.serving import split_address
from chaos.protocols import catalogue as protocols
from chaos.proxy.process import Options, parse_route, run


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="chaos proxy", description="The fault proxy: invisible until a run arms it.")
    parser.add_argument("--route", action="append", required=True, metavar="NAME=LISTEN>UPSTREAM")
    parser.add_argument("--control", default="127.0.0.1:8474", metavar="HOST:PORT")
    parser.add_argument("--token-file", type=Path, required=True, help="a file with the token of the control API")
    parser.add_argument("--ports-file", type=Path, help="written once everything listens: where, as JSON")
    parser.add_argument("--protocol", default="auto", help="used when an arming says `auto`")
    parser.add_argument(
        "--record-bodies", action="store_true", help="keep bodies of changed answers; for the lab alone"
    )
    given = parser.parse_args(arguments)
    try:
        token = given.token_file.read_text().strip()
        routes = tuple(parse_route(text) for text in given.route)
        control = split_address(given.control)
    except (OSError, ValueError) as error:
        print(f"chaos proxy: {error}", file=sys.stderr)
        return 2
    if len(token) < 16:
        print(
            f"chaos proxy: the token in {given.token_file} is shorter than 16 characters; make a longer one",
            file=sys.stderr,
        )
        return 2
    if given.protocol not in ("auto", *protocols()):
        print(
            f"chaos proxy: the protocol {given.protocol!r} is unknown; known: auto, {', '.join(protocols())}",
            file=sys.stderr,
        )
        return 2
    return run(Options(routes, control, token, given.ports_file, given.record_bodies, given.protocol))


if __name__ == "__main__":
    sys.exit(main())
