import gzip
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.errors import SourceDown, SourceError, StorageError
from core.storage.local import LocalStorage
from etl.downloads.client import Client, Limits
from etl.downloads.download import Download
from etl.downloads.fetch import Patience
from etl.downloads.guard import Guard
from etl.downloads.partial import Partial
from etl.downloads.urls import parse_url
from tests.web import Handler, Page, Served, Web, in_turn, raw, redirect, status

ROOT = Path(__file__).parents[3]
LONG_AGO = 1_700_000_000.0
CONTENT = bytes(range(256)) * 4000

Build = Callable[..., Download]


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def build(web: Web, tmp_path: Path, pauses: list[float]) -> Build:
    def make(
        path: str = "/f", sha256: str | None = None, body_bytes: int = 1 << 30, total_s: float = 20, **more: Any
    ) -> Download:
        limits = Limits(body_bytes=body_bytes, total_s=total_s, stall_s=2)
        client = Client(Guard.of(["127.0.0.1"]), limits, **more)
        storage = partial(LocalStorage, tmp_path / "raw")
        patience = Patience(tries=3, sleep=pauses.append)
        return Download(parse_url(web.url + path), client, storage, "csv", tmp_path / "spool", sha256, patience)

    return make


def versions(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((home / "raw").glob("*.csv"))}


def header(web: Web, name: str) -> list[str | None]:
    return [headers.get(name) for _, headers in web.asked]


def named(number: int, content: bytes) -> str:
    return f"{number:06d}-{hashlib.sha256(content).hexdigest()[:16]}.csv"


def test_a_file_is_kept_with_what_is_known_of_it(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = Served(CONTENT, etag='"a"', modified=LONG_AGO)
    version = build().refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT}
    assert version.sha256 == hashlib.sha256(CONTENT).hexdigest()
    document = json.loads((tmp_path / "raw" / f"{version.path}.json").read_text())
    assert document["facts"] == {
        "url": f"{web.url}/f", "etag": '"a"', "modified": "Tue, 14 Nov 2023 22:13:20 GMT", "resumable": '"a"',
        "length": len(CONTENT), "coding": "",
    }  # fmt: skip
    assert (tmp_path / "spool" / "part").read_bytes() == b""


@pytest.mark.parametrize(("etag", "modified"), [('"a"', None), ('W/"a"', None), (None, LONG_AGO), ('"a"', LONG_AGO)])
def test_a_file_that_is_as_it_was_is_not_sent_again(
    web: Web, build: Build, tmp_path: Path, etag: str | None, modified: float | None
):
    web.pages["/f"] = Served(CONTENT, etag, modified)
    first = build().refresh()
    assert build().refresh() == first
    assert header(web, "if-none-match") == [None, etag] and len(versions(tmp_path)) == 1
    assert (web.asked[1][1].get("if-modified-since") is not None) == (modified is not None)


def test_each_change_is_a_version(web: Web, build: Build, tmp_path: Path):
    for number, content in enumerate([b"a", b"b", b"a"]):
        web.pages["/f"] = Served(content, f'"{number}"')
        build().refresh()
    assert versions(tmp_path) == {named(1, b"a"): b"a", named(2, b"b"): b"b", named(3, b"a"): b"a"}


def test_the_same_bytes_under_another_tag_are_no_version(web: Web, build: Build, tmp_path: Path):
    for tag in ('"1"', '"2"', '"2"'):
        web.pages["/f"] = Served(b"a", tag)
        build().refresh()
    assert list(versions(tmp_path)) == [named(1, b"a")]
    assert header(web, "if-none-match") == [None, '"1"', '"2"']


def test_a_server_without_validators_is_asked_for_all(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = Served(b"a", None)
    assert build().refresh() == build().refresh()
    assert len(versions(tmp_path)) == 1 and header(web, "if-none-match") == [None, None]


def test_another_url_is_not_asked_about_the_old_ones_tag(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = web.pages["/g"] = Served(b"a", '"1"')
    build().refresh()
    build("/g").refresh()
    assert header(web, "if-none-match") == [None, None] and len(versions(tmp_path)) == 1


def test_a_version_without_its_facts_is_asked_for_once_more(web: Web, build: Build, tmp_path: Path):
    # given a process that ended between the file and its facts, and one that ended while they were written
    web.pages["/f"] = Served(b"a", '"1"')
    path = build().refresh().path
    for damage in (Path.unlink, lambda file: file.write_bytes(b'{"sha')):
        damage(tmp_path / "raw" / f"{path}.json")
        # when
        build().refresh()
        # then
        assert list(versions(tmp_path)) == [path]
        assert json.loads((tmp_path / "raw" / f"{path}.json").read_text())["facts"]["etag"] == '"1"'


@pytest.mark.parametrize(("etag", "modified"), [('"a"', None), (None, LONG_AGO)])
def test_a_connection_that_is_cut_goes_on_where_it_was(
    web: Web, build: Build, tmp_path: Path, pauses: list[float], etag: str | None, modified: float | None
):
    web.pages["/f"] = Served(CONTENT, etag, modified, cuts=[300_000, 500_000])
    build().refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT}
    assert header(web, "range") == [None, "bytes=300000-", "bytes=800000-"] and len(pauses) == 2
    assert header(web, "if-range")[1:] == [etag or format_datetime(datetime.fromtimestamp(LONG_AGO, UTC), usegmt=True)] * 2


def test_tries_that_bring_bytes_are_not_counted(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = Served(CONTENT, cuts=[100_000] * 9)
    build().refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT}


def test_the_next_run_goes_on_where_the_last_one_broke_off(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = Served(CONTENT, cuts=[400_000, 0, 0])
    with pytest.raises(SourceDown, match=r"connection fails.*\(tried 3 times\)"):
        build().refresh()
    assert versions(tmp_path) == {}
    web.asked.clear()
    build().refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT}
    assert header(web, "range") == ["bytes=400000-"]


CHILD = """
import sys
from functools import partial
from pathlib import Path
from core.storage.local import LocalStorage
from etl.downloads.client import Client
from etl.downloads.download import Download
from etl.downloads.guard import Guard
from etl.downloads.urls import parse_url
url, home = sys.argv[1], Path(sys.argv[2])
client = Client(Guard.of(["127.0.0.1"]))
Download(parse_url(url), client, partial(LocalStorage, home / "raw"), "csv", home / "spool").refresh()
"""


def test_a_process_that_is_killed_loses_nothing_that_came(web: Web, build: Build, tmp_path: Path):
    # given a server that stops in the middle, and a process that waits for the rest
    whole = Served(CONTENT)
    head = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n' % len(CONTENT)
    killed = threading.Event()

    def stops(handler: Handler) -> None:
        handler.wfile.write(head + CONTENT[:400_000])
        killed.wait(30)

    web.pages["/f"] = in_turn(stops, whole)
    child = subprocess.Popen([sys.executable, "-c", CHILD, f"{web.url}/f", str(tmp_path)], cwd=ROOT)
    part = tmp_path / "spool" / "part"
    while not part.is_file() or part.stat().st_size < 400_000:
        assert child.poll() is None
        time.sleep(0.01)
    # when
    child.kill()
    child.wait()
    killed.set()
    # then
    assert versions(tmp_path) == {}
    build().refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT}
    assert header(web, "range") == [None, "bytes=400000-"]


@pytest.mark.parametrize("after", ["another machine start", "no note"])
def test_a_part_that_is_not_sure_is_fetched_anew(web: Web, build: Build, tmp_path: Path, after: str):
    web.pages["/f"] = Served(CONTENT, cuts=[400_000, 0, 0])
    with pytest.raises(SourceDown):
        build().refresh()
    note = tmp_path / "spool" / "part.json"
    if after == "no note":
        note.unlink()
    else:
        note.write_text(json.dumps({**json.loads(note.read_text()), "boot": "before"}))
    web.asked.clear()
    build().refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT} and header(web, "range") == [None]


def test_a_file_that_changed_meanwhile_starts_anew(web: Web, build: Build, tmp_path: Path):
    other = CONTENT[::-1]
    web.pages["/f"] = in_turn(Served(CONTENT, '"1"', cuts=[300_000]), Served(other, '"2"', cuts=[200_000]), Served(other, '"2"'))
    build().refresh()
    assert versions(tmp_path) == {named(1, other): other}
    assert header(web, "range") == [None, "bytes=300000-", "bytes=200000-"]


def test_without_a_strong_validator_nothing_is_gone_on_with(web: Web, build: Build, tmp_path: Path):
    for etag, modified in (('W/"1"', None), (None, None), (None, time.time() - 5)):
        web.pages["/f"] = Served(CONTENT, etag, modified, cuts=[300_000])
        build().refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT}
    assert set(header(web, "range")) == {None}


def rest(content_range: bytes, body: bytes, *headers: bytes) -> Page:
    lines = [b"HTTP/1.1 206 OK", b"Content-Range: bytes " + content_range, b"Content-Length: %d" % len(body), *headers]
    return raw(b"\r\n".join(lines) + b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "page",
    [
        rest(b"0-4/1024000", b"abcde"),
        rest(b"5-1023999/1024000", b"abcde", b'ETag: "2"'),
        rest(b"5-9/10", b"abcde"),
        raw(b"HTTP/1.1 206 OK\r\nContent-Type: multipart/byteranges\r\nContent-Length: 5\r\n\r\nabcde"),
        status(416),
    ],
    ids=["other-range", "other-tag", "other-length", "multipart", "shorter"],
)
def test_a_rest_that_is_another_is_not_taken(web: Web, build: Build, tmp_path: Path, page: Page):
    web.pages["/f"] = in_turn(Served(CONTENT, cuts=[5]), page, Served(CONTENT))
    build().refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT}
    assert header(web, "range") == [None, "bytes=5-", None]


@pytest.mark.parametrize("same", [True, False])
def test_a_whole_part_is_taken_when_the_file_is_still_the_same(web: Web, build: Build, tmp_path: Path, same: bool):
    # given a file that came whole, and storage that did not take it
    web.pages["/f"] = Served(CONTENT, '"1"')
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / named(1, CONTENT)).mkdir()  # a folder where the file belongs
    with pytest.raises(StorageError, match="000001"):
        build().refresh()
    (tmp_path / "raw" / named(1, CONTENT)).rmdir()
    # when
    content = CONTENT if same else b"another"
    web.pages["/f"] = Served(content, '"1"' if same else '"2"')
    build().refresh()
    # then
    assert versions(tmp_path) == {named(1, content): content}
    assert header(web, "if-none-match") == [None, '"1"']


def test_a_part_of_a_file_that_went_back_to_the_kept_version_is_let_go_of(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = Served(b"a", '"1"')
    build().refresh()
    web.pages["/f"] = Served(CONTENT, None, cuts=[5] * 3)
    with pytest.raises(SourceDown):
        build().refresh()
    web.pages["/f"] = Served(b"a", '"1"')
    build().refresh()
    assert list(versions(tmp_path)) == [named(1, b"a")] and (tmp_path / "spool" / "part").read_bytes() == b""
    assert header(web, "if-none-match")[-1] == '"1"'


@pytest.mark.parametrize("known", [True, False])
def test_a_checksum_is_held(web: Web, build: Build, tmp_path: Path, known: bool):
    web.pages["/f"] = Served(CONTENT) if known else raw(b"HTTP/1.1 200 OK\r\n\r\n" + CONTENT)
    with pytest.raises(SourceError, match=f"its SHA-256 is {hashlib.sha256(CONTENT).hexdigest()}, not {'0' * 64}"):
        build(sha256="0" * 64).refresh()
    assert versions(tmp_path) == {} and (tmp_path / "spool" / "part").read_bytes() == b""
    for _ in range(2):
        build(sha256=hashlib.sha256(CONTENT).hexdigest()).refresh()
    assert versions(tmp_path) == {named(1, CONTENT): CONTENT}
    assert len(web.asked) == 2  # what must be is there: nothing is asked


def test_without_length_and_checksum_a_file_is_refused(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = raw(b"HTTP/1.1 200 OK\r\n\r\nhalf of")
    with pytest.raises(SourceError, match="a cut could not be told: set the source's key 'sha256'"):
        build().refresh()
    assert versions(tmp_path) == {}


def test_a_rest_may_come_in_pieces(web: Web, build: Build, tmp_path: Path):
    content = b"0123456789"
    chunked = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n012\r\n'
    pieces = [rest(b"3-5/10", b"345"), rest(b"6-9/10", b"67"), rest(b"8-9/*", b"89")]  # of the second one a part is missing
    web.pages["/f"] = in_turn(raw(chunked), *pieces)
    build().refresh()
    assert versions(tmp_path) == {named(1, content): content}
    assert header(web, "range") == [None, "bytes=3-", "bytes=6-", "bytes=8-"]


def test_a_rest_without_an_end_that_can_be_told_is_not_taken(web: Web, build: Build, tmp_path: Path):
    chunked = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n012\r\n'
    web.pages["/f"] = in_turn(raw(chunked), rest(b"3-5/*", b"345"), Served(b"0123456789"))
    build().refresh()
    assert list(versions(tmp_path).values()) == [b"0123456789"]


LONG = b"x" * 100_001
CHUNKED = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n'


@pytest.mark.parametrize(
    "page",
    [
        status(200, LONG),
        raw(CHUNKED + b"%x\r\n" % len(LONG) + LONG + b"\r\n0\r\n\r\n"),
        status(200, gzip.compress(LONG), Content_Encoding="gzip"),
        status(200, gzip.compress(b"x" * (64 << 20)), Content_Encoding="gzip"),
        in_turn(
            raw(CHUNKED + b"3\r\nabc\r\n"),
            raw(b"HTTP/1.1 206 OK\r\nContent-Range: bytes 3-100000/100001\r\nContent-Length: 99998\r\n\r\n"),
        ),
    ],
    ids=["length", "chunks", "gzip", "bomb", "rest"],
)
def test_a_file_that_is_too_long_is_refused(web: Web, build: Build, tmp_path: Path, page: Any):
    web.pages["/f"] = page
    with pytest.raises(SourceError, match=r"/f: is longer than 100,000 bytes: raise the source's key 'max_bytes'"):
        build(body_bytes=100_000).refresh()
    assert versions(tmp_path) == {} and (tmp_path / "spool" / "part").read_bytes() == b""


def test_a_content_coding_is_undone(web: Web, build: Build, tmp_path: Path):
    coded = gzip.compress(b"first\n") + gzip.compress(b"second\n")
    web.pages["/f"] = Served(coded, coding="gzip", cuts=[20])
    build(sha256=hashlib.sha256(b"first\nsecond\n").hexdigest()).refresh()
    assert list(versions(tmp_path).values()) == [b"first\nsecond\n"]
    assert header(web, "range") == [None, "bytes=20-"]


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("br", b"x", "content coding 'br', and none was asked for"),
        ("gzip, gzip", b"x", "content coding 'gzip, gzip'"),
        ("gzip", b"no gzip", "'gzip' is damaged"),
        ("gzip", gzip.compress(b"first")[:-4], "'gzip' is damaged"),
    ],
)
def test_a_content_coding_that_cannot_be_undone_is_one_line(
    web: Web, build: Build, tmp_path: Path, coding: str, body: bytes, message: str
):
    web.pages["/f"] = status(200, body, Content_Encoding=coding)
    with pytest.raises(SourceError, match=message) as caught:
        build().refresh()
    assert "\n" not in caught.value.message and versions(tmp_path) == {}


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(web: Web, build: Build, tmp_path: Path, pauses: list[float], code: int):
    web.pages["/f"] = in_turn(status(code), status(code), Served(b"a"))
    build().refresh()
    assert list(versions(tmp_path)) == [named(1, b"a")]
    assert 0 <= pauses[0] <= 0.5 and 0 <= pauses[1] <= 1.0


def test_a_pause_is_as_long_as_the_server_asks(web: Web, build: Build, pauses: list[float]):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    web.pages["/f"] = in_turn(status(429, Retry_After="7"), status(503, Retry_After=soon), Served(b"a"))
    build(total_s=300).refresh()
    assert 7 <= pauses[0] <= 7.5 and 30 <= pauses[1] <= 101


@pytest.mark.parametrize(("asked", "message"), [("3600", "asks for a pause of 3600 s"), ("30", "'timeout_s' is over")])
def test_a_pause_that_is_too_long_is_not_made(web: Web, build: Build, pauses: list[float], asked: str, message: str):
    web.pages["/f"] = status(429, Retry_After=asked)
    with pytest.raises(SourceError, match=rf"HTTP status 429.*{message}") as caught:
        build().refresh()
    assert pauses == [] and not isinstance(caught.value, SourceDown) and len(web.asked) == 1


def test_a_server_that_stays_busy_is_given_up(web: Web, build: Build, pauses: list[float]):
    web.pages["/f"] = status(503)
    with pytest.raises(SourceError, match=r"busy or failing \(HTTP status 503\).*\(tried 3 times\)"):
        build().refresh()
    assert len(web.asked) == 3 and len(pauses) == 2


@pytest.mark.parametrize(
    ("code", "message"),
    [(404, "no such file"), (410, "no such file"), (401, "the server refuses"), (403, "refuses"), (304, "304"), (300, "300"),
     (204, "204"), (206, "206"), (416, "416"), (501, "501")],
)  # fmt: skip
def test_a_refusal_is_final_and_one_line(web: Web, build: Build, tmp_path: Path, code: int, message: str):
    web.pages["/f?token=hidden"] = status(code)
    with pytest.raises(SourceError, match=message) as caught:
        build("/f?token=hidden").refresh()
    assert len(web.asked) == 1 and "\n" not in caught.value.message and "hidden" not in caught.value.message
    assert versions(tmp_path) == {}


def test_a_redirect_is_followed_with_conditions(web: Web, build: Build):
    web.pages.update({"/f": redirect("/g"), "/g": Served(b"a", '"1"')})
    build().refresh()
    build().refresh()
    assert header(web, "if-none-match") == [None, None, '"1"', '"1"']


def test_a_secret_is_sent_and_shown_nowhere(web: Web, build: Build, tmp_path: Path):
    web.pages["/f?token=hidden"] = Served(b"a")
    download = build("/f?token=hidden", secrets={"X-Key": "hidden"})
    download.refresh()
    assert header(web, "x-key") == ["hidden"] and "hidden" not in repr(download)
    assert not any(b"hidden" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_an_empty_file_is_a_version(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = Served(b"")
    build().refresh()
    assert versions(tmp_path) == {named(1, b""): b""}


def test_the_same_file_is_downloaded_by_one_process_at_a_time(web: Web, build: Build, tmp_path: Path):
    web.pages["/f"] = Served(b"a")
    with Partial.open(tmp_path / "spool", "x"), pytest.raises(SourceError, match="another process downloads it now"):
        build().refresh()
    build().refresh()
