"""One call on its way through the proxy: which arm, which faults, what its answer becomes. No sockets.

A call is an exchange whose head is HTTP/2's and whose answer ends with trailers. Subject, group, request id and attempt are its
metadata. A slice over the request's JSON body holds no gRPC call.

Source: gRPC over HTTP/2 (PROTOCOL-HTTP2); google.rpc.Code for what a status is in HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from chaos.faults.base import Answer, Redirect
from chaos.protocols import oip_grpc
from chaos.protocols.base import Protocol, Undecodable
from chaos.proxy import wire
from chaos.proxy.armed import Armed, ArmedFault
from chaos.proxy.exchange import Exchange
from chaos.proxy.grpc.frames import LARGEST_FRAME
from chaos.proxy.grpc.link import Headers
from chaos.proxy.hurting import taken_for

if TYPE_CHECKING:
    from chaos.proxy.route import Route

_PREFIX = 5
"""Of a message: a byte that says whether it is compressed, and four with its length."""
_HTTP = {0: 200, 1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500,
         14: 503, 15: 500, 16: 401}  # fmt: skip
"""What a gRPC status is in HTTP: counters speak HTTP."""
LARGEST_COPY = 8 * 1024 * 1024
"""Bytes of an answer whose copy can be hurt, in shadow mode."""
_INFERENCE = "/inference.GRPCInferenceService/"


def texts(headers: Headers) -> dict[str, str]:
    """Lower-case names and their values; of a repeated one the last, as for HTTP/1.1."""
    return {bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in headers}


def _lines(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


class Call(Exchange):
    """The state of one call."""

    took: Callable[[int], None]
    """Hears that so many bytes of the request have gone on, or were dropped: the client may send as many more."""
    gave: Callable[[int], None]
    """The same of the answer, for the upstream; there once the upstream was asked."""

    def __init__(self, stream: int, headers: Headers, runs: tuple[Armed, ...], begun_s: float) -> None:
        told = texts(headers)
        plain = {name: value for name, value in told.items() if not name.startswith(":")}
        plain.setdefault("host", told.get(":authority", ""))
        method, path = told.get(":method", ""), told.get(":path", "")
        super().__init__(wire.Head(b"", method, path, 0, plain, None, False, True), runs, begun_s)
        self.stream_id = stream
        self.upstream_id: int | None = None
        self.request_ended = False
        self.answer_ended = False
        self.is_grpc = plain.get("content-type", "").startswith("application/grpc")
        self.kept_headers: list[tuple[bytes, bytes]] | None = None
        self._extra: list[tuple[bytes, bytes]] = []

    def ask_otherwise(self, route: Route, largest: int) -> None:
        """A call's messages go on as they come: what a fault would have changed in one is counted as undecodable."""
        del largest
        if self.asks_otherwise() and self._predicts():
            self._not_asked(route)

    # --- answers of the proxy's own -----------------------------------------------------------------------------------

    def _own(self, action: Answer, route: Route) -> bytes:
        """The body; what else the fault says is kept for `own_answer`."""
        del route
        self._extra = _lines(action.headers)
        return action.body

    def own_answer(self, status: int, told: str, body: bytes = b"", **more: str) -> tuple[Headers, bytes]:
        """Headers and body of an answer instead of the model's: in gRPC headers alone, whose status says what went wrong."""
        lines = [*self._extra, *_lines({name.replace("_", "-"): value for name, value in more.items()})]
        if not self.is_grpc:
            length = (b"content-length", b"%d" % len(body))
            return [(b":status", b"%d" % status), length, *lines], body
        _, trailers = oip_grpc.PROTOCOL.error(status, told)
        said = [(name.encode(), value.encode()) for name, value in trailers.items()]
        lines = [line for line in lines if line[0] not in (b"content-type", b"content-length")]
        return [(b":status", b"200"), (b"content-type", b"application/grpc"), *said, *lines], b""

    # --- the model's answer -------------------------------------------------------------------------------------------

    def _protocol(self, route: Route, answer_body: bytes | None = None) -> Protocol | None:
        """What reads the answer: what the arming names, where that knows gRPC calls, else the Open Inference Protocol."""
        del answer_body
        named = self.armed.protocol if self.armed is not None else None
        candidates = [oip_grpc.PROTOCOL] if named is None else [named, oip_grpc.PROTOCOL]
        found = next((one for one in candidates if one.detect(self.head.target, self.head.headers)), None)
        if found is not None and named is None:
            taken_for(route.name, found.name)
        return found

    def _predicts(self) -> bool:
        """Whether the call asks for a prediction, as far as its name tells; questions about health and models do not."""
        path = self.head.target
        if path.startswith(_INFERENCE):
            return path.endswith("Infer")
        return self.head.method == "POST" and not path.startswith("/grpc.")

    def answer_begins(self, headers: Headers, route: Route) -> None:
        """The answer's headers are there: `editing` says whether the rest must be kept for a fault."""
        told = texts(headers)
        status = told.get(":status", "")
        head = self.answer_head = wire.Head(
            b"", "", "", int(status) if status.isdecimal() else 0, told, None, False, True
        )  # fmt: skip
        armed = self.armed if self.group == "treatment" else None
        if armed is not None and (armed.body_faults or armed.delivery_faults):
            self._not_on_http2(armed)
        hurt = armed is not None and any(one.edits_answers for one in armed.answer_faults)
        hurt = hurt and status == "200" and self._predicts()
        if hurt and self._protocol(route) is None:
            self._undecodable()
            hurt = False
        self.editing = hurt and not self._shadows()
        if self.editing:
            self.kept, self.kept_headers = [], list(headers)
        if hurt or route.observer is not None:
            self._look_later(route.observer, head, shadow=hurt and not self.editing, largest=LARGEST_COPY)

    def _not_on_http2(self, armed: Armed) -> None:
        """What makes other bodies, or decides how they are delivered, is not done to calls: each that was selected is counted."""
        for fault in armed.faults:
            if (fault.fault.edits_bodies or fault.fault.delivers) and self._call(fault).selected():
                fault.counts.undecodable += 1

    def _go_elsewhere(self, fault: ArmedFault, action: Redirect) -> None:
        """A call belongs to a connection that others share: it cannot be asked of somebody else alone."""
        raise Undecodable(f"{fault.name}: a call is not redirected to {action.address}")

    def keep(self, data: bytes) -> None:
        """More of an answer that is kept for a fault; small pieces are kept as one."""
        if self.kept and len(self.kept[-1]) + len(data) <= LARGEST_FRAME:
            self.kept[-1] += data
        else:
            self.kept.append(data)
        self.kept_size += len(data)

    def edited_answer(self, route: Route, status: str) -> tuple[Headers, bytes]:
        """Headers and data as the client gets them, edited or as they came; `status` is the call's own, from its trailers."""
        assert self.kept_headers is not None
        headers, data = self.kept_headers, b"".join(self.kept)
        self.kept, self.kept_headers, self.editing = [], None, False
        if status != "0" and not data:
            return headers, data  # an error: nothing to be hurt
        changed = self._hurt(data, route)
        made = self._after = data if changed is None else changed[0]
        if len(made) == len(data):
            return headers, made
        size = b"%d" % len(made)
        return [(name, size if name == b"content-length" else value) for name, value in headers], made

    def _message(self, payload: bytes) -> bytes | None:
        """The one message of the answer, out of its frame; None when it is compressed, or not one."""
        whole = len(payload) >= _PREFIX and len(payload) == _PREFIX + int.from_bytes(payload[1:_PREFIX], "big")
        return payload[_PREFIX:] if whole and not payload[0] else None

    def _hurt(self, payload: bytes, route: Route) -> tuple[bytes, wire.Head] | None:
        """The one message with its rows edited, in its frame; None when it stays as it is."""
        if self.armed is None or self.answer_head is None:
            return None
        try:
            protocol, message = self._protocol(route), self._message(payload)
            if protocol is None or message is None:
                raise Undecodable("not one message, or a compressed one")
            headers, output = self.answer_head.headers, self.armed.output
            rows = protocol.rows(message, headers, output)
            after = self._edit(rows, route)
            if after is rows:
                return None
            body, _ = protocol.encode(message, headers, output, rows, after)
            framed = b"\0" + len(body).to_bytes(4, "big") + body
        except Exception:  # Undecodable, and whatever a protocol or a fault of others raises: traffic goes on
            self._undecodable()
            return None
        self._note(rows, after, message, body, route)
        return framed, self.answer_head

    def done(self, route: Route, grpc_status: str | None) -> None:
        """The call is answered, and on its way to the client: what is only looked at is looked at now."""
        if self.answer_head is None:
            self.answer_head = wire.Head(b"", "", "", 200, {}, None, False, True)
            self._look_later(route.observer, self.answer_head, shadow=False, largest=0)
        if self.is_grpc and grpc_status != "0":
            self.answer_head = replace(self.answer_head, status=self.http_status(grpc_status))
            self._casts = False
        if self.looking:
            self.look(route)

    def http_status(self, grpc_status: str | None) -> int:
        """The status that counters know; that of HTTP where the answer has none of gRPC."""
        if grpc_status is not None and grpc_status.isdecimal():
            return _HTTP.get(int(grpc_status), 500)
        if self.is_grpc:
            return 500  # a call without a status has failed
        return self.answer_head.status if self.answer_head is not None else 502
