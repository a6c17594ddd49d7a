import os
import socket
from pathlib import Path

import pytest

from core.errors import DiskFull, StorageError
from core.storage.local import LocalStorage

NOBODY = 65534


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder"])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, kind: str):
    place = tmp_path / "thing"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
    else:
        place.mkdir()
    with pytest.raises(StorageError, match="thing"):
        LocalStorage(tmp_path).open_read("thing")
    if kind != "folder":
        with pytest.raises(StorageError, match="is no regular file"):
            LocalStorage(tmp_path).list("*")


def test_a_device_is_refused():
    with pytest.raises(StorageError, match="is no regular file"):
        LocalStorage(Path("/dev")).open_read("null")


def test_a_symbolic_link_out_of_the_root_is_refused(tmp_path: Path):
    (tmp_path / "secret").write_text("s")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").symlink_to(tmp_path / "secret")
    (root / "folder").symlink_to(tmp_path)
    for call in (lambda s: s.open_read("file"), lambda s: s.open_read("folder/secret"), lambda s: s.list("*")):
        with pytest.raises(StorageError, match="leads out of"):
            call(LocalStorage(root))


def test_a_symbolic_link_within_the_root_is_followed(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    with LocalStorage(tmp_path).open_read("link") as file:
        assert file.read() == b"x"


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log")).write_bytes(b"")
    with pytest.raises(StorageError, match="name is not UTF-8"):
        LocalStorage(tmp_path).list()


def test_a_folder_that_may_not_be_read_is_an_error_not_an_empty_list(tmp_path: Path):
    # given a process without the rights of root
    (tmp_path / "closed").mkdir(mode=0o000)
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    code = _as_nobody(lambda: LocalStorage(tmp_path).list())
    (tmp_path / "closed").chmod(0o755)
    assert code == 7


def _as_nobody(call) -> int:
    """7 when the call raised StorageError for a missing permission in a child process of another user."""
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(NOBODY)
            call()
        except StorageError as error:
            os._exit(7 if "Permission denied" in error.message else 1)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_full_device_is_disk_full_and_leaves_nothing_behind(tmp_path: Path):
    import resource

    # given a limit on the size of files, which the system reports as a full device does
    storage = LocalStorage(tmp_path)
    storage.write_atomic("file", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(DiskFull, match="bytes free: free some space and run again"):
            storage.write_atomic("file", bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(entry.path, entry.size) for entry in storage.list()] == [("file", 3)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
