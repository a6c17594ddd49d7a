"""Texts in other encodings than UTF-8."""

import csv
import io
from pathlib import Path

import pytest

from core.errors import SourceError
from etl.sources.files import FileSource
from etl.sources.logs.multiline import Starts
from etl.sources.records import Format
from etl.sources.text.encodings import check_encoding, resolve, to_utf8
from tests.etl.sources.lines import Found, plan_after, read_plan

LINES = ["Grüße, \u201caus\u201d Köln", "", 'é "ü" ਊ\u0a22\u2c0a', "日本\u0d0a", "plain"]
"""With characters whose bytes are those of line ends, quotes and commas in UTF-16."""


def found(source: FileSource) -> Found:
    return read_plan(source, plan_after(source, None))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_growing_log_in_any_encoding_lands_in_utf8(tmp_path: Path, encoding: str, end: str):
    data = "".join(line + end for line in LINES).encode(encoding)
    source, position = FileSource(tmp_path, "*", Format.LOG, encoding=check_encoding(encoding)), None
    rows: Found = []
    for size in (1, 9, 10, 33, len(data)):  # when it comes in pieces that end anywhere
        (tmp_path / "a.log").write_bytes(data[:size])
        plan = plan_after(source, position)
        rows += read_plan(source, plan)
        position = plan.position
    assert [value.decode() for *_, value in rows] == LINES
    plain = encoding.removesuffix("-sig") + ("-le" if encoding in {"utf-16", "utf-32"} else "")
    assert all(data[offset:].startswith(value.decode().encode(plain)) for _, offset, _, value in rows)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-32-be", "shift_jis", "cp037", "koi8-r"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv_in_any_encoding_is_split_as_its_text_is(tmp_path: Path, encoding: str, packed: bool):
    rows = [["id", "näme"], ["1", 'a "quoted"\nline, ü'], ["2", ""], ["3", "ß"]]
    if encoding in {"shift_jis", "koi8-r"}:
        rows = [[cell.translate(str.maketrans("äüß", "ЖЯё")) for cell in row] for row in rows]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    data = text.getvalue().encode(encoding)
    (tmp_path / "a.csv").write_bytes(data)
    if packed:
        import gzip

        (tmp_path / "a.csv").unlink()
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(data))
    records = found(FileSource(tmp_path, "*", Format.CSV, encoding=check_encoding(encoding)))
    assert {header.decode() for _, _, header, _ in records if header} == {",".join(rows[0])}
    assert [next(csv.reader(io.StringIO(value.decode(), newline=""))) for *_, value in records] == rows[1:]


@pytest.mark.parametrize(
    ("raw", "encoding", "landed"),
    [
        (b"caf\xe9", "latin-1", "café".encode()),
        (b"caf\xe9", "ascii", b"caf\xe9"),
        (b"\x81x", "cp1252", b"\x81x"),
        (b"\xc3\x81", "cp1252", b"\xc3\x81\xff"),  # which would be read as UTF-8
        (b"a\0\0\xd8", "utf-16-le", b"a\0\0\xd8"),
        (b"a\0\0\xd8b\0", "utf-16-le", b"a\0\0\xd8b\0"),
        (b"a", "utf-16-le", b"a\xff"),
    ],
)
def test_bytes_that_are_not_of_the_encoding_are_never_guessed_over(raw: bytes, encoding: str, landed: bytes):
    assert to_utf8(raw, encoding) == landed
    if landed != "café".encode():
        with pytest.raises(UnicodeDecodeError):
            landed.decode()


def test_latin_1_that_is_declared_utf8_stays_as_it_is(tmp_path: Path):
    (tmp_path / "a.log").write_bytes("Köln\nBonn\n".encode("latin-1"))
    assert [value for *_, value in found(FileSource(tmp_path, "*", Format.LOG))] == [b"K\xf6ln", b"Bonn"]


GERMAN = "Die Prüfung der Flüge über Köln und Düsseldorf läuft; größere Verspätungen gibt es heute nicht. "


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"a\n", "utf-8"),
        (GERMAN.encode(), "utf-8"),
        ((GERMAN * 1000).encode()[:65_537], "utf-8"),  # a character is cut where the look ends
        (b"\xef\xbb\xbfx", "utf-8"),
        ("x".encode("utf-16"), "utf-16-le"),
        ("\ufeffx".encode("utf-16-be"), "utf-16-be"),
        ("x".encode("utf-32"), "utf-32-le"),
        (bytes(range(256)) * 20, "utf-8"),
    ],
)
def test_the_encoding_of_a_file_is_told_by_its_beginning(data: bytes, expected: str | None):
    assert resolve("auto", io.BytesIO(data)) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-be", "cp037"])
def test_empty_lines_of_wide_texts_are_lines_wherever_a_run_ends(tmp_path: Path, encoding: str):
    data = "a\n\n\r\nb\n".encode(encoding)
    source, position, rows = FileSource(tmp_path, "*", Format.LOG, encoding=encoding), None, list[bytes]()
    for size in range(1, len(data) + 1):
        (tmp_path / "a.log").write_bytes(data[:size])
        plan = plan_after(source, position)
        rows += [value for *_, value in read_plan(source, plan)]
        position = plan.position
    assert rows == [b"a", b"", b"", b"b"]


def test_a_detected_encoding_is_decided_once_for_a_file(tmp_path: Path):
    file, source = tmp_path / "a.log", FileSource(tmp_path, "*", Format.LOG, encoding="auto")
    file.write_bytes((GERMAN + "\n").encode("latin-1") * 20)
    plan = plan_after(source, None)
    assert {value.decode() for *_, value in read_plan(source, plan)} == {GERMAN}
    with file.open("ab") as end:
        end.write("Zürich\n".encode("latin-1"))
    file.rename(tmp_path / "a.log.1")
    again = plan_after(source, plan.position)
    assert [value.decode() for *_, value in read_plan(source, again)] == ["Zürich"]


@pytest.mark.parametrize("form", [Format.JSON, Format.XML])
def test_documents_may_have_an_encoding_too(tmp_path: Path, form: Format):
    text = '[{"a": "ü"}]' if form is Format.JSON else "<a><r>ü</r></a>"
    (tmp_path / "a").write_bytes(text.encode("utf-16"))
    (tmp_path / "b").write_bytes(text.encode("utf-16") + b"\x00")
    if form is Format.XML:
        (tmp_path / "b").unlink()
    rows = found(FileSource(tmp_path, "*", form, encoding="utf-16", record="r"))
    assert rows[0][-1].decode() == ('{"a": "ü"}' if form is Format.JSON else "<r>ü</r>")
    assert [value for *_, value in rows[1:]] == ([text.encode("utf-16") + b"\x00"] if form is Format.JSON else [])


def test_records_of_several_lines_need_lines_of_plain_bytes(tmp_path: Path):
    (tmp_path / "a.log").write_bytes("é1\n é\né2\n".encode("latin-1"))
    source = FileSource(tmp_path, "*", Format.LOG, encoding="latin-1", starts=Starts("é"))
    assert [value.decode() for *_, value in found(source)] == ["é1\n é"]
    wide = FileSource(tmp_path, "*", Format.LOG, encoding="utf-16", starts=Starts("é"))
    with pytest.raises(SourceError, match=r"a\.log: is utf-16-le, in which records of several lines are not found"):
        plan_after(wide, None)


@pytest.mark.parametrize("name", ["latin-1", "UTF8", "cp1252", "utf-16", "gb18030", "shift_jis", "cp037", "auto", "utf-8-sig"])
def test_encodings_of_lines_are_taken(name: str):
    assert check_encoding(check_encoding(name)) == check_encoding(name)


@pytest.mark.parametrize(
    "name", ["nonsense", "base64", "utf-7", "iso2022_jp", "hz", "punycode", "idna", "unicode_escape", "undefined"]
)
def test_encodings_in_which_lines_cannot_be_told_apart_are_refused(name: str):
    with pytest.raises(ValueError, match=repr(name)):
        check_encoding(name)


def test_csv_without_header_and_with_another_separator(tmp_path: Path):
    (tmp_path / "a.csv").write_bytes(b'1;"a;\nb";x,y\n2;c";d\n')
    source = FileSource(tmp_path, "*", Format.CSV, separator=";", columns=("id", "a;b", "c"))
    assert found(source) == [
        ("a.csv", 0, b'id;"a;b";c', b'1;"a;\nb";x,y'),
        ("a.csv", 13, b'id;"a;b";c', b'2;c";d'),
    ]
