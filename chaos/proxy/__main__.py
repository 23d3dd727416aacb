"""`python -m chaos.proxy`: the fault proxy alone."""

from __future__ import annotations

import argparse
import shlex
import ssl
import sys
from pathlib import Path

from chaos.protocols import catalogue as protocols
from chaos.proxy.process import Options, parse_control, parse_route, run
from chaos.proxy.serving import DataOptions
from chaos.proxy.shadow import parse_consumer
from chaos.proxy.upstream import tls_context
from chaos.units import parse_share

ABOUT = """\
The fault proxy: a process of its own in front of a model. While no run holds
it, every byte passes as it came; while one does, it delays, breaks or changes
what happens to the treatment arm, and to nobody else.

You need one where an experiment hurts requests, answers or inputs of a model
(`chaos faults` lists them). Faults of containers and of the run's own load need
none, and the lab brings its own.
"""
EXAMPLE = """\
For instance:

  $ head -c 24 /dev/urandom | base64 > token
  $ chaos proxy --route 'replica-1=127.0.0.1:9001>10.0.0.11:8080' \\
                --token-file token

Point whatever asks the model at 127.0.0.1:9001, and name the proxy in the
system file, where `chaos doctor --system FILE` looks whether it answers:

  targets:
    model: {proxies: ['http://127.0.0.1:8474'], token: '${file:token}'}

docs/proxy.md says everything of it. It ends with SIGTERM or Ctrl-C.
"""
MOST_WORKERS = 32
"""Fewer than there are places to count connections: workers that are on their way out keep theirs for a moment."""


def parser() -> argparse.ArgumentParser:
    """Every flag, with what it does."""
    made = argparse.ArgumentParser(
        prog="chaos proxy", description=ABOUT, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--route",
        action="append",
        required=True,
        metavar="NAME=LISTEN>UPSTREAM",
        help="LISTEN is HOST:PORT; UPSTREAM is HOST:PORT or https://HOST[:PORT]; once for each replica",
    )
    made.add_argument(
        "--control", default="127.0.0.1:8474", metavar="HOST:PORT|unix:/PATH", help="where runs arm it (%(default)s)"
    )
    made.add_argument("--control-cert", type=Path, metavar="FILE", help="serve the control API over TLS: certificates")
    made.add_argument("--control-key", type=Path, metavar="FILE", help="the private key of --control-cert")
    made.add_argument(
        "--token-file",
        type=Path,
        required=True,
        metavar="FILE",
        help="the token of the control API, 16 characters or more",
    )
    made.add_argument("--ports-file", type=Path, metavar="FILE", help="written once everything listens: where, as JSON")
    made.add_argument("--protocol", default="auto", metavar="NAME", help="used when an arming says `auto`")
    made.add_argument("--upstream-ca", type=Path, metavar="FILE", help="trust these authorities, not the system's")
    made.add_argument("--workers", type=int, default=1, metavar="N", help="processes that serve data (%(default)s)")
    made.add_argument("--observe", default="0%", metavar="SHARE", help="look at so many answers, for /metrics (0%%)")
    made.add_argument("--shadow-to", metavar="URL", help="in shadow mode, hurt copies of answers are posted there")
    made.add_argument("--record-bodies", action="store_true", help="keep bodies of changed answers; for the lab alone")
    return made


def _control_tls(given: argparse.Namespace) -> ssl.SSLContext | None:
    cert, key = given.control_cert, given.control_key
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ValueError("--control-cert and --control-key belong together; give both or none")
    if given.control.startswith("unix:"):
        raise ValueError("a unix socket needs no certificate; leave --control-cert and --control-key out")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(cert, key)
    except OSError as error:
        raise ValueError(f"{cert} and {key} cannot be used as certificate and key: {error}") from error
    return made


def _token(path: Path) -> str:
    """Raises ValueError that says how to make one."""
    how = f"write one with: head -c 24 /dev/urandom | base64 > {shlex.quote(str(path))}"
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"the token cannot be read from {path} ({error.strerror}); {how}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"what is in {path} is no text, and so no token; {how}") from error
    if len(token) < 16:
        raise ValueError(f"the token in {path} is shorter than 16 characters; {how}")
    return token


def _options(given: argparse.Namespace) -> Options:
    """Raises OSError and ValueError, which say what is wrong."""
    token = _token(given.token_file)
    routes = tuple(parse_route(text) for text in given.route)
    control = parse_control(given.control)
    if given.protocol not in ("auto", *protocols()):
        raise ValueError(f"the protocol {given.protocol!r} is unknown; known: auto, {', '.join(protocols())}")
    names = [route.name for route in routes]
    if len(set(names)) < len(names):
        raise ValueError("two routes have the same name; name each once")
    if not 1 <= given.workers <= MOST_WORKERS:
        raise ValueError(f"--workers is {given.workers}; write a number from 1 to {MOST_WORKERS}")
    if given.upstream_ca is not None:
        tls_context(given.upstream_ca)  # said now, not at the first request
    consumer = parse_consumer(given.shadow_to) if given.shadow_to is not None else None
    observe = parse_share(given.observe)
    data = DataOptions(given.record_bodies, given.protocol, given.upstream_ca, observe, consumer)
    return Options(routes, control, token, given.ports_file, given.workers, _control_tls(given), data)


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    given = parser().parse_args(arguments)
    try:
        options = _options(given)
    except (OSError, ValueError) as error:
        print(f"chaos proxy: {error}", file=sys.stderr)
        return 2
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
