"""HTTP as an attacker writes it, byte by byte: the connection gets a 4xx or is closed, and the next client is served."""

import json
import socket
import time

import pytest

from .conftest import RECORD

BODY = json.dumps({"inputs": [RECORD]}).encode()
POST = b"POST /models/flights/invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def length(count):
    return b"Content-Length: %d\r\n" % count


def talk(server, *parts, wait=5.0):
    """All that the server answers to the parts, until it closes or is silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        found = b""
        try:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                found += data
        except OSError:  # a reset, or silence
            pass
        return found


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def body(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


REFUSED = {
    "both Content-Length and Transfer-Encoding": POST + length(5) + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Content-Length twice": POST + length(5) + length(6) + b"\r\nhello!",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length of many digits": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "a length that is no number": POST + b"Content-Length: 0x10\r\n\r\n",
    "a folded header": POST + b"X-Long: a\r\n b\r\n" + length(0) + b"\r\n",
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "a header without a name": POST + b": value\r\n\r\n",
    "NUL in a header": POST + b"X-A: a\0b\r\n\r\n",
    "a bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "an unknown transfer encoding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "an unknown method": b"FROB /ping HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space in the path": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
    "HTTP/9.9": b"GET /ping HTTP/9.9\r\nHost: x\r\n\r\n",
    "a path of a megabyte": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header of a megabyte": b"GET /ping HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * (1 << 20) + b"\r\n\r\n",
    "a header of a megabyte without an end": b"GET /ping HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * (1 << 20),
    "a thousand headers": b"GET /ping HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 1000 + b"\r\n",
    "a flood of chunks of one byte": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_000,
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_what_is_not_a_request_gets_400_in_json_and_the_connection_ends(server, client, sent):
    answer = talk(server, sent)
    # a client that is still sending when the connection ends may lose the answer to a reset, never more than that
    if answer or len(sent) < 65_536:
        assert status(answer) == 400
        assert body(answer)["error_code"] == "BAD_REQUEST"
    assert client.get("/ping").status_code == 200


@pytest.mark.parametrize("sent", [b"GET /ping\r\n\r\n", b"GET /ping HTTP/1.0\r\n\r\n", b"GET /ping HTTP/1.1\r\n\r\n"])
def test_an_old_or_hostless_request_does_no_harm(server, client, sent):
    assert status(talk(server, sent)) in (200, 400, None)
    assert client.get("/ping").status_code == 200


def test_the_absolute_form_is_its_path(server):
    assert status(talk(server, b"GET http://evil.example/ping HTTP/1.1\r\nHost: x\r\n\r\n")) == 200


def test_a_thousand_pipelined_requests_get_a_thousand_answers_in_order(server):
    sent = b"".join(b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Request-Id: n%d\r\n\r\n" % n for n in range(1000))
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent)
        answer = b""
        while answer.count(b"x-request-id:") < 1000:
            answer += connection.recv(65536)
    ids = [line.split(b": ")[1] for line in answer.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids == [b"n%d" % n for n in range(1000)]


SENT = {
    "records": (200, b"", BODY),
    "not JSON": (400, b"", b"{"),
    "a wrong type": (400, b"", BODY.replace(b"1400.0", b'"1400.0"')),
    "too many rows": (413, b"", b'{"inputs": [' + b"[]," * 1000 + b"[]]}"),
    "compressed": (415, b"Content-Encoding: gzip\r\n", BODY),
    "the client's own id": (200, b"X-Request-Id: mine\r\n", BODY),
}


@pytest.mark.parametrize(("code", "header", "content"), SENT.values(), ids=SENT)
def test_a_request_in_one_piece_and_one_in_two_get_the_same_answer(server, code, header, content):
    head = POST + header + length(len(content)) + b"\r\n"

    def ask(*parts):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)
            lines, _, rest = connection.recv(65536).partition(b"\r\n\r\n")
        ids = [line for line in lines.split(b"\r\n") if line.startswith(b"x-request-id") and not header.startswith(b"X-Req")]
        return sorted(set(lines.split(b"\r\n")) - set(ids)), rest

    whole, halves, late = ask(head + content), ask(head + content[:1], content[1:]), ask(head, content)
    assert whole == halves == late
    v2 = head.replace(b"/models/flights/invocations", b"/v2/models/flights/infer")
    assert ask(v2 + content) == ask(v2 + content[:1], content[1:])
    assert status(next(line for line in whole[0] if line.startswith(b"HTTP"))) == code


def test_pipelined_requests_of_both_kinds_are_answered_in_order(server):
    def numbered(number):
        mark = b"X-Request-Id: n%d\r\n" % number
        if number % 3 == 0:
            return b"GET /health HTTP/1.1\r\nHost: x\r\n" + mark + b"\r\n"
        if number % 3 == 1:
            return POST + mark + length(len(BODY)) + b"\r\n" + BODY
        return POST.replace(b"flights", b"flights:1") + mark + length(len(BODY)) + b"\r\n" + BODY

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"".join(map(numbered, range(300))))
        answer = b""
        while answer.count(b"x-request-id:") < 300:
            answer += connection.recv(65536)
    ids = [line.split(b": ")[1] for line in answer.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids == [b"n%d" % n for n in range(300)]
    versions = [line[-1:] for line in answer.split(b"\r\n") if line.startswith(b"x-model-version")]
    assert versions == [b"2", b"1"] * 100


@pytest.mark.parametrize("header", [b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n"])
def test_a_request_that_ends_or_changes_its_connection_is_answered_too(server, header):
    assert status(talk(server, POST + header + length(len(BODY)) + b"\r\n" + BODY)) in (200, 400)


def test_expect_100_continue_is_answered_before_the_body(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(POST + length(len(BODY)) + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 100")
        connection.sendall(BODY)
        assert status(connection.recv(4096)) == 200


def test_a_body_too_large_is_refused_before_it_is_sent(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(POST + length(10**12) + b"Expect: 100-continue\r\n\r\n")
        assert status(connection.recv(4096)) == 413


def test_a_client_that_goes_away_within_its_body_does_no_harm(server, client):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(POST + length(len(BODY)) + b"\r\n" + BODY[:20])
    assert client.get("/ping").status_code == 200


def test_a_slow_client_holds_up_nobody(server, client):
    # given a request whose headers come byte by byte, and one whose body does
    with (
        socket.create_connection(("127.0.0.1", server.port)) as headers,
        socket.create_connection(("127.0.0.1", server.port)) as slow,
    ):
        slow.sendall(POST + length(len(BODY)) + b"\r\n")
        for at in range(20):
            headers.sendall(POST[at : at + 1])
            slow.sendall(BODY[at : at + 1])
            assert client.get("/ping").status_code == 200
        # then the slow one gets its answer in the end
        slow.sendall(BODY[20:])
        assert status(slow.recv(4096)) == 200


def test_after_all_this_the_log_holds_no_trace(server):
    time.sleep(0.1)
    assert "Traceback" not in server.log.read_text()
