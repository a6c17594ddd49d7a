import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors import SourceDown, SourceError
from etl.downloads.client import Answer, Client, Limits
from etl.downloads.guard import Guard
from etl.downloads.urls import parse_url
from tests.web import Handler, Web, raw, redirect, serve, status

HERE = Guard.of(["127.0.0.1"])


def got(client: Client, url: str, headers: dict[str, str] | None = None) -> tuple[Answer, bytes]:
    with client.get(parse_url(url), headers or {}) as answer:
        return answer, b"".join(answer.pieces())


def names(table: dict[str, list[str]]) -> Callable[[str, int], Sequence[str]]:
    """A resolver whose answers go on in turn; the last one stays."""

    def resolve(host: str, port: int) -> list[str]:
        asked = table[host]
        return [asked.pop(0) if len(asked) > 1 else asked[0]]

    return resolve


def test_an_answer_is_read_from_the_address_under_the_name(web: Web):
    web.pages["/a?x=1"] = status(200, b"content", X_Y="z")
    guard = Guard.of(["127.0.0.1"], names({"files.example": ["127.0.0.1"]}))
    answer, body = got(Client(guard), f"http://files.example:{web.port}/a?x=1")
    assert (answer.status, answer.length, answer.framed, answer.headers["x-y"], body) == (200, 7, True, "z", b"content")
    ((path, headers),) = web.asked
    assert path == "/a?x=1" and headers["host"] == f"files.example:{web.port}"
    assert headers["accept-encoding"] == "identity" and not {"cookie", "authorization"} & set(headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"])
def test_nothing_of_this_machine_is_asked_unless_it_is_named(web: Web, host: str):
    with pytest.raises(SourceError, match="only when the source's key 'allow' names"):
        got(Client(), f"http://{host}:{web.port}/")
    assert web.asked == []


def test_a_name_whose_address_changes_after_the_check_is_connected_to_as_it_was_checked(web: Web):
    web.pages["/"] = status(200, b"inside")
    asked: list[str] = []

    def rebind(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) == 1 else ["127.0.0.1"]

    client = Client(Guard.of(["192.0.2.1"], rebind), Limits(stall_s=0.05))  # nothing answers there
    with pytest.raises(SourceDown):
        got(client, f"http://files.example:{web.port}/")
    assert asked == ["files.example"] and web.asked == []


def test_a_name_whose_address_changes_between_two_hops_is_refused(web: Web):
    web.pages["/"] = redirect("/next")
    guard = Guard.of(["127.0.0.1"], names({"files.example": ["127.0.0.1", "127.0.0.2"]}))
    with pytest.raises(SourceError, match=r"127\.0\.0\.2, the address of 'files.example', is loopback"):
        got(Client(guard), f"http://files.example:{web.port}/")
    assert [path for path, _ in web.asked] == ["/"]


def test_the_next_address_is_tried_when_one_does_not_answer(web: Web):
    web.pages["/"] = status(200, b"x")
    guard = Guard.of(["127.0.0.0/8"], lambda host, port: ["127.0.0.2", "127.0.0.1"])
    assert got(Client(guard), f"http://files.example:{web.port}/")[1] == b"x"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(web: Web, code: int):
    web.pages.update({"/": redirect("a/b", code), "/a/b": redirect(f"{web.url}/c#part", code), "/c": status(200, b"x")})
    answer, body = got(Client(HERE), f"{web.url}/")
    assert body == b"x" and str(answer.target) == f"{web.url}/c"


def test_redirects_end(web: Web):
    web.pages["/"] = redirect("/")
    with pytest.raises(SourceError, match="more than 3 redirects"):
        got(Client(HERE, Limits(redirects=3)), f"{web.url}/")
    assert len(web.asked) == 4


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("file:///etc/passwd", "scheme 'file'"),
        ("gopher://127.0.0.1:6379/_x", "scheme 'gopher'"),
        ("http://169.254.169.254/latest/meta-data/", r"169\.254\.169\.254 is link-local"),
        ("//10.0.0.1/", r"10\.0\.0\.1 is private"),
        ("http://[::1]/", "::1 is loopback"),
        ("http://[::ffff:127.0.0.1]/", "mapped into IPv6"),
        ("http://2130706433/", "odd spelling"),
        ("http://ann:pw@127.0.0.1/", "no user"),
        ("/a b", "character"),
    ],
)
def test_a_redirect_to_what_is_not_fetched_is_refused(web: Web, location: str, message: str):
    web.pages["/"] = redirect(location)
    with pytest.raises(SourceError, match=message):
        got(Client(HERE), f"{web.url}/")
    assert len(web.asked) == 1


def test_a_redirect_to_nowhere_is_one_line(web: Web):
    web.pages["/"] = status(302)
    with pytest.raises(SourceError, match="to nowhere"):
        got(Client(HERE), f"{web.url}/")


def test_a_secret_is_seen_by_its_own_origin_only(web: Web):
    with serve() as other:
        web.pages.update({"/": redirect("/same"), "/same": redirect(f"{other.url}/"), "/back": status(200, b"x")})
        other.pages["/"] = redirect(f"{web.url}/back")
        got(Client(HERE, secrets={"Authorization": "Bearer hidden"}), f"{web.url}/")
        assert [headers.get("authorization") for _, headers in web.asked] == ["Bearer hidden", "Bearer hidden", None]
        assert "authorization" not in other.asked[0][1]


def test_a_secret_goes_by_https_or_to_what_is_named():
    client = Client(Guard(resolve=lambda host, port: ["1.1.1.1"]), secrets={"Authorization": "Bearer hidden"})
    with pytest.raises(SourceError, match="sent by https only") as caught:
        got(client, "http://files.example/")
    assert "hidden" not in caught.value.message + repr(client)


def test_proxies_of_the_environment_are_not_asked(web: Web, monkeypatch: pytest.MonkeyPatch):
    with serve() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        web.pages["/"] = status(200, b"x")
        assert got(Client(HERE), f"{web.url}/")[1] == b"x"
        assert proxy.asked == []


ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def drip(head: bytes, piece: bytes) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.wfile.write(head)
        try:
            while True:
                handler.wfile.write(piece)
                time.sleep(0.01)
        except OSError:
            return

    return answer


@pytest.mark.parametrize(
    "page",
    [
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        drip(ENDLESS, b"1\r\nx\r\n"),
        drip(ENDLESS + b"0\r\n", b"a: b\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    ],
    ids=["body", "chunks", "trailers", "head", "continues", "without-end"],
)
def test_a_server_that_is_slow_for_ever_is_left_in_time(web: Web, page: Any):
    web.pages["/"] = page
    with pytest.raises(SourceError, match="took longer than it may") as caught:
        got(Client(HERE, Limits(total_s=0.2)), f"{web.url}/")
    assert not isinstance(caught.value, SourceDown)


def test_a_server_that_says_nothing_is_down(web: Web):
    web.pages["/"] = drip(b"", b"")
    with pytest.raises(SourceDown, match="does not answer"):
        got(Client(HERE, Limits(stall_s=0.1)), f"{web.url}/")


@pytest.mark.parametrize(("limits", "kind"), [(Limits(total_s=0.2), SourceError), (Limits(stall_s=0.1), SourceDown)])
def test_a_handshake_without_an_answer_ends(limits: Limits, kind: type[SourceError]):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError) as caught:
        got(Client(HERE, limits), f"https://127.0.0.1:{silent.getsockname()[1]}/")
    assert type(caught.value) is kind


def test_nobody_there_is_down():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SourceDown, match=r"connection fails.*see that the server runs") as caught:
        got(Client(HERE), f"http://127.0.0.1:{port}/?token=hidden")
    assert "\n" not in caught.value.message and "hidden" not in caught.value.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(70)) + b"\r\n", "longer than 65536"),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(200)) + b"\r\n", "connection fails.*100 headers"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n", "connection fails"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", "connection fails"),
        (b"SSH-2.0-OpenSSH_9\r\n", "connection fails"),
        (b"", "connection fails"),
    ],
    ids=["long-head", "many-headers", "long-header", "two-lengths", "no-http", "nothing"],
)
def test_an_answer_that_is_no_answer_is_one_line(web: Web, answer: bytes, message: str):
    web.pages["/"] = raw(answer)
    with pytest.raises(SourceError, match=message) as caught:
        got(Client(HERE), f"{web.url}/")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ],
    ids=["length", "between-chunks", "in-a-chunk"],
)
def test_a_body_that_is_cut_is_told(web: Web, answer: bytes):
    web.pages["/"] = raw(answer)
    with pytest.raises(SourceDown, match="connection fails"):
        got(Client(HERE), f"{web.url}/")


def test_a_length_that_is_too_small_ends_the_body(web: Web):
    web.pages["/"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n")
    assert got(Client(HERE), f"{web.url}/")[1] == b"abc"


@contextmanager
def trusted(folder: Path, name: x509.GeneralName) -> Iterator[tuple[Web, ssl.SSLContext]]:
    """A server with a certificate for ``name``, and a context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )  # fmt: skip
    (folder / "both.pem").write_bytes(private + certificate)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(folder / "both.pem")
    with serve(own) as web:
        yield web, ssl.create_default_context(cadata=certificate.decode())


def test_the_certificate_must_be_of_the_name_that_was_asked_for(tmp_path: Path):
    guard = Guard.of(["127.0.0.1"], lambda host, port: ["127.0.0.1"])
    with trusted(tmp_path, x509.DNSName("files.example")) as (web, tls):
        web.pages.update({"/": status(200, b"x"), "/down": redirect("http://files.example/")})
        client = Client(guard, tls=tls, secrets={"Authorization": "Bearer hidden"})
        assert got(client, f"https://files.example:{web.port}/")[1] == b"x"
        assert web.asked[0][1]["authorization"] == "Bearer hidden"
        for host in ("other.example", "127.0.0.1"):
            with pytest.raises(SourceError, match="certificate does not hold") as caught:
                got(client, f"https://{host}:{web.port}/")
            assert not isinstance(caught.value, SourceDown)
        with pytest.raises(SourceError, match="certificate does not hold"):
            got(Client(guard), f"https://files.example:{web.port}/")
        with pytest.raises(SourceError, match="from https to http"):
            got(client, f"https://files.example:{web.port}/down")


def test_an_address_has_a_certificate_of_its_own(tmp_path: Path):
    with trusted(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))) as (web, tls):
        web.pages["/"] = status(200, b"x")
        assert got(Client(HERE, tls=tls), f"https://127.0.0.1:{web.port}/")[1] == b"x"
