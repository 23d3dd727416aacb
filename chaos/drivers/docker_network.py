"""Trouble with a container's network, made where only it lives: in its own network namespace.

Rules stand in one chain of our own, a queueing discipline carries our handle: an undo takes off these and nothing else, from any
process, however far apply got. All of it is gone with the namespace when the container stops.

    loss, partition      iptables                     dropped, or refused, in both directions
    bandwidth            tc tbf                       what it sends
    delay                tc netem, else a queue       what it sends; with the queue what it receives
    corruption           tc netem, else a queue       the same
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Literal

import psutil

from chaos.drivers import echo, packet_queue
from chaos.drivers.base import Act, Before, Verb
from chaos.drivers.beside import shell
from chaos.drivers.docker_engine import NO_TOOLS, Reached
from chaos.drivers.docker_verbs import Done, running
from chaos.errors import ChaosError, Unreachable

HANDLE = "c4a5:"
"""The handle of every queueing discipline of ours; the kernel's own have none."""
QUEUE = 40_101
BEYOND_S = 60
"""How long after the fault's duration a queue that nobody has ended ends by itself."""
READY_S = 3.0
Way = Literal["rules", "tc", "queue"]


def chain(verb: Verb) -> str:
    """The name of the chain that holds the rules of a verb."""
    return f"chaos-{verb}"


def _rules(act: Act) -> list[str]:
    """The rules of the chain, and who jumps there, as iptables-restore reads them."""
    name = chain(act.verb)
    both = [f"-I INPUT ! -i lo -j {name}", f"-I OUTPUT ! -o lo -j {name}"]
    match act.verb:
        case "network_loss":
            return [f"-A {name} -m statistic --mode random --probability {act.number('loss'):.9f} -j DROP", *both]
        case "network_partition" if act.parameters.get("how") == "refuse":
            # Its own refusals must get out, or nobody hears of them.
            return [
                f"-A {name} -p tcp -m tcp --tcp-flags RST RST -j RETURN",
                f"-A {name} -p tcp -j REJECT --reject-with tcp-reset",
                f"-A {name} -j DROP",
                *both,
            ]
        case "network_partition":
            return [f"-A {name} -j DROP", *both]
        case _:
            return [f"-A {name} -j NFQUEUE --queue-num {QUEUE} --queue-bypass", both[0]]


def rules_script(act: Act, programs: tuple[str, ...]) -> str:
    """A script that puts the rules up, all at once, for each protocol (`iptables`, `ip6tables`)."""
    lines = ["*filter", f":{chain(act.verb)} - [0:0]", *_rules(act), "COMMIT"]
    written = " ".join(shlex.quote(line) for line in lines)
    return " && ".join(f"printf '%s\\n' {written} | {program}-restore --noflush --wait 2" for program in programs)


def tc_script(act: Act, interfaces: list[str]) -> str:
    """A script that puts our queueing discipline on each interface."""
    match act.verb:
        case "network_bandwidth":
            rate = act.number("rate")
            burst = max(3000, int(rate / 100))  # bytes: two packets at least, else none would ever pass
            what = f"tbf rate {int(rate * 8)}bit burst {burst} latency 400ms"
        case "network_delay":
            delay_us, jitter_us = (round(act.number(name) * 1e6) for name in ("by", "jitter"))
            # netem spreads to both sides of its delay.
            spread = f" {jitter_us // 2}us" if jitter_us >= 2 else ""
            what = f"netem delay {delay_us + jitter_us // 2}us{spread} limit 20000"
        case _:
            what = f"netem corrupt {act.number('damaged') * 100:.6f}%"
    return " && ".join(f"tc qdisc add dev {name} root handle {HANDLE} {what}" for name in interfaces)


def undo_script(verb: Verb) -> str:
    """A script that takes off what is ours, says what that was, and fails when something of it is left. One line."""
    name = chain(verb)
    return (
        "for i in iptables ip6tables; do command -v $i > /dev/null || continue; "
        f"$i -w 2 -S {name} > /dev/null 2>&1 || continue; "
        f"while $i -w 2 -D INPUT ! -i lo -j {name} 2> /dev/null; do :; done; "
        f"while $i -w 2 -D OUTPUT ! -o lo -j {name} 2> /dev/null; do :; done; "
        f"$i -w 2 -F {name} && $i -w 2 -X {name} && echo $i; done; "
        f"for d in $({OUR_INTERFACES}); do tc qdisc del dev $d root && echo tc $d; done; "
        f'! iptables -w 2 -S {name} > /dev/null 2>&1 && [ -z "$({OUR_INTERFACES})" ]'
    )


OUR_INTERFACES = f"tc qdisc show | sed -n 's/^qdisc [a-z_]* {HANDLE} dev \\([^ ]*\\) root.*/\\1/p'"
INTERFACES = "ip -o link show up | sed -n 's/^[0-9]*: \\([^:@]*\\).*/\\1/p'"
QDISCS = "tc qdisc show"


class Network:
    """Trouble of one kind."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str], str | None] = {}
        """What was rehearsed, and where → why the kernel refuses it."""

    # --- whether it can be done --------------------------------------------------------------------------------------

    def cannot(self, act: Act, at: Reached) -> str | None:
        """It must have a network of its own, and the kernel must know how."""
        return self._elsewhere(at) or self._way(act, at)[1]

    def _elsewhere(self, at: Reached) -> str | None:
        """Whose network would be hurt as well, or why there is none to hurt."""
        mode = str(at.host_config.get("NetworkMode") or "")
        if mode == "host":
            return "it uses the network of its host, where everybody would be hurt"
        if mode == "none":
            return "it has no network, it was created with `--network none`"
        if mode.startswith("container:"):
            return "it shares the network of another container, which would be hurt as well"
        ours = (f"container:{at.container.id}", f"container:{at.container.name}")
        for row in at.engine.in_time().api.containers():
            if str((row.get("HostConfig") or {}).get("NetworkMode")) in ours:
                return f"the container {', '.join(row.get('Names') or ['?']).lstrip('/')} shares its network and would be hurt as well"
        if at.beside is None and at.tools is None:
            return NO_TOOLS
        return None

    def _way(self, act: Act, at: Reached) -> tuple[Way, str | None]:
        """How it is done here; with why not, when it is not possible in any way."""
        if act.verb in ("network_loss", "network_partition"):
            return "rules", self._rehearsed(at, "rules", rules_script(act, ("iptables",)))
        why = self._rehearsed(at, "tc", tc_script(act, ["lo"])) or _queues_before(at)
        if why is None or act.verb == "network_bandwidth":
            return "tc", why
        if at.beside is None:
            return "queue", f"the kernel has no netem ({why}), and without it root on the engine's own host is needed"
        other = self._rehearsed(at, "queue", rules_script(act, ("iptables",)))
        return "queue", f"the kernel has neither netem ({why}) nor packet queues ({other})" if other else None

    def _rehearsed(self, at: Reached, what: Way, script: str) -> str | None:
        """Why a script fails in an empty namespace that nobody else lives in; asked once for each kind."""
        words = script.partition("root")[2].split()
        known = (what, words[2] if what == "tc" else script)
        if known not in self._refused:
            up = f"ip link set lo up && {script}" if what == "tc" else script
            try:
                if at.beside is not None:
                    shell(["unshare", "-n", "sh", "-c", up], max(0.1, at.engine.left_s()))
                else:
                    at.with_tools(up, ("NET_ADMIN", "NET_RAW"), network_mode="none")
            except ChaosError as error:
                self._refused[known] = str(error)
            else:
                self._refused[known] = None
        return self._refused[known]

    # --- doing it ----------------------------------------------------------------------------------------------------

    def apply(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """It is done, and packets that were sent from outside tell of it."""
        way, why = self._way(act, at)
        if why is not None:
            raise Unreachable(f"{act.verb} cannot be done to {at.container.name}: {why}")
        earlier = _pinged(at, act)
        match way:
            case "rules":
                at.in_network(rules_script(act, _programs(at)))
            case "tc":
                at.in_network(tc_script(act, _interfaces(at)))
            case "queue":
                _start_queue(act, at)
                at.in_network(rules_script(act, _programs(at)))
        done = Done(f"{_in_words(way)} in the network of {at.name}")
        seen = at.in_network(f"iptables -w 2 -nvL {chain(act.verb)}" if way != "tc" else QDISCS)
        if way == "tc" and HANDLE not in seen:
            raise Unreachable(f"{done.call}: shows no effect")
        evidence = {"in place": " · ".join(" ".join(line.split()) for line in _telling(seen, way))}
        return Done(done.call, {**evidence, **_compared(earlier, _pinged(at, act))}, done.at_wall_s)

    def undo(self, act: Act, at: Reached, before: Before) -> Done:  # noqa: ARG002
        """Every packet passes as before."""
        if at.status == "exited":
            _end_queue(at.container.id)
            running(at, "cut off or slowed down")
        said = at.in_network(undo_script(act.verb)).split()
        ended = _end_queue(at.container.id)
        running(at, "cut off or slowed down")
        call = "rules and queues taken off" if said or ended else "nothing to do"
        done = Done(f"{call} {at.name}")
        answered = _pinged(at, act)
        return Done(done.call, _compared(None, answered), done.at_wall_s)

    def by_hand(self, act: Act, at: str, docker: str, before: Before) -> str:  # noqa: ARG002
        """Take off what is ours."""
        pid = f"$({docker} inspect -f '{{{{.State.Pid}}}}' {at})"
        return f"nsenter -t {pid} -n sh -c {shlex.quote(undo_script(act.verb))}; pkill -f 'packet_queue[.]py --container {at}'"


def _in_words(way: Way) -> str:
    return {"rules": "firewall rules", "tc": "a queueing discipline", "queue": "a packet queue"}[way]


def _telling(said: str, way: Way) -> list[str]:
    """The lines of a listing that are about us."""
    lines = said.splitlines()
    return [line for line in lines if HANDLE in line] if way == "tc" else lines[2:]


def _programs(at: Reached) -> tuple[str, ...]:
    """Of which protocols the container has addresses."""
    six = at.in_network("ip -6 -o addr show scope global").strip()
    return ("iptables", "ip6tables") if six else ("iptables",)


def _interfaces(at: Reached) -> list[str]:
    return [name for name in at.in_network(INTERFACES).split() if name != "lo"]


def _queues_before(at: Reached) -> str | None:
    """Why an undo could not bring the interfaces' own queues back; None when those are the kernel's."""
    for line in at.in_network(QDISCS).splitlines():
        words = line.split()
        if "root" in words and "lo" not in words and words[2] not in ("0:", HANDLE):
            return f"its interface has a queueing discipline of its own: {line.strip()}"
    return None


# --- a queue of our own -----------------------------------------------------------------------------------------------


def _start_queue(act: Act, at: Reached) -> None:
    """The program that holds packets back is ready for them."""
    beside = at.beside
    assert beside is not None, "the queue is chosen only where this is root on the engine's host"
    _end_queue(at.container.id)
    argv = [
        "nsenter", "-t", str(beside.pid), "-n", sys.executable, "-I", str(Path(packet_queue.__file__)),
        "--container", at.container.id, "--queue", str(QUEUE), "--pid", str(beside.pid), "--for", str(act.lasts_s + BEYOND_S),
    ]  # fmt: skip
    if act.verb == "network_delay":
        argv += ["--delay", str(act.number("by")), "--jitter", str(act.number("jitter"))]
    else:
        argv += ["--damaged", str(act.number("damaged"))]
    read, write = os.pipe()
    with os.fdopen(read, "rb") as said:
        try:
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=write, stderr=write, start_new_session=True)
        finally:
            os.close(write)
        words = said.readline()
    if words.strip() != b"ready":
        raise Unreachable(f"the packet queue did not start: {words.decode(errors='replace').strip()}")


def _queues(container_id: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for one in psutil.process_iter(["cmdline"]):
        argv = one.info["cmdline"] or []
        ours = any(word.endswith("packet_queue.py") for word in argv)
        if ours and "--container" in argv and container_id in argv:
            found.append(one)
    return found


def _end_queue(container_id: str) -> int:
    """No packet queue of this container runs any more; how many did."""
    found = _queues(container_id)
    for one in found:
        try:
            one.terminate()
        except psutil.NoSuchProcess:
            continue
    _, left = psutil.wait_procs(found, timeout=1.0)
    for one in left:
        one.kill()
    return len(found)


# --- what is seen from outside ----------------------------------------------------------------------------------------


def _pinged(at: Reached, act: Act) -> tuple[int, list[float]] | None:
    """How many packets were sent to it, and how long each took that came back; None when none can be sent from here."""
    addresses = at.addresses()
    if at.beside is None or not addresses:
        return None
    many = {"network_loss": 40, "network_corruption": 40, "network_partition": 5}.get(act.verb, 3)
    longest_s = 0.4 + act.number("by") + act.number("jitter") if act.verb == "network_delay" else 0.4
    back = echo.round_trips(addresses[0], many, wait_s=min(longest_s, max(0.1, at.engine.left_s() / 2)))
    return (many, back) if back is not None else None


def _compared(earlier: tuple[int, list[float]] | None, later: tuple[int, list[float]] | None) -> dict[str, str]:
    told: dict[str, str] = {}
    for when, seen in ((" before", earlier), ("", later)):
        if seen is not None:
            told[f"round trip{when}"] = echo.median_ms(seen[1])
            told[f"packets lost{when}"] = f"{seen[0] - len(seen[1])} of {seen[0]}"
    return told
