"""Compressed files: read whole and once, within bounds."""

import gzip
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import SourceError
from etl.sources.files import FileSource
from etl.sources.logs.plan import LogOptions
from etl.sources.packing import TornFile, unpack
from etl.sources.records import Format
from tests.etl.sources.lines import plan_after, read_plan

CSV = b'\xef\xbb\xbfid,name\r\n1,"a\nb"\r\n2,c'


def zipped(files: dict[str, bytes]) -> bytes:
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return place.getvalue()


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def test_compressed_files_are_read_whole_and_once(tmp_path: Path):
    source = FileSource(tmp_path, "*", Format.CSV)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV[:20]) + gzip.compress(CSV[20:]))  # in two members, as RFC 1952 allows
    (tmp_path / "b.csv.zst").write_bytes(zstd(CSV))
    (tmp_path / "c.zip").write_bytes(zipped({"one.csv": CSV, "in/two.csv": b"id,name\n3,d\n", "in/": b"", "none.csv": b""}))
    (tmp_path / "d.csv.gz").write_bytes(b"")
    plan = plan_after(source, None)
    rows = [(12, b"id,name", b'1,"a\nb"'), (21, b"id,name", b"2,c")]
    assert read_plan(source, plan) == [
        *(("a.csv.gz", *row) for row in rows),
        *(("b.csv.zst", *row) for row in rows),
        *(("c.zip!one.csv", *row) for row in rows),
        ("c.zip!in/two.csv", 8, b"id,name", b"3,d"),
    ]
    assert plan_after(source, plan.position).ranges == ()
    (tmp_path / "b.csv.zst").write_bytes(zstd(CSV) + zstd(b"\r\n3,d"))
    with pytest.raises(SourceError, match=r"b\.csv\.zst: has \d+ bytes but was read up to byte \d+: .*a name of its own"):
        plan_after(source, plan.position)


def test_a_large_compressed_file_is_cut_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("etl.sources.text.cuts.RANGE", 1000)
    lines = [b'{"n": %d}' % n for n in range(2000)]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    source = FileSource(tmp_path, "*", Format.JSONL)
    found = read_plan(source, plan_after(source, None))
    assert [value for *_, value in found] == lines
    assert len({offset for _, offset, _, _ in found}) == 2000


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.gz", gzip.compress(CSV)[:-9], r"a\.gz: ends before its content does"),
        ("a.zst", zstd(CSV)[:-9], r"a\.zst: ends before its content does"),
        ("a.gz", CSV, r"a\.gz: is no gzip file, though its name says so"),
        ("a.gz", gzip.compress(CSV)[:-8] + b"12345678", r"a\.gz: is no sound gzip file: CRC"),
        ("a.zip", zipped({"a": CSV})[:-9], r"a\.zip: is no sound zip file"),
        ("a.zip", zipped({"a.csv.gz": b""}), r"a\.zip: holds 'a\.csv\.gz', which is compressed once more"),
        ("a.zst", zstd(bytes(65 << 20)), r"a\.zst: holds more than 67108864 bytes"),
    ],
)
@pytest.mark.parametrize("form", [Format.CSV, Format.LOG])
def test_a_damaged_file_is_named_and_nothing_of_it_is_taken(tmp_path: Path, name: str, data: bytes, message: str, form: Format):
    (tmp_path / name).write_bytes(data)
    source = FileSource(tmp_path, "*", form, logs=LogOptions())
    with pytest.raises(SourceError, match=message) as caught:
        read_plan(source, plan_after(source, None))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("cut", range(1, 30))
def test_no_cut_of_a_compressed_file_passes_for_whole(cut: int):
    for name, data in (("a.gz", gzip.compress(CSV)), ("a.zst", zstd(CSV)), ("a.zip", zipped({"a": CSV}))):
        with pytest.raises(SourceError), unpack(io.BytesIO(data[:-cut]), name, name):
            pass


def test_a_rotated_log_that_is_compressed_is_known_again_and_its_rest_is_read(tmp_path: Path):
    log, source = tmp_path / "app.log", FileSource(tmp_path, "app.log*", Format.LOG)
    log.write_bytes(b"one\ntwo\nthr")
    plan = plan_after(source, None)
    # when its last line was never ended
    log.unlink()
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(b"one\ntwo\nthr"))
    log.write_bytes(b"four\n")
    plan = plan_after(source, plan.position)
    assert read_plan(source, plan) == [("app.log", 0, None, b"four"), ("app.log.1.gz", 8, None, b"thr")]
    # and when it is renamed, it need not be unpacked any more
    (tmp_path / "app.log.1.gz").rename(tmp_path / "app.log.2.gz")
    again = plan_after(source, plan.position)
    assert again.ranges == ()
    assert set(again.position["files"]) == {"app.log", "app.log.2.gz"}


def test_a_log_that_is_compressed_between_planning_and_reading_is_read_there(tmp_path: Path):
    source = FileSource(tmp_path, "app.log*", Format.LOG)
    (tmp_path / "app.log.1").write_bytes(b"one\ntwo\n")
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(b"zero\n"))
    plan = plan_after(source, None)
    (tmp_path / "app.log.1").unlink()
    (tmp_path / "app.log.2.gz").rename(tmp_path / "app.log.3.gz")
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    assert [value for *_, value in read_plan(source, plan)] == [b"one", b"two", b"zero"]


def test_a_compressed_file_that_is_still_written_waits_only_beside_what_it_is_made_of(tmp_path: Path):
    source = FileSource(tmp_path, "app.log*", Format.LOG)
    (tmp_path / "app.log.1").write_bytes(b"one\n")
    (tmp_path / "app.log.1.gz").write_bytes(gzip.compress(b"one\n")[:12])
    assert [one.place for one in plan_after(source, None).ranges] == ["app.log.1"]
    (tmp_path / "app.log.1").unlink()
    with pytest.raises(TornFile, match=r"app\.log\.1\.gz: ends before"):
        plan_after(source, None)
