from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.config import Strict, validate
from core.errors import ConfigError
from core.settings import Settings
from core.storage.local import LocalStorage
from etl.downloads.urls import parse_url
from etl.sources.config import SourceConfig, each_source, open_source
from etl.sources.database import DatabaseSource
from etl.sources.download import DownloadSource
from etl.sources.files import FileSource
from etl.sources.logs.multiline import Starts
from etl.sources.logs.plan import LogOptions
from etl.sources.records import Format
from etl.sources.topic import TopicSource


class Document(Strict):
    source: SourceConfig


class Documents(Strict):
    sources: dict[str, SourceConfig]


def opened(home: Path, settings: dict[str, Any] | None = None, **source: Any) -> object:
    config = validate({"source": source}, Document, "p.yaml").source
    return open_source(config, validate({"root": home, "home": home, **(settings or {})}, Settings, "settings"))


OWN = {
    "database": {"url": "mysql+pymysql://maas@127.0.0.1:13306/maas", "password": "own secret"},
    "kafka": {"servers": "127.0.0.1:19092"},
    "sources": {"prefix": "test_", "passwords": {"airline": "their secret"}},
}


def test_paths_lie_below_the_home_folder_unless_absolute(tmp_path: Path):
    log = opened(tmp_path, kind="log", folder="logs", pattern="*.log")
    assert log == FileSource(tmp_path / "logs", "*.log", Format.LOG)
    patient = opened(
        tmp_path, kind="log", folder="logs", pattern="*.log*", skip_lost=True, quiet_s=60, starts="(?<level>[A-Z]+) "
    )
    starts = Starts("(?P<level>[A-Z]+) ")
    assert patient == FileSource(tmp_path / "logs", "*.log*", Format.LOG, starts=starts, logs=LogOptions(True, 60))
    assert opened(tmp_path, kind="files", folder="/data", format="csv") == FileSource(Path("/data"), "**/*", Format.CSV)
    assert opened(tmp_path, kind="files", folder="/data", format="xml", record="item") == FileSource(
        Path("/data"), "**/*", Format.XML, record="item"
    )
    dialect = {"encoding": "latin-1", "separator": ";", "columns": ["a", "b"]}
    assert opened(tmp_path, kind="files", folder="/data", format="csv", **dialect) == FileSource(
        Path("/data"), "**/*", Format.CSV, encoding="iso8859-1", separator=";", columns=("a", "b")
    )
    inside = opened(tmp_path, kind="database", url="sqlite:///a.db", table="t", watermark="id")
    assert inside == DatabaseSource(f"sqlite:///{tmp_path}/a.db", "t", "id")
    outside = opened(tmp_path, kind="database", url="sqlite:////data/a.db", table="t", watermark="id", columns=["x"])
    assert outside == DatabaseSource("sqlite:////data/a.db", "t", "id", ("x",))


def test_a_database_of_the_platforms_own_server_needs_no_address_and_no_password(tmp_path: Path):
    source = opened(tmp_path, OWN, kind="database", url="mysql:///flights", table="t", watermark="id", interval="at")
    own = DatabaseSource("jdbc:mysql://127.0.0.1:13306/test_flights", "t", "id", None, "at", "maas", "own secret")
    assert source == own
    named = opened(tmp_path, OWN, kind="database", url="mysql://maas@127.0.0.1:13306/x", table="t", watermark="id")
    assert named == DatabaseSource("jdbc:mysql://127.0.0.1:13306/x", "t", "id", None, None, "maas", "own secret")


def test_another_server_is_given_its_own_password_only(tmp_path: Path):
    other = {"kind": "database", "url": "mysql://ann@db.airline:3306/x", "table": "t", "watermark": "id"}
    url = "jdbc:mysql://db.airline:3306/x"
    assert opened(tmp_path, OWN, **other) == DatabaseSource(url, "t", "id", user="ann")
    source = opened(tmp_path, OWN, **other, password="airline")  # noqa: S106
    assert source == DatabaseSource(url, "t", "id", user="ann", password="their secret")  # noqa: S106
    assert "their secret" not in repr(source)
    with pytest.raises(ConfigError, match=r"no password 'airlin'.*sources\.passwords\.airlin' in secrets\.yaml"):
        opened(tmp_path, OWN, **other, password="airlin")  # noqa: S106


def test_postgresql_is_named_by_its_url_and_given_its_own_password(tmp_path: Path):
    there = {"kind": "database", "table": "t", "watermark": "id", "password": "airline"}
    source = opened(tmp_path, OWN, url="postgresql://ann@[::1]/x", **there)
    assert source == DatabaseSource("jdbc:postgresql://[::1]:5432/x", "t", "id", user="ann", password="their secret")  # noqa: S106
    for url in ("postgresql:///x", "postgresql://h/x", "postgresql://ann:secret@h/x", "postgresql://ann@h/x?sslmode=disable"):
        with pytest.raises(ConfigError, match=r"a URL holds no password|write postgresql://USER@HOST:PORT/NAME") as caught:
            opened(tmp_path, OWN, url=url, **there)
        assert "secret@" not in caught.value.message


SQLITE = {"kind": "database", "url": "sqlite:///a.db"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "name one of 'table', 'tables' and 'query'"),
        ({"table": "t", "query": "SELECT 1", "watermark": "id"}, "name one of"),
        ({"tables": ["t", "T"], "watermark": "id"}, "'tables' names one twice"),
        ({"table": "t"}, "name a 'watermark', or say 'mode: whole'"),
        ({"table": "t", "mode": "whole", "watermark": "id"}, "read whole has no 'watermark'"),
        ({"table": "t", "mode": "whole", "interval": "at"}, "leave it out with 'mode: whole'"),
        ({"table": "t", "watermark": "id", "partition": {"column": "id", "count": 2}}, "'partition' is for 'mode: whole'"),
        (
            {"table": "t", "mode": "whole", "partition": {"column": "id", "count": 1}},
            "partition.count.*greater than or equal to 2",
        ),
        ({"table": "t", "mode": "whole", "parameters": {"a": 1}}, "'parameters' belong to a 'query'"),
        ({"query": "SELECT 1; DELETE FROM t", "mode": "whole"}, "one SELECT, without ';'"),
        ({"query": "SELECT :a", "mode": "whole"}, "asks for a parameter 'a'"),
    ],
)
def test_a_database_that_makes_no_sense_is_refused(tmp_path: Path, given: dict[str, Any], reason: str):
    with pytest.raises(ConfigError, match=f"p.yaml: key 'source.*{reason}"):
        opened(tmp_path, **SQLITE, **given)


def test_several_tables_are_a_source_each(tmp_path: Path):
    both = {"shop": {**SQLITE, "tables": ["Orders", "public.items"], "watermark": "id"}, "log": {"kind": "log", "folder": "l"}}
    found = each_source(validate({"sources": both}, Documents, "p.yaml").sources)
    assert list(found) == ["shop_orders", "shop_public_items", "log"]
    opened_as = [open_source(found[name], Settings(root=tmp_path, home=tmp_path)) for name in list(found)[:2]]
    assert opened_as == [DatabaseSource(f"sqlite:///{tmp_path}/a.db", name, "id") for name in ("Orders", "public.items")]
    twice = {**both, "shop_orders": {"kind": "log", "folder": "l"}}
    with pytest.raises(ValueError, match="two sources are called 'shop_orders'"):
        each_source(validate({"sources": twice}, Documents, "p.yaml").sources)


def test_a_topic_is_looked_for_on_the_platforms_servers_unless_others_are_named(tmp_path: Path):
    assert opened(tmp_path, OWN, kind="kafka", topic="events") == TopicSource("127.0.0.1:19092", "test_events")
    named = opened(tmp_path, OWN, kind="kafka", topic="events", servers="k:1,l:2", skip_lost=True)
    assert named == TopicSource("k:1,l:2", "events", skip_lost=True)
    with pytest.raises(ConfigError, match=r"topic 'events': no Kafka is named: set 'servers'"):
        opened(tmp_path, kind="kafka", topic="events")


DOWNLOAD = {"kind": "download", "url": "https://files.example/a.csv?x", "folder": "a", "format": "csv"}


def test_a_download_is_kept_where_files_are_read(tmp_path: Path):
    source = opened(tmp_path, {"sources": {"root": "raw"}}, **DOWNLOAD, max_bytes=10, timeout_s=5)
    assert isinstance(source, DownloadSource)
    assert source.files == FileSource(tmp_path / "raw" / "a", "*.csv", Format.CSV, whole=True)
    assert source.download.target == parse_url("https://files.example/a.csv?x")
    assert source.download.open_files.args == partial(LocalStorage, tmp_path / "raw" / "a").args  # type: ignore[attr-defined]
    limits, guard = source.download.client.limits, source.download.client.guard
    assert (limits.body_bytes, limits.total_s, guard.networks, guard.hosts) == (10, 5, (), frozenset())
    assert source.download.spool.parent == tmp_path / "downloads"
    on_hdfs = opened(tmp_path, {"sources": {"root": "hdfs://127.0.0.1:1/x"}}, **DOWNLOAD)
    assert isinstance(on_hdfs, DownloadSource) and on_hdfs.files.folder == "hdfs://127.0.0.1:1/x/a"
    assert on_hdfs.files.open_files is on_hdfs.download.open_files
    assert on_hdfs.download.spool != source.download.spool


def test_a_download_may_go_where_it_is_told_with_the_secret_it_names(tmp_path: Path):
    secrets = {"sources": {"passwords": {"files": "Bearer hidden"}}}
    source = opened(tmp_path, secrets, **DOWNLOAD, allow=["10.0.0.0/8", "Files.Example"], headers={"Authorization": "files"})
    assert isinstance(source, DownloadSource) and "hidden" not in repr(source)
    assert source.download.client.secrets == {"Authorization": "Bearer hidden"}
    assert source.download.client.guard.hosts == {"files.example"}
    with pytest.raises(ConfigError, match=r"no secret 'files'.*header 'Authorization'.*sources\.passwords\.files"):
        opened(tmp_path, **DOWNLOAD, headers={"Authorization": "files"})
    for wrong in ("Bearer hidden\r\nHost: x", "hidden ", "", "h\xfcdden"):
        with pytest.raises(ConfigError, match="can be no value of a header") as caught:
            opened(tmp_path, {"sources": {"passwords": {"files": wrong}}}, **DOWNLOAD, headers={"Authorization": "files"})
        assert "dden" not in caught.value.message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "ftp"}, "source"),
        ({"kind": "log", "folder": "x", "patern": "*"}, "did you mean 'pattern'"),
        ({"kind": "log", "folder": "x", "pattern": "../*"}, "is no path below the root"),
        ({"kind": "log", "folder": "x", "quiet_s": 0}, "quiet_s"),
        ({"kind": "log", "folder": "x", "starts": "(a+)+b"}, "starts.*it can backtrack exponentially"),
        ({"kind": "log", "folder": "x", "starts": "%{DATUM}"}, "starts.*no pattern named 'DATUM'"),
        ({"kind": "log", "folder": "x", "starts": r"\p{L}+:"}, "starts.*this pattern is run by Python"),
        ({"kind": "files", "folder": "x", "format": "xml"}, "needs 'record'"),
        ({"kind": "files", "folder": "x", "format": "xml", "record": "a b"}, "record"),
        ({"kind": "files", "folder": "x", "format": "csv", "record": "a"}, "format xml, and no other, needs 'record'"),
        ({"kind": "files", "folder": "x", "format": "doc"}, "format"),
        ({"kind": "files", "folder": "x", "format": "jsonl", "separator": ";"}, "'separator' and 'columns' are for format csv"),
        ({"kind": "files", "folder": "x", "format": "csv", "separator": "é"}, "no character of ASCII"),
        ({"kind": "files", "folder": "x", "format": "csv", "separator": '"'}, "separator"),
        ({"kind": "files", "folder": "x", "format": "avro", "encoding": "latin-1"}, "format avro has no encoding"),
        ({"kind": "log", "folder": "x", "encoding": "latin1000"}, "encoding.*no encoding of text that Python knows"),
        (
            {"kind": "database", "url": "http://x", "table": "t", "watermark": "id"},
            "none of 'sqlite:///', 'mysql://', 'postgresql://', 'jdbc:'",
        ),
        ({"kind": "database", "url": "mysql://a:pw@h/x", "table": "t", "watermark": "id"}, "a URL holds no password"),
        ({"kind": "database", "url": "mysql://a@h", "table": "t", "watermark": "id"}, "write mysql://USER@HOST:PORT/NAME"),
        ({"kind": "database", "url": "mysql://h/x", "table": "t", "watermark": "id"}, "write mysql://USER@HOST:PORT/NAME"),
        ({"kind": "database", "url": "jdbc:x:y", "table": "t", "watermark": "i", "columns": []}, "at least one"),
        ({"kind": "database", "url": "jdbc:x:y", "table": "t"}, "name a 'watermark'"),
        ({**DOWNLOAD, "url": "ftp://files.example/a"}, "only http:// and https:// are fetched"),
        ({**DOWNLOAD, "url": "https://ann:pw@files.example/a"}, "a URL holds no user and no password"),
        ({**DOWNLOAD, "url": "http://0x7f000001/a"}, "odd spelling"),
        ({**DOWNLOAD, "format": "xml"}, "format"),
        ({**DOWNLOAD, "sha256": "abc"}, "sha256"),
        ({**DOWNLOAD, "max_bytes": 0}, "max_bytes"),
        ({**DOWNLOAD, "allow": ["10.0.0.1/8"]}, "allow.*host bits"),
        ({**DOWNLOAD, "allow": ["a b"]}, "allow.*no domain name"),
        ({**DOWNLOAD, "headers": {"Host": "x"}}, "'Host' is no header that a source may set"),
        ({**DOWNLOAD, "headers": {"A: b": "x"}}, "is no header that a source may set"),
        ({**DOWNLOAD, "checksum": "x"}, "unknown key"),
        ({"kind": "kafka", "topic": "a b"}, "topic"),
        ({"kind": "kafka", "topic": "a", "server": "x"}, "did you mean 'servers'"),
    ],
)
def test_a_wrong_source_is_named_by_file_and_key(tmp_path: Path, source: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=rf"p\.yaml.*{message}"):
        opened(tmp_path, **source)


def test_a_server_that_the_settings_lack_is_asked_for(tmp_path: Path):
    with pytest.raises(ConfigError, match="names no server"):
        opened(tmp_path, kind="database", url="mysql:///flights", table="t", watermark="id")
