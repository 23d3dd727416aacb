"""The socket, the address that lets a browser in, and the loop. Wiring."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.errors import ChaosError

if TYPE_CHECKING:
    from chaos.app.ui.access import Access
    from chaos.app.ui.handlers import Ui

LOOPBACK = "127.0.0.1"
INSTALL = "pip install '.[ui]'"
CLOSE_S = 2
"""How long pages that are being sent may take once the server is to end. Runs go on."""

Say = Callable[[str], None]


class NoServer(ChaosError):
    """The page cannot be served."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for. Port 0 is any that is free."""

    runs: Path
    experiments: Path
    state: Path
    listen: str = LOOPBACK
    port: int = 0
    system: str | None = None
    variables: Mapping[str, str] | None = None
    browser: bool = True
    terminal: bool = True
    """Whether a person reads what is said: nobody's log gets an address that lets a browser in."""


def command(wish: Wish, say: Say, show: Say) -> None:
    """Serves until Ctrl-C or SIGTERM; `show` gets the address that lets the first browser in. Raises NoServer."""
    try:
        import uvicorn

        from chaos.app.ui.routes import app_of
    except ImportError as error:
        raise NoServer(
            f"the page needs what is not installed ({error.name}); run `{INSTALL}` in a clone of this repository"
        ) from error
    listener = bound(wish.listen, wish.port)
    if not is_loopback(wish.listen):
        say(
            f"! {wish.listen} can be reached from other machines, and what is said to it travels unencrypted: whoever reads along can start"
            " and stop runs as you. Leave --listen out and forward a port with `ssh -L` instead: docs/ui.md"
        )
    ui = ui_of(wish, listener, say)
    address = entrance(ui.access)
    opens = "the browser opens" if wish.browser else "open in a browser"
    say(f"{opens} this address, which lets one browser in, once:")
    show(address)
    # Its own messages are of connections that are cut when the server ends; errors of ours are logged where they are met.
    config = uvicorn.Config(
        app_of(ui), log_level="critical", access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=CLOSE_S,
        proxy_headers=False, ws="none",
    )  # fmt: skip
    if wish.browser:
        import webbrowser

        # Beside the server, whose socket listens already: a browser in the terminal keeps whoever opens it until it ends.
        threading.Thread(target=webbrowser.open, args=[address], name="ui browser", daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    say("the page is closed; runs that were started from it go on (`chaos stop` ends them)")


def ui_of(wish: Wish, listener: socket.socket, say: Say) -> Ui:
    """Everything that the pages need, for a server on this socket."""
    from chaos.app.ui.access import Access, hosts
    from chaos.app.ui.found import Experiments
    from chaos.app.ui.handlers import Ui
    from chaos.app.ui.kept import Kept
    from chaos.app.ui.starts import Starts
    from chaos.drivers.state import State

    port = int(listener.getsockname()[1])
    names = frozenset({"localhost", wish.listen}) if is_loopback(wish.listen) else frozenset({wish.listen})
    access = Access(hosts(names, port), f"chaos_ui_{port}")

    def entered() -> None:
        further = f"for another one: {entrance(access)}" if wish.terminal else "begin `chaos ui` anew for another one"
        say(f"a browser was let in; {further}")

    experiments = Experiments(wish.experiments, wish.state, wish.variables or {}, wish.system)
    return Ui(access, Kept(wish.runs, State.of_user()), experiments, Starts(), entered)


def entrance(access: Access) -> str:
    """The address that lets one browser in, once."""
    host = min(access.hosts, key=lambda name: name.startswith("localhost"))
    return f"http://{host}/enter?token={access.token()}"


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches this address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def bound(address: str, port: int) -> socket.socket:
    """A socket that listens there. Raises NoServer."""
    try:
        if ipaddress.ip_address(address).is_unspecified:
            raise NoServer(
                f"--listen {address} is every address at once; name the one that browsers use, so that others can be refused"
            )
    except ValueError:
        pass  # a name
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(128)  # at once: a browser may be quicker than the loop
    except OSError as error:
        raise NoServer(
            f"{address}:{port} cannot be listened on: {error.strerror or error}; name another --port"
        ) from error
    return listener
