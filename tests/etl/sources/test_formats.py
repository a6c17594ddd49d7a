"""Files that are read whole: JSON documents, XML, Parquet, Avro."""

import datetime as dt
import io
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SourceError
from etl.sources.files import FileSource
from etl.sources.formats.document import read_document
from etl.sources.formats.markup import read_elements
from etl.sources.records import Format
from tests.etl.sources.lines import plan_after, read_plan


def documents(data: bytes) -> list[tuple[int, bytes]]:
    return list(read_document(io.BytesIO(data), len(data), "a.json", "utf-8"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b" [ ] \n", []),
        (b'[{"a": [1, {"b": "]}"}]},\r\n 2 ]', [(1, b'{"a": [1, {"b": "]}"}]}'), (28, b"2")]),
        (b'\xef\xbb\xbf{"\xc3\xa9": 1}', [(3, b'{"\xc3\xa9": 1}')]),
        (b'{"a": 1}\n{"a": 2}', [(0, b'{"a": 1}'), (9, b'{"a": 2}')]),
        (b'["\xff", "\xc3\xa9", 1e999]', [(1, b'"\xff"'), (6, b'"\xc3\xa9"'), (12, b"1e999")]),
        # from where it is damaged, the rest is one record
        (b'[{"a": 1}, {"a": 2}, {"a"', [(1, b'{"a": 1}'), (11, b'{"a": 2}'), (21, b'{"a"')]),
        (b"[1 2]", [(1, b"1"), (3, b"2]")]),
        (b"[1] trailing", [(1, b"1"), (4, b"trailing")]),
        (b"[[" * 100_000, [(1, b"[" + b"[[" * 99_999)]),
    ],
)
def test_each_element_of_a_json_array_is_a_record(data: bytes, expected: list[tuple[int, bytes]]):
    assert documents(data) == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(values, max_size=6), st.sampled_from([None, 1]), st.booleans())
def test_json_elements_come_back_as_they_are_and_where_they_are(rows: list[Any], indent: int | None, ascii_only: bool):
    data = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = documents(data)
    assert [json.loads(value) for _, value in found] == rows
    assert all(data[start:].startswith(value) for start, value in found)


XML = """<?xml version="1.0"?>
<a xmlns:x="u"><r/><x:r k="/>é">t<r>in</r>&lt;</x:r ><other><r></r></other><!-- <r/> --><r>/></r><r><b/></r>\n<r k='>'/></a>"""
ELEMENTS = ["<r/>", '<x:r k="/>é">t<r>in</r>&lt;</x:r >', "<r></r>", "<r>/></r>", "<r><b/></r>", "<r k='>'/>"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("block", [1, 7, 1000])
def test_each_element_of_a_name_is_a_record(encoding: str, block: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("etl.sources.formats.markup._BLOCK", block)
    data = XML.replace('"1.0"', f'"1.0" encoding="{encoding}"').encode(encoding)
    found = list(read_elements(io.BytesIO(data), "a.xml", "r"))
    assert [value.decode() for _, value in found] == ELEMENTS
    inner = encoding.replace("utf-16", "utf-16-le")
    assert all(data[start:].startswith(value.decode().encode(inner)) for start, value in found)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<a><r>1</r>", r"a\.xml: is no well-formed XML: no element found"),
        (b"<a><r>1</a>", "mismatched tag"),
        (b"text", "syntax error"),
        (b'<?xml version="1.0" encoding="none"?><a/>', "unknown encoding"),
        (b"<a><r>\xff</r></a>", "invalid token"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a><r>&b;</r></a>', "has a document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a><r/></a>', "has a document type"),
    ],
)
def test_xml_that_is_damaged_or_dangerous_is_refused(tmp_path: Path, data: bytes, message: str):
    (tmp_path / "a.xml").write_bytes(data)
    source = FileSource(tmp_path, "*", Format.XML, record="r")
    with pytest.raises(SourceError, match=message) as caught:
        read_plan(source, plan_after(source, None))
    assert "\n" not in caught.value.message


WHEN = dt.datetime(2013, 1, 2, 3, 4, 5, 600_000, tzinfo=dt.UTC)
TABLE = pa.table(
    {
        "id": pa.array([1, None], pa.int64()),
        "name": ["é\n", None],
        "part": pa.array([0.1, float("nan")], pa.float32()),
        "price": pa.array([Decimal("0.00000010"), None], pa.decimal128(20, 8)),
        "raw": pa.array([b"\x00\xff", None], pa.binary()),
        "day": pa.array([WHEN.date(), None], pa.date32()),
        "at": pa.array([WHEN, None], pa.timestamp("us", "Europe/Berlin")),
        "nano": pa.array([1_500_000_001, None], pa.timestamp("ns")),
        "ok": [True, None],
        "tags": [["a", None], []],
        "place": [{"x": 1, "raw": b"\x01"}, None],
        "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
    }
)
ROW = {
    "id": "1",
    "name": "é\n",
    "part": "0.1",
    "price": "0.00000010",
    "raw": "00FF",
    "day": "2013-01-02",
    "at": "2013-01-02 03:04:05.6Z",
    "nano": "1970-01-01 00:00:01.500000001",
    "ok": "true",
    "tags": ["a", None],
    "place": {"x": "1", "raw": "01"},
    "map": {"k": "1"},
}


def test_each_row_of_parquet_is_an_object_of_texts(tmp_path: Path):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    source = FileSource(tmp_path, "*", Format.PARQUET)
    plan = plan_after(source, None)
    found = [(offset, json.loads(value)) for _, offset, _, value in read_plan(source, plan)]
    assert found[0] == (0, ROW)
    assert found[1] == (1, {**dict.fromkeys(ROW), "part": "nan", "tags": []})
    assert plan_after(source, plan.position).ranges == ()


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_row_groups_are_read_apart_and_each_row_once(tmp_path: Path, name: str):
    table = pa.table({"n": range(10_000)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3000)
    if name.endswith(".gz"):
        data = pa.compress((tmp_path / "a.parquet").read_bytes(), codec="gzip", asbytes=True)
        (tmp_path / name).write_bytes(data)
        (tmp_path / "a.parquet").unlink()
    source = FileSource(tmp_path, "*", Format.PARQUET)
    plan = plan_after(source, None)
    assert len(plan.ranges) == (4 if name == "a.parquet" else 1)
    found = read_plan(source, plan)
    assert [(offset, json.loads(value)) for _, offset, _, value in found] == [(n, {"n": str(n)}) for n in range(10_000)]


def test_each_record_of_avro_is_an_object_of_texts(tmp_path: Path):
    schema = fastavro.parse_schema(
        {
            "type": "record",
            "name": "r",
            "fields": [
                {"name": "id", "type": ["null", "long"]},
                {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
                {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
                {"name": "raw", "type": "bytes"},
                {"name": "kind", "type": {"type": "enum", "name": "e", "symbols": ["A"]}},
                {"name": "many", "type": {"type": "map", "values": "double"}},
            ],
        }
    )
    row = {"id": 1, "at": WHEN, "price": Decimal("1.50"), "raw": b"\xff", "kind": "A", "many": {"k": 0.5}}
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [row, {**row, "id": None}], codec="deflate")
    source = FileSource(tmp_path, "*", Format.AVRO)
    found = [(offset, json.loads(value)) for _, offset, _, value in read_plan(source, plan_after(source, None))]
    texts = {"id": "1", "at": "2013-01-02 03:04:05.600000Z", "price": "1.50", "raw": "FF", "kind": "A", "many": {"k": "0.5"}}
    assert found == [(0, texts), (1, {**texts, "id": None})]


@pytest.mark.parametrize("form", [Format.PARQUET, Format.AVRO])
def test_damaged_files_of_rows_are_named(tmp_path: Path, form: Format):
    source, place = FileSource(tmp_path, "*", form), tmp_path / f"a.{form}"
    if form is Format.PARQUET:
        pq.write_table(pa.table({"n": range(1000), "t": ["x" * 20] * 1000}), place, compression="gzip")
    else:
        schema = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}
        with place.open("wb") as file:
            fastavro.writer(file, schema, ({"n": n} for n in range(999)))
    whole, chance = place.read_bytes(), random.Random(3)
    for damage in (b"x", whole[:-9], whole[9:]):
        assert f"a.{form}: is no sound" in failure(source, place, damage)
    for _ in range(40):  # whatever happens is one line; what no checksum guards may still be read
        assert failure(source, place, damaged(whole, chance)).count("\n") == 0


def failure(source: FileSource, place: Path, data: bytes) -> str:
    """What reading says of such a file; empty where it is read."""
    place.write_bytes(data)
    try:
        read_plan(source, plan_after(source, None))
    except SourceError as error:
        return error.message
    return ""


def damaged(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
