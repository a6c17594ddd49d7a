"""What a Delta log is asked as files of this machine."""

from pathlib import Path

from core.lake.files import LocalFiles


def test_a_file_that_goes_while_a_folder_is_listed_hides_no_other(tmp_path: Path):
    (tmp_path / "0.json").write_bytes(b"{}")
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")  # listed, and not there when it is asked for its size
    assert LocalFiles().sizes(str(tmp_path)) == {"0.json": 2}


def test_what_is_not_a_folder_holds_nothing(tmp_path: Path):
    (tmp_path / "file").touch()
    for place in ("missing", "file"):
        folder = str(tmp_path / place)
        assert (LocalFiles().sizes(folder), LocalFiles().folders(folder), LocalFiles().walk(folder)) == ({}, [], [])
