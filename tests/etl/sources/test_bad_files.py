"""What lies in folders that nobody planned for: each ends as records or as one line that names the file, and nothing hangs."""

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import SourceError
from core.storage.local import LocalStorage
from core.storage.storage import Entry
from etl.sources.files import FileSource
from etl.sources.records import Format
from tests.etl.sources.lines import plan_after, read_plan

WIDE = b",".join(b"c%d" % n for n in range(100_000))

CONTENTS: dict[str, tuple[Format, bytes, list[bytes]]] = {
    "an empty CSV file": (Format.CSV, b"", []),
    "CSV of a header alone": (Format.CSV, b"id,name\n", []),
    "CSV without a header, whose first line stands for one": (Format.CSV, b"1,a\n2,b\n", [b"2,b"]),
    "quotes across lines": (Format.CSV, b'h\n"a\n\n""b""\r\n",c\nd\n', [b'"a\n\n""b""\r\n",c', b"d"]),
    "a quote that is never closed": (Format.CSV, b'h\n1,"a\n2,b\n3,c', [b'1,"a', b"2,b", b"3,c"]),
    "a hundred thousand columns": (Format.CSV, WIDE + b"\n" + WIDE + b"\r\n", [WIDE]),
    "mixed line ends, of which a lone CR is none": (Format.CSV, b"h\r\na\nb\r\nc\rd\n\r\n\ne", [b"a", b"b", b"c\rd", b"e"]),
    "NUL bytes": (Format.CSV, b"h\n\0\n\0,\0\n", [b"\0", b"\0,\0"]),
    "Latin-1 taken for UTF-8": (Format.JSONL, b'{"a": "K\xf6ln"}\n', [b'{"a": "K\xf6ln"}']),
    "line separators of Unicode, which end no line": (
        Format.JSONL,
        "1\u20282\x852\x0b3\n".encode(),
        ["1\u20282\x852\x0b3".encode()],
    ),
    "a last line without its end": (Format.JSONL, b"1\n2", [b"1", b"2"]),
    "blanks alone": (Format.TEXT, b" \n\n", [b" ", b""]),
    "escape sequences of a terminal": (Format.LOG, b"\x1b[31mred\x1b[0m\n", [b"\x1b[31mred\x1b[0m"]),
    "a picture": (Format.LOG, b"\x89PNG\r\n\x1a\n\0\0", [b"\x89PNG", b"\x1a"]),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_bad_content_lands_as_it_is(tmp_path: Path, name: str):
    form, content, expected = CONTENTS[name]
    (tmp_path / "line\nend ünd 'quote\".x").write_bytes(content)
    source = FileSource(tmp_path, "*", form)
    assert [value for *_, value in read_plan(source, plan_after(source, None))] == expected


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a FIFO": (os.mkfifo, r"is no regular file"),
    "a socket": (make_socket, r"is no regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), r"leads out of|is no regular file"),
    "a link that leads nowhere": (lambda path: path.symlink_to("nowhere"), r"No such file"),
    "a link out of the folder": (lambda path: path.symlink_to("/etc/passwd"), r"leads out of .* by a symbolic link"),
    "a link to itself": (lambda path: path.symlink_to(path.name), r"'a\.log' is a symbolic link that leads to itself"),
    "a name that is not UTF-8": (
        lambda path: Path(os.fsdecode(os.fsencode(path) + b"\xff")).touch(),
        r"the file's name is not UTF-8",
    ),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("form", [Format.LOG, Format.JSONL, Format.PARQUET])
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path, name: str, form: Format, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # a socket's path may have some hundred bytes at most
    make, message = PLACES[name]
    make(tmp_path / "a.log")
    with pytest.raises(SourceError, match=message) as caught:
        plan_after(FileSource(tmp_path, "*", form), None)
    assert "\n" not in caught.value.message


@contextmanager
def as_nobody() -> Iterator[None]:
    """As somebody whom file modes bind, even where tests run as root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("form", [Format.LOG, Format.JSONL, Format.PARQUET])
def test_a_file_that_may_not_be_read_is_named(form: Format):
    with tempfile.TemporaryDirectory() as folder:  # a folder of pytest's own may not be entered by others
        Path(folder).chmod(0o755)
        (Path(folder) / "a.log").write_bytes(b"1\n")
        (Path(folder) / "a.log").chmod(0)
        with as_nobody(), pytest.raises(SourceError, match=r"a\.log: Permission denied") as caught:
            plan_after(FileSource(Path(folder), "*", form), None)
    assert "\n" not in caught.value.message


def test_a_file_that_grows_while_it_is_read_gives_what_was_planned(tmp_path: Path):
    source = FileSource(tmp_path, "*", Format.JSONL)
    (tmp_path / "a").write_bytes(b"1\n2\n")
    plan = plan_after(source, None)
    with (tmp_path / "a").open("ab") as end:
        end.write(b"3\n")
    assert [value for *_, value in read_plan(source, plan)] == [b"1", b"2"]
    assert [value for *_, value in read_plan(source, plan_after(source, plan.position))] == [b"3"]


class Vanishing(LocalStorage):
    """A folder whose files are deleted as soon as they are listed."""

    __slots__ = ()

    def list(self, pattern: str = "**/*") -> list[Entry]:
        found = super().list(pattern)
        for entry in found:
            (self.root / entry.path).unlink()
        return found


@pytest.mark.parametrize("form", [Format.LOG, Format.JSONL, Format.AVRO])
def test_a_file_that_is_deleted_on_the_way_is_named_or_not_missed(tmp_path: Path, form: Format):
    (tmp_path / "a.log").write_bytes(b"1\n")
    source = FileSource("place", "*", form, open_files=lambda: Vanishing(tmp_path))
    with pytest.raises(SourceError, match=r"a\.log.*No such file|place: no file matches"):
        plan_after(source, None)
    (tmp_path / "a.log").write_bytes(b"1\n")
    still = FileSource(tmp_path, "*", form)
    plan = plan_after(still, None)
    (tmp_path / "a.log").unlink()
    with pytest.raises(SourceError, match=r"a\.log went away while it was read"):
        read_plan(still, plan)
