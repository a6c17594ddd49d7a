"""Commit logs come back from a backup where the data files are there; else nothing is touched."""

import io
import resource
import shutil
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.backup.archive import Writer
from core.backup.backup import back_up
from core.backup.restore import restore
from core.backup.tables import restore_tables
from core.errors import ConfigError, CorruptFile, DiskFull, StorageError, TableError
from core.storage.local import LocalStorage
from jobs.cli import app
from tests.core.backup.conftest import FLIGHTS, OPS, content, grow


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGES = {
    "lost": lambda kept: shutil.rmtree(kept.log()),
    "emptied": lambda kept: [file.unlink() for file in kept.log().iterdir()],
    "newest commit empty": lambda kept: kept.commit(6).write_bytes(b""),
    "newest commits lost": lambda kept: [kept.commit(version).unlink() for version in (5, 6)],
    "commit in the middle flipped": lambda kept: flip(kept.commit(4)),
    "commit before the checkpoint lost": lambda kept: kept.commit(1).unlink(),
    "checkpoint flipped": lambda kept: [flip(file) for file in kept.log().glob("*.checkpoint.parquet")],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_log_comes_back_at_its_version(kept, damage):
    before = content(kept.lake, FLIGHTS)
    old = {file.name: file.read_bytes() for file in kept.log().iterdir()}
    DAMAGES[damage](kept)
    left = {file.name: file.read_bytes() for file in kept.log().iterdir()} if kept.log().exists() else {}
    assert left != old
    # when
    (line,) = restore_tables(kept.settings, kept.place, ["raw.flights"])
    # then
    assert line.startswith("raw.flights: commit log restored, version 6")
    assert content(kept.lake, FLIGHTS) == before
    # and what was there is kept, and the same again changes nothing
    aside = list(kept.log().parent.glob("_delta_log.before-*"))
    assert [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in aside] == ([left] if left else [])
    tree = kept.tree()
    assert restore_tables(kept.settings, kept.place, ["raw.flights"]) == ["raw.flights is what it was: nothing to do"]
    assert kept.tree() == tree
    # and damage is found again, by the checksums that are beside the files now
    flip(kept.commit(5))
    with pytest.raises(CorruptFile, match="table version 5"):
        kept.lake.info(FLIGHTS)


def test_commits_after_the_backup_are_kept_when_one_before_it_is_damaged(kept):
    grow(kept.lake, FLIGHTS, range(7, 10))
    now = content(kept.lake, FLIGHTS)
    kept.commit(5).write_bytes(b"")
    (line,) = restore_tables(kept.settings, kept.place, ["raw.flights"])
    assert "version 9, 3 commits after the backup kept" in line
    assert content(kept.lake, FLIGHTS) == now


def test_a_table_that_went_on_goes_back_only_when_told(kept):
    before = content(kept.lake, FLIGHTS)
    grow(kept.lake, FLIGHTS, range(7, 9))
    now, tree = content(kept.lake, FLIGHTS), kept.tree()
    with pytest.raises(TableError, match=r"raw\.flights is whole, at version 8, and the backup has 6: left as it is.*--force"):
        restore_tables(kept.settings, kept.place, ["raw.flights"])
    assert kept.tree() == tree
    (line,) = restore_tables(kept.settings, kept.place, ["raw.flights"], force=True)
    assert content(kept.lake, FLIGHTS) == before
    # and the way forth again is kept
    aside = Path(line.rsplit(" ", 1)[1])
    shutil.rmtree(kept.log())
    aside.rename(kept.log())
    assert content(kept.lake, FLIGHTS) == now


def test_a_damaged_commit_that_is_not_in_the_backup_is_named(kept):
    before = content(kept.lake, FLIGHTS)
    grow(kept.lake, FLIGHTS, range(7, 10))
    kept.commit(8).write_bytes(b"")
    tree = kept.tree()
    with pytest.raises(TableError, match=r"damaged in commit 8, which is not in the backup: .* go back to version 6"):
        restore_tables(kept.settings, kept.place, ["raw.flights"])
    assert kept.tree() == tree
    restore_tables(kept.settings, kept.place, ["raw.flights"], force=True)
    assert content(kept.lake, FLIGHTS) == before


def test_a_data_file_that_a_later_commit_added_is_asked_for(kept):
    grow(kept.lake, FLIGHTS, range(7, 8))
    newest = set(kept.lake.snapshot(FLIGHTS).files) - set(kept.lake.snapshot(FLIGHTS, 6).files)
    Path(newest.pop()).unlink()
    kept.commit(5).write_bytes(b"")
    with pytest.raises(TableError, match=r"raw\.flights lacks 1 of the 4 data files of version 7"):
        restore_tables(kept.settings, kept.place, ["raw.flights"])


@pytest.mark.parametrize("damage", ["lost", "cut"])
def test_missing_data_files_are_named_and_no_table_is_touched(kept, damage):
    victim = Path(kept.lake.snapshot(OPS).files[0])
    shutil.rmtree(kept.log())
    shutil.rmtree(kept.log(OPS))
    size = victim.stat().st_size
    if damage == "lost":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-7])
    tree = kept.tree()
    said = victim.name + (rf" \({size - 7} of {size} bytes\)" if damage == "cut" else "")
    with pytest.raises(TableError, match=rf"raw\.ops lacks 1 of the 1 data files of version 0: .*{said}: bring them back"):
        restore_tables(kept.settings, kept.place, ["raw.flights", "raw.ops"], force=True)
    assert kept.tree() == tree


@pytest.mark.parametrize("file", ["log.tar", "log.json"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(kept, file):
    shutil.rmtree(kept.log())
    flip(Path(kept.place) / "lake" / "raw.flights" / file)
    tree = kept.tree()
    with pytest.raises(CorruptFile, match=rf"lake/raw\.flights/{file} is not what was backed up"):
        restore_tables(kept.settings, kept.place, ["raw.flights"])
    assert kept.tree() == tree


def test_another_table_of_the_same_name_is_not_taken_for_it(kept):
    shutil.rmtree(kept.log().parent)
    grow(kept.lake, FLIGHTS, range(1, 3))
    with pytest.raises(TableError, match=r"raw\.flights version 1 is not the backup's"):
        restore_tables(kept.settings, kept.place, ["raw.flights"])


def test_a_restore_that_was_broken_off_between_its_renames_is_completed(kept):
    before, new = content(kept.lake, FLIGHTS), kept.log().with_name("_delta_log.new")
    kept.log().rename(kept.log().with_name("_delta_log.before-1"))
    new.mkdir()
    (new / f"{9:020}.json").write_text("{}")
    restore_tables(kept.settings, kept.place, ["raw.flights"])
    assert content(kept.lake, FLIGHTS) == before
    assert not new.exists()


def test_a_full_disk_leaves_the_table_as_it_was(kept):
    kept.commit(5).write_bytes(b"")
    tree = kept.tree()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(DiskFull, match="disk full"):
            restore_tables(kept.settings, kept.place, ["raw.flights"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path: data for path, data in kept.tree().items() if "_delta_log.new" not in path} == tree


def test_damaged_tables_are_said_and_the_rest_is_kept(kept):
    kept.commit(5).write_bytes(b"")
    lines = kept.back_up()
    assert [line.split(" ")[0] for line in lines] == ["1", str(kept.commit(5))]
    assert lines[1].endswith("raw.flights is not in the backup")
    with pytest.raises(ConfigError, match=r"has no commit log of raw\.flights: it has those of raw\.ops"):
        restore_tables(kept.settings, kept.place, ["raw.flights"])


def test_a_folder_in_the_name_of_a_log_file_is_refused(kept):
    # given a backup made by someone else, whole by its own digests
    writer = Writer.open(LocalStorage(kept.home / "other"), "other")
    writer.write("lake.json", [(Path(kept.place) / "lake.json").read_bytes()])
    folder = Path(kept.place) / "lake" / "raw.flights"
    writer.write("lake/raw.flights/log.json", [(folder / "log.json").read_bytes()])
    content = io.BytesIO()
    with tarfile.open(folder / "log.tar") as old, tarfile.open(fileobj=content, mode="w") as new:
        for member in old.getmembers():
            data = old.extractfile(member)
            member.name = f"../{member.name}"
            new.addfile(member, data)
    writer.write("lake/raw.flights/log.tar", [content.getvalue()])
    writer.finish({})
    shutil.rmtree(kept.log())
    tree = kept.tree()
    # when, then
    with pytest.raises(StorageError, match="is no path below the root"):
        restore_tables(kept.settings, str(kept.home / "other"), ["raw.flights"])
    assert kept.tree() == tree


def test_the_command_restores_one_table_and_says_so(kept, monkeypatch):
    monkeypatch.setenv("MAAS__HOME", str(kept.home))
    shutil.rmtree(kept.log())
    done = CliRunner().invoke(app, ["restore", kept.place, "--table", "raw.flights"])
    assert done.output == "raw.flights: commit log restored, version 6\n"
    assert not (kept.home / "mlflow.db").exists()


def test_a_restored_platform_has_its_tables(kept, tmp_path):
    before, place = content(kept.lake, FLIGHTS), str(tmp_path / "whole")
    lines = back_up(kept.settings, place)
    assert lines[1] == "2 tables with their commit logs; data files are backed up by their file system"
    shutil.rmtree(kept.log())
    assert restore(kept.settings, place)[1:] == ["raw.flights: commit log restored, version 6"]
    assert content(kept.lake, FLIGHTS) == before
    # and on a machine without the lake it is said what is missing
    shutil.rmtree(kept.home / "lake")
    assert [line.split(" ")[:2] for line in restore(kept.settings, place)[1:]] == [["raw.flights", "lacks"], ["raw.ops", "lacks"]]
