"""What every place for files must do, whatever it is made of."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.errors import StorageError
from core.settings import Settings
from core.storage.local import LocalStorage
from core.storage.open import open_storage
from core.storage.storage import Storage


@pytest.fixture(params=["local", pytest.param("hdfs", marks=pytest.mark.cluster), pytest.param("s3", marks=pytest.mark.cluster)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path)
    settings: Settings = request.getfixturevalue("cluster")
    place = settings.lake.root if request.param == "hdfs" else settings.mlflow.artifacts
    return open_storage(f"{place}-{uuid.uuid4().hex[:8]}/storage", settings)


def read(storage: Storage, path: str) -> bytes:
    with storage.open_read(path) as file:
        return file.read()


def test_what_is_written_is_read_and_has_its_checksum(storage: Storage):
    storage.write_atomic("a/b.bin", b"\x00\xff\n")
    storage.write_atomic("a/pieces", [b"one", b"", b"two"])
    assert storage.exists("a/b.bin")
    assert read(storage, "a/b.bin") == b"\x00\xff\n"
    assert read(storage, "a/pieces") == b"onetwo"
    assert storage.checksum("a/b.bin") == hashlib.sha256(b"\x00\xff\n").hexdigest()


def test_a_file_is_read_at_any_offset(storage: Storage):
    storage.write_atomic("file", bytes(range(256)) * 4096)
    with storage.open_read("file") as file:
        file.seek(1_000_000)
        assert file.read(3) == bytes([64, 65, 66])


def test_writing_replaces_the_whole_file(storage: Storage):
    storage.write_atomic("file", b"long content")
    storage.write_atomic("file", b"short")
    assert read(storage, "file") == b"short"


def test_a_write_that_fails_midway_leaves_what_was_there(storage: Storage):
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError("the producer broke")

    storage.write_atomic("file", b"old")
    with pytest.raises(RuntimeError):
        storage.write_atomic("file", pieces())
    with pytest.raises(RuntimeError):
        storage.write_atomic("new", pieces())
    assert read(storage, "file") == b"old"
    assert [entry.path for entry in storage.list()] == ["file"]


def test_files_are_listed_by_glob_in_order_with_size_and_time(storage: Storage):
    for path in ("b.log", "a.log", "x/c.log", "x/y/d.log", "x/y/d.txt", "a[1].log", "new\nline.log"):
        storage.write_atomic(path, path.encode())
    assert [e.path for e in storage.list("*.log")] == ["a.log", "a[1].log", "b.log", "new\nline.log"]
    assert [e.path for e in storage.list("x/*.log")] == ["x/c.log"]
    assert [e.path for e in storage.list("**/d.*")] == ["x/y/d.log", "x/y/d.txt"]
    assert [e.path for e in storage.list("?.log")] == ["a.log", "b.log"]
    assert len(storage.list()) == 7
    entry = storage.list("x/c.log")[0]
    assert entry.size == 7
    assert entry.modified > 1_600_000_000
    assert storage.list("nothing-*") == []


def test_a_file_is_renamed_over_another(storage: Storage):
    storage.write_atomic("from", b"new")
    storage.write_atomic("to/it", b"old")
    storage.rename("from", "to/it")
    assert not storage.exists("from")
    assert read(storage, "to/it") == b"new"


def test_a_deleted_file_is_gone(storage: Storage):
    storage.write_atomic("file", b"")
    storage.delete("file")
    assert not storage.exists("file")
    assert not storage.exists("no/such/folder/file")


@pytest.mark.parametrize("call", ["open_read", "delete", "checksum"])
def test_a_missing_file_is_one_line_with_its_name(storage: Storage, call: str):
    with pytest.raises(StorageError, match="nowhere") as caught:
        getattr(storage, call)("nowhere")
    assert "\n" not in caught.value.message


BAD = ["../out", "a/../../out", "/etc/passwd", "a//b", "", ".", "a/./b", "a\0b", "..\\out", "a/"]


@pytest.mark.parametrize("path", BAD)
def test_no_path_leads_out_of_the_root(storage: Storage, path: str, tmp_path: Path):
    storage.write_atomic("inside", b"x")
    calls: list[Callable[[], object]] = [
        lambda: storage.open_read(path),
        lambda: storage.write_atomic(path, b"x"),
        lambda: storage.rename("inside", path),
        lambda: storage.rename(path, "inside"),
        lambda: storage.delete(path),
        lambda: storage.exists(path),
        lambda: storage.checksum(path),
        lambda: storage.list(path),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="is no path below the root"):
            call()
    assert not (tmp_path.parent / "out").exists()
