"""What could be read in two ways is refused with 400, the connection ends, and the backend sees none of it."""

from __future__ import annotations

import pytest

from tests.proxy.loopback import Backend, Proxy, Reply, Until, eventually, talk

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

AMBIGUOUS = {
    "both lengths": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other order": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths that differ": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "one length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nhello",
    "a hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "an empty length": POST + b"Content-Length: \r\n\r\nhello",
    "a length with an underscore": POST + b"Content-Length: 1_0\r\n\r\nhellohello",
    "a length with a superscript digit": POST + b"Content-Length: \xb2\r\n\r\nhe",
    "a length beyond 64 bits": POST + b"Content-Length: 99999999999999999999\r\n\r\nhello",
    "an unknown coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding that is nearly chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked with a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded line": GET + b"X-A: b\r\n c\r\n\r\n",
    "a folded framing header": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "white space before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "white space before the first header": b"GET /x HTTP/1.1\r\n Host: a\r\n\r\n",
    "a line without a colon": GET + b"Content-Length\r\n\r\n",
    "an empty header name": GET + b": a\r\n\r\n",
    "a control character in a header name": GET + b"X\x01A: b\r\n\r\n",
    "a bare CR in a value": GET + b"X-A: b\rContent-Length: 5\r\n\r\nhello",
    "a bare LF between headers": GET + b"X-A: b\nContent-Length: 5\r\n\r\nhello",
    "bare LF line ends": b"GET /x HTTP/1.1\nHost: a\n\n",
    "a NUL in a value": GET + b"X-A: b\0c\r\n\r\n",
    "two spaces in the request line": b"GET  /x HTTP/1.1\r\n\r\n",
    "a tab in the request line": b"GET\t/x HTTP/1.1\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n\r\n",
    "an unknown version": b"GET /x HTTP/1.2\r\n\r\n",
    "a lower-case version": b"GET /x http/1.1\r\n\r\n",
    "HTTP/0.9": b"GET /x\r\n\r\n",
    "the HTTP/2 preface with a header": b"PRI * HTTP/2.0\r\nHost: a\r\n\r\nSM\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_head_is_refused_and_nothing_of_it_goes_on(name: str, backend: Backend, proxy: Proxy) -> None:
    said = talk(proxy.routes["model"], AMBIGUOUS[name] + SMUGGLED)
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in said
    # Whatever had been forwarded would have been seen before this one.
    assert talk(proxy.routes["model"], GET.replace(b"/x", b"/after") + b"Connection: close\r\n\r\n").endswith(b"ok")
    assert [request.split(b" ")[1] for request in backend.seen] == [b"/after"]
    assert not backend.stray


@pytest.mark.parametrize("name", ["both lengths", "a bare LF between headers", "a folded line"])
def test_an_ambiguous_head_is_refused_however_it_is_cut_into_reads(name: str, backend: Backend, proxy: Proxy) -> None:
    whole = AMBIGUOUS[name]
    pieces = [whole[place : place + 3] for place in range(0, len(whole), 3)]
    assert talk(proxy.routes["model"], *pieces).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert not backend.seen


@pytest.mark.parametrize(
    "chunks",
    [b"5x\r\nhello\r\n", b"-5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"\r\nhello\r\n", b"5 \r\nhello\r\n", b"5\nhello\r\n", b"5\r\nhellox\r\n",
     b"5;a\rb\r\nhello\r\n", b"11111111111111111\r\nhello\r\n", b"0\r\nX: a\n\r\n", b"5\r\nhello\n\r\n", b"3\r\nabc\r\nzz\r\n"],
)  # fmt: skip
@pytest.mark.parametrize("apart", [False, True])
def test_nothing_from_a_bad_chunk_on_reaches_the_backend(
    chunks: bytes, apart: bool, backend: Backend, proxy: Proxy
) -> None:
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    rest = chunks + b"0\r\n\r\n" + SMUGGLED
    said = talk(proxy.routes["model"], *([head, rest] if apart else [head + rest]))
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert said.count(b"HTTP/1.1 ") == 1
    talk(proxy.routes["model"], GET.replace(b"/x", b"/after") + b"Connection: close\r\n\r\n")
    assert [request.split(b" ")[1] for request in backend.seen] == [b"/after"]
    assert all(head.startswith(stray) or stray == head for stray in backend.stray)


def test_a_good_request_before_an_ambiguous_one_is_answered_first(backend: Backend, proxy: Proxy) -> None:
    said = talk(proxy.routes["model"], GET + b"\r\n" + AMBIGUOUS["both lengths"])
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.count(b"HTTP/1.1 400 Bad Request\r\n") == 1
    assert len(backend.seen) == 1


def test_a_refused_client_that_is_still_sending_reads_its_refusal(backend: Backend, proxy: Proxy) -> None:
    said = talk(proxy.routes["model"], AMBIGUOUS["both lengths"], *[b"z" * 65536] * 20)
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert not backend.seen


def test_a_head_of_more_than_64_kb_is_refused(backend: Backend, proxy: Proxy) -> None:
    said = talk(proxy.routes["model"], GET, *[b"X-%d: %s\r\n" % (n, b"z" * 1000) for n in range(80)], b"\r\n")
    assert said.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    assert not backend.seen


def test_connect_is_refused(backend: Backend, proxy: Proxy) -> None:
    assert talk(proxy.routes["model"], b"CONNECT elsewhere:443 HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    assert not backend.seen


def test_a_client_that_leaves_in_the_middle_of_its_body_takes_the_upstream_connection_along(
    backend: Backend, proxy: Proxy
) -> None:
    backend.replies["/early"] = Reply(early=b"HTTP/1.1 103 Early Hints\r\n\r\n")
    talk(
        proxy.routes["model"],
        b"POST /early HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf",
        Until(b"\r\n\r\n", hang_up=True),
    )
    eventually(lambda: backend.stray)
    assert backend.stray[0].endswith(b"half")


def test_refusals_are_counted(proxy: Proxy) -> None:
    def refused() -> float:
        lines = proxy.ask("GET", "/metrics").text.splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith("chaos_proxy_refused_messages_total")))

    before = refused()
    talk(proxy.routes["model"], AMBIGUOUS["both lengths"])
    assert refused() == before + 1
