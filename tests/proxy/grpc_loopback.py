"""HTTP/2 peers that do exactly what a test says, and a real gRPC server that answers with the bytes that it is given."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

DEADLINE_S = 10.0
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"
E_ = TypeVar("E_", bound=events.Event)


def varint(value: int) -> bytes:
    """A protobuf varint."""
    made = b""
    while value > 127:
        made, value = made + bytes([value & 127 | 128]), value >> 7
    return made + bytes([value])


def field(number: int, payload: bytes) -> bytes:
    """A protobuf field with a length."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def prediction(labels: list[int], scores: list[tuple[float, float]], more: bytes = b"") -> bytes:
    """A ModelInferResponse with raw contents; `more` is a field that nobody knows."""

    def output(name: str, datatype: str, shape: list[int]) -> bytes:
        return field(5, field(1, name.encode()) + field(2, datatype.encode()) + field(3, bytes(shape)))

    raw = struct.pack(f"<{len(labels)}q", *labels), b"".join(struct.pack("<2d", *pair) for pair in scores)
    outputs = output("predict", "INT64", [len(labels), 1]) + output("predict_proba", "FP64", [len(labels), 2])
    unknown = field(1000, more) if more else b""
    return field(1, b"model") + field(3, b"an id") + unknown + outputs + field(6, raw[0]) + field(6, raw[1])


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """A message behind its prefix, as gRPC sends it."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


class Peer:
    """One end of an HTTP/2 connection. `seen` has every event that was received, in order."""

    def __init__(self, connection: socket.socket, *, client: bool, cut: int = 0, **settings: int) -> None:
        self.socket = connection
        self.socket.settimeout(DEADLINE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seen: list[events.Event] = []
        self.over = False
        self.acknowledging = True
        self.cut = cut
        """Everything is sent in pieces of so many bytes; 0: at once."""
        self.http2 = H2Connection(
            H2Configuration(
                client_side=client, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False,
                normalize_inbound_headers=False,
            )
        )  # fmt: skip
        chosen = {SettingCodes[name.upper()]: value for name, value in settings.items()}
        self.http2.local_settings = Settings(client=client, initial_values=chosen)
        self.http2.initiate_connection()
        self.send()

    def send(self) -> None:
        """What the state machine has to say is on its way."""
        data = self.http2.data_to_send()
        for place in range(0, len(data), self.cut or len(data) or 1):
            self.socket.sendall(data[place : place + (self.cut or len(data))])

    def read(self) -> None:
        """One more read, with everything that came of it."""
        data = self.socket.recv(65536)
        if not data:
            self.over = True
            return
        for event in self.http2.receive_data(data):
            self.seen.append(event)
            if isinstance(event, events.DataReceived) and self.acknowledging and event.flow_controlled_length:
                self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)
        self.send()

    def until(self, kind: type[E_], stream: int | None = None, nth: int = 0) -> E_:
        """Reads until this kind of event has come, the nth of it; on a stream, if one is named."""
        while True:
            found = [one for one in self.seen if isinstance(one, kind) and stream in (None, getattr(one, "stream_id", None))]  # fmt: skip
            if len(found) > nth:
                return found[nth]
            assert not self.over, f"the connection ended before {kind.__name__}; seen: {self.seen}"
            self.read()

    def until_over(self) -> None:
        """Reads until the other end has hung up."""
        while not self.over:
            try:
                self.read()
            except ConnectionResetError:
                self.over = True

    def data(self, stream: int) -> bytes:
        """All data of a stream so far."""
        return b"".join(one.data or b"" for one in self.seen if isinstance(one, events.DataReceived) and one.stream_id == stream)  # fmt: skip

    def push(self, stream: int, data: bytes, *, end: bool = False) -> int:
        """Sends as much as the windows allow; how much that was."""
        sent = 0
        while data:
            room = min(self.http2.local_flow_control_window(stream), self.http2.max_outbound_frame_size, len(data))
            if room <= 0:
                break
            self.http2.send_data(stream, data[:room], end_stream=end and room == len(data))
            data, sent = data[room:], sent + room
            self.send()
        return sent


class Listener:
    """Where the proxy finds its upstream: each connection is taken by the test itself; over TLS where there is a context."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.socket.settimeout(DEADLINE_S)
        self.port: int = self.socket.getsockname()[1]

    def accept(self, **settings: int) -> Peer:
        """The next connection, as a server."""
        return Peer(self.connection(), client=False, **settings)

    def connection(self) -> socket.socket:
        """The next connection, on which nothing is said; over TLS, once that is agreed on."""
        connection, _ = self.socket.accept()
        connection.settimeout(DEADLINE_S)
        return connection if self.context is None else self.context.wrap_socket(connection, server_side=True)


@contextmanager
def client(port: int, cut: int = 0, **settings: int) -> Iterator[Peer]:
    """A connection to the proxy."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        yield Peer(connection, client=True, cut=cut, **settings)


def request_headers(*more: tuple[bytes, bytes], path: bytes = INFER.encode()) -> list[tuple[bytes, bytes]]:
    """What a gRPC client sends first."""
    return [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"model:1"), (b"te", b"trailers"),
        (b"content-type", b"application/grpc"), *more,
    ]  # fmt: skip


ANSWER_HEADERS = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"x-model", b"a"), (b"x-model", b"b")]
TRAILERS = [(b"grpc-status", b"0"), (b"x-after-bin", b"AAE="), (b"grpc-message", b"")]


class Model:
    """A real gRPC server. What it does for a path is a function of the request and the call; it records what it was asked."""

    def __init__(self, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> None:
        self.answer: Callable[[bytes, grpc.ServicerContext], bytes] = lambda request, context: request
        self.asked: list[tuple[str, dict[str, Any], bytes]] = []
        self.cancelled = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", -1)])
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        where = f"127.0.0.1:{port}"
        self.port: int = (
            self._server.add_insecure_port(where)
            if credentials is None
            else self._server.add_secure_port(where, credentials)
        )
        self._server.start()

    def forget(self) -> None:
        """As new."""
        self.asked.clear()
        self.cancelled.clear()
        self.answer = lambda request, context: request

    def stop(self, grace_s: float | None = None) -> None:
        """No new calls; those under way have so long."""
        self._server.stop(grace_s)

    def gone(self) -> None:
        """Returns once it has stopped."""
        assert self._server.stop(None).wait(DEADLINE_S)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, model: Model) -> None:
        self.model = model

    def service(self, details: Any) -> Any:
        model = self.model

        def one(request: bytes, context: grpc.ServicerContext) -> bytes:
            model.asked.append((details.method, dict(context.invocation_metadata()), request))
            return model.answer(request, context)

        def many(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            model.asked.append((details.method, dict(context.invocation_metadata()), b""))
            context.add_callback(lambda: model.cancelled.set() if not context.is_active() else None)
            for request in requests:
                yield model.answer(request, context)

        if details.method == STREAM_INFER:
            return grpc.stream_stream_rpc_method_handler(many)
        return grpc.unary_unary_rpc_method_handler(one)


def eventually(true: Callable[[], object]) -> None:
    """Returns once it holds; fails at the deadline."""
    until = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not true():
        assert time.monotonic() < until, "this did not come true in time"
        pause.wait(0.01)
