"""What a NameNode and DataNodes may do to a caller, played by a small server."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from core.errors import ConfigError, CorruptFile, DiskFull, StorageDown, StorageError
from core.settings import HdfsSettings
from core.storage.hdfs import HdfsStorage
from core.storage.webhdfs import WebHdfs

CONTENT = bytes(range(256)) * 8192  # 2 MiB


class Fake:
    """A NameNode and a living DataNode at one address; a dead DataNode comes first as long as it is not excluded."""

    def __init__(self) -> None:
        self.dead = f"127.0.0.1:{_free_port()}"
        self.failures: list[dict[str, str]] = []
        self.break_at = 0
        self.written: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def storage(self, patience_s: float = 20.0) -> HdfsStorage:
        return HdfsStorage(WebHdfs.of(HdfsSettings(web=(f"http://{self.address}",)), patience_s), "/root")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                fake.answer(self)

            do_PUT = do_DELETE = do_GET  # noqa: N815 — the server looks for these names

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlsplit(request.path)
        options = {key: values[0] for key, values in parse_qs(url.query).items()}
        operation, body = options.get("op", "JMX"), request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.calls.append(operation)
        if operation != "JMX" and self.failures:
            self.send(request, 403, {"RemoteException": self.failures.pop(0)})
        elif operation == "JMX":
            nodes = {"dead": {"infoAddr": self.dead, "xferaddr": "127.0.0.1:1"}}
            self.send(request, 200, {"beans": [{"LiveNodes": json.dumps(nodes)}]})
        elif "noredirect" in options:
            node = self.address if options.get("excludedatanodes") == "127.0.0.1:1" else self.dead
            self.send(request, 200, {"Location": f"http://{node}{request.path.replace('noredirect=true', 'x=1')}"})
        elif operation == "OPEN":
            self.stream(request, CONTENT[int(options["offset"]) :])
        elif operation == "CREATE":
            self.written[url.path.rsplit("/", 1)[1]] = body
            self.send(request, 201, {})
        elif operation == "GETFILESTATUS":
            size = len(self.written.get(url.path.rsplit("/", 1)[1], CONTENT))
            self.send(request, 200, {"FileStatus": {"type": "FILE", "length": size, "blockSize": 1 << 27}})
        elif operation == "GETFILECHECKSUM":
            answer = {"algorithm": "MD5-of-0MD5-of-512CRC32C", "bytes": "0" * 56}
            self.send(request, 200, {"FileChecksum": answer})
        else:
            self.send(request, 200, {"boolean": True})

    def stream(self, request: BaseHTTPRequestHandler, data: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if self.break_at:
            data, self.break_at = data[: self.break_at], 0
        request.wfile.write(data)

    @staticmethod
    def send(request: BaseHTTPRequestHandler, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def fake() -> Iterator[Fake]:
    running = Fake()
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_a_dead_datanode_is_excluded_and_another_gives_the_file(fake: Fake):
    storage = fake.storage()
    with storage.open_read("file") as file:
        assert file.read() == CONTENT
    assert storage.web.dead == {"127.0.0.1:1"}


def test_a_datanode_that_breaks_off_is_read_on_from_there(fake: Fake):
    fake.break_at = 1_500_000
    with fake.storage().open_read("file") as file:
        assert file.read() == CONTENT


def test_a_write_is_sent_again_whole_and_held_against_the_checksum(fake: Fake):
    with pytest.raises(CorruptFile, match="does not hold the bytes that were sent"):
        fake.storage().write_atomic("file", iter([b"one", b"two"]))
    assert list(fake.written.values()) == [b"onetwo"]
    assert fake.calls[-1] == "DELETE"
    assert "RENAME" not in fake.calls


def test_a_namenode_in_safe_mode_is_waited_for(fake: Fake):
    safe = {"exception": "SafeModeException", "message": "Cannot create: Name node is in safe mode.\nmore"}
    fake.failures = [safe, safe]
    fake.storage().rename("a", "b")
    fake.failures = [safe] * 99
    with pytest.raises(StorageDown, match="safe mode") as caught:
        fake.storage(patience_s=0.3).rename("a", "b")
    assert "\n" not in caught.value.message
    assert caught.value.retryable


REFUSALS = [
    ("FileNotFoundException", "File does not exist: /root/file", StorageError, "no such file"),
    ("AccessControlException", "Permission denied: user=x", StorageError, "Permission denied"),
    ("DSQuotaExceededException", "The DiskSpace quota is exceeded", DiskFull, "no room"),
    (
        "IOException",
        "File f could only be written to 0 of the 1 nodes. There are 0 datanode(s) running",
        StorageDown,
        "no DataNode",
    ),
    ("IOException", "File f could only be written to 0 of the 1 nodes. There are 2 datanode(s) running", DiskFull, "no room"),
]


@pytest.mark.parametrize(("kind", "message", "error", "line"), REFUSALS)
def test_what_hdfs_refuses_is_one_line(fake: Fake, kind: str, message: str, error: type[StorageError], line: str):
    fake.failures = [{"exception": kind, "message": message + "\nat java"}] * 9
    with pytest.raises(error, match=line) as caught:
        fake.storage(patience_s=0).open_read("file")
    assert type(caught.value) is error
    assert "\n" not in caught.value.message


CALLS: list[Callable[[HdfsStorage], object]] = [
    lambda storage: storage.open_read("file"),
    lambda storage: storage.write_atomic("file", b"x"),
    lambda storage: storage.list(),
]


@pytest.mark.parametrize("call", CALLS)
def test_no_namenode_is_one_line(call: Callable[[HdfsStorage], object]):
    web = (f"http://127.0.0.1:{_free_port()}", f"http://127.0.0.1:{_free_port()}")
    with pytest.raises(StorageDown, match=r"no NameNode of HDFS answers: start it, or correct hdfs\.web"):
        call(HdfsStorage(WebHdfs.of(HdfsSettings(web=web), patience_s=0), "/root"))


def test_a_second_namenode_is_asked_when_the_first_is_down(fake: Fake):
    settings = HdfsSettings(web=(f"http://127.0.0.1:{_free_port()}", f"http://{fake.address}"))
    with HdfsStorage(WebHdfs.of(settings, patience_s=0), "/root").open_read("file") as file:
        assert file.read(3) == CONTENT[:3]


def test_no_datanode_at_all_is_one_line(fake: Fake):
    fake.address = f"127.0.0.1:{_free_port()}"
    storage = HdfsStorage(WebHdfs.of(HdfsSettings(web=(f"http://127.0.0.1:{fake.server.server_port}",)), patience_s=0.2), "/root")
    with storage.open_read("file") as file, pytest.raises(StorageDown, match="start the DataNodes"):
        file.read()


def test_settings_without_an_address_or_the_kerberos_extra_name_what_to_do():
    with pytest.raises(ConfigError, match=r"hdfs\.web names no NameNode"):
        WebHdfs.of(HdfsSettings())
    with pytest.raises(ConfigError, match=r"hdfs\[kerberos\]"):
        WebHdfs.of(HdfsSettings(web=("http://127.0.0.1:1",), kerberos=True))
