from pathlib import Path
from typing import Any

import pytest

from core.config import Strict, validate
from core.errors import ConfigError
from etl.sources.config import SourceConfig, open_source
from etl.sources.database import DatabaseSource
from etl.sources.files import FileSource
from etl.sources.records import Format


class Document(Strict):
    source: SourceConfig


def opened(home: Path, **source: Any) -> object:
    return open_source(validate({"source": source}, Document, "p.yaml").source, home)


def test_paths_lie_below_the_home_folder_unless_absolute(tmp_path: Path):
    log = opened(tmp_path, kind="log", folder="logs", pattern="*.log")
    assert log == FileSource(tmp_path / "logs", "*.log", Format.LOG)
    assert opened(tmp_path, kind="files", folder="/data", format="csv") == FileSource(Path("/data"), "**/*", Format.CSV)
    inside = opened(tmp_path, kind="database", url="sqlite:///a.db", table="t", watermark="id")
    assert inside == DatabaseSource(f"sqlite:///{tmp_path}/a.db", "t", "id")
    outside = opened(tmp_path, kind="database", url="sqlite:////data/a.db", table="t", watermark="id", columns=["x"])
    assert outside == DatabaseSource("sqlite:////data/a.db", "t", "id", ("x",))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "ftp"}, "source"),
        ({"kind": "log", "folder": "x", "patern": "*"}, "did you mean 'pattern'"),
        ({"kind": "log", "folder": "x", "pattern": "../*"}, "is no path below the root"),
        ({"kind": "files", "folder": "x", "format": "xml"}, "format"),
        ({"kind": "database", "url": "mysql://x", "table": "t", "watermark": "id"}, "neither 'sqlite:///' nor 'jdbc:'"),
        ({"kind": "database", "url": "jdbc:x:y", "table": "t", "watermark": "i", "columns": []}, "at least one"),
        ({"kind": "database", "url": "jdbc:x:y", "table": "t"}, "watermark' is missing"),
    ],
)
def test_a_wrong_source_is_named_by_file_and_key(tmp_path: Path, source: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=rf"p\.yaml.*{message}"):
        opened(tmp_path, **source)
