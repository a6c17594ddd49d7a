import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.sources.records import Format, split_records


def split(data: bytes, form: Format) -> list[tuple[int, bytes]]:
    records = split_records(data, form)
    return list(zip(records.starts.tolist(), records.values.to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("data", "form", "expected"),
    [
        (b"a\nb\n", Format.LOG, [(0, b"a"), (2, b"b")]),
        (b"a\nb", Format.JSONL, [(0, b"a"), (2, b"b")]),
        (b"a\r\nb\rc\r\n", Format.LOG, [(0, b"a"), (3, b"b\rc")]),
        (b"a\r", Format.JSONL, [(0, b"a")]),
        (b"\n\r\n\nx\n", Format.LOG, [(0, b""), (1, b""), (3, b""), (4, b"x")]),
        (b"\n\r\n\nx\n", Format.JSONL, [(4, b"x")]),
        (b"\n", Format.CSV, []),
        (b"\xff\x00\xfe\n", Format.LOG, [(0, b"\xff\x00\xfe")]),
        (b'1,"a\nb"\n2,c\n', Format.CSV, [(0, b'1,"a\nb"'), (8, b"2,c")]),
        (b'1,"a\r\nb"\r\n2,c\r\n', Format.CSV, [(0, b'1,"a\r\nb"'), (10, b"2,c")]),
        (b'"a""\n""b",1\nx\n', Format.CSV, [(0, b'"a""\n""b",1'), (12, b"x")]),
        (b'"a\nb","c\nd"\nx', Format.CSV, [(0, b'"a\nb","c\nd"'), (12, b"x")]),
        (b'3,5" pipe\n4,6" pipe\n', Format.CSV, [(0, b'3,5" pipe'), (10, b'4,6" pipe')]),
        (b'1,"open\n2,x\n3,y\n', Format.CSV, [(0, b'1,"open'), (8, b"2,x"), (12, b"3,y")]),
        (b'1,"a" b\n2,"c\nd"\n', Format.CSV, [(0, b'1,"a" b'), (8, b'2,"c\nd"')]),
        (b'"a\nb"', Format.JSONL, [(0, b'"a'), (3, b'b"')]),
    ],
)
def test_records_end_where_their_format_says(data: bytes, form: Format, expected: list[tuple[int, bytes]]):
    assert split(data, form) == expected


lines = st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=30)


@given(lines, st.booleans())
def test_a_log_gives_back_every_line(rows: list[bytes], ended: bool):
    data = b"\n".join(rows) + (b"\n" if ended and rows else b"")
    if not data:
        return
    expected = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    if data.endswith(b"\n"):
        expected.pop()
    found = split(data, Format.LOG)
    assert [value for _, value in found] == expected
    assert all(data[start:].startswith(value) for start, value in found)


cells = st.text(alphabet='ab",\n\r ;é', max_size=6)


@given(st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_csv_records_are_those_of_the_standard_library(rows: list[list[str]], newline: str):
    # given RFC 4180, every cell quoted or those that must be
    for quoting in (csv.QUOTE_ALL, csv.QUOTE_MINIMAL):
        if quoting == csv.QUOTE_MINIMAL:  # its writer leaves a lone CR unquoted, which RFC 4180 does not
            rows = [[cell.replace("\r", "") for cell in row] for row in rows]
        text = io.StringIO()
        csv.writer(text, lineterminator=newline, quoting=quoting).writerows(rows)
        data = text.getvalue().encode()
        # when
        found = split(data, Format.CSV)
        # then
        assert [next(csv.reader(io.StringIO(value.decode(), newline=""))) for _, value in found] == rows
        assert all(data[start:].startswith(value) for start, value in found)


@given(st.binary(max_size=200).map(lambda b: bytes(b'",\n\rax'[x % 6] for x in b)))
def test_no_byte_but_line_ends_is_lost_whatever_the_damage(data: bytes):
    if data:
        kept = b"".join(value for _, value in split(data, Format.CSV))
        assert sorted(kept.replace(b"\r", b"").replace(b"\n", b"")) == sorted(data.replace(b"\r", b"").replace(b"\n", b""))


def test_many_open_quotes_take_linear_time():
    data = b'x,"open\n' * 200_000
    assert len(split(data, Format.CSV)) == 200_000
