"""The commit logs of the lake's tables in a backup: written, and put back where data files are there and logs are not.

::

    lake.json               tables with version, rows, files, bytes
    lake/TABLE/log.tar      the files of the commit log that the version, and those before it, are read from
    lake/TABLE/log.json     the version, SHA-256 of its commits and checkpoint, the live data files with their sizes
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from core.backup.archive import Reader, Writer
from core.contracts import TableName
from core.errors import ConfigError, CorruptFile, TableError
from core.lake.catalog import Lake
from core.lake.recovery import LogCopy, Plan, alone, digest_file, plan_recovery, put_log
from core.settings import Settings
from core.storage.open import open_storage
from core.storage.storage import check_path

_BLOCK = 512

Progress = Callable[[str], None]


def write_tables(lake: Lake, writer: Writer, progress: Progress) -> list[str]:
    """Put the log of each table, at its newest version, into the backup; returns lines that say what is in it.

    A table whose log is damaged, or of a form that is not taken, is not in it; a line says so.
    """
    tables: dict[str, Any] = {}
    lines = []
    for name in lake.names():
        progress(f"commit log of {name}")
        try:
            tables[str(name)] = _write_table(lake, name, writer)
        except (CorruptFile, TableError) as error:
            lines.append(f"{error.message}; {name} is not in the backup")
    writer.write("lake.json", [json.dumps(tables, indent=1, sort_keys=True).encode()])
    return [f"{len(tables)} tables with their commit logs; data files are backed up by their file system", *lines]


def restore_logs(reader: Reader, lake: Lake, progress: Progress) -> Iterator[str]:
    """Put back each log that is lost or damaged here; yields a line for each table that was, or is not what it was."""
    for name in _listed(reader):
        table = TableName.parse(name)
        progress(f"commit log of {name}")
        if _copied(reader, name) is None:
            yield from _older(lake, table, _listed(reader)[name]["version"])
            continue
        try:
            with alone(lake, table):
                yield from _recover(reader, lake, table, force=False)
        except TableError as error:
            yield error.message


def restore_tables(
    settings: Settings, place: str, names: Iterable[str], *, force: bool = False, progress: Progress = lambda _: None
) -> Sequence[str]:
    """Put the logs of these tables back, and touch nothing else; returns a line for each.

    All tables are looked at before the first is touched. Raises TableError when data files are missing, or unless ``force``
    when a table is whole and newer, or another; StorageError or CorruptFile when the backup is none or damaged.
    """
    progress("verifying the backup")
    reader, lake = Reader.open(open_storage(place, settings), place), Lake.of(settings)
    tables = sorted({TableName.parse(name) for name in names})
    for table in tables:
        if _copied(reader, str(table)) is None:
            known = ", ".join(name for name in _listed(reader) if _copied(reader, name)) or "none"
            raise ConfigError(f"{place} has no commit log of {table}: it has those of {known}")
    with ExitStack() as stack:
        for table in tables:
            stack.enter_context(alone(lake, table))
            _plan(reader, lake, table, force=force)
        return [
            line
            for table in tables
            for line in (list(_recover(reader, lake, table, force=force)) or [f"{table} is what it was: nothing to do"])
        ]


def _write_table(lake: Lake, table: TableName, writer: Writer) -> dict[str, Any]:
    info = lake.info(table)
    data = lake.data_files(table, info.version)
    digests: dict[str, str] = {}

    def pieces() -> Iterator[bytes]:
        for name, content in lake.log(table).copy(info.version):
            digests[name] = digest_file(content)
            head = tarfile.TarInfo(name)
            head.size = len(content)
            yield head.tobuf() + content + bytes(-len(content) % _BLOCK)
        yield bytes(2 * _BLOCK)

    writer.write(f"lake/{table}/log.tar", pieces())
    document = LogCopy.of(info.version, digests, data).to_document()
    writer.write(f"lake/{table}/log.json", [json.dumps(document, indent=1, sort_keys=True).encode()])
    return {"version": info.version, "rows": info.rows, "files": info.files, "bytes": info.bytes}


def _recover(reader: Reader, lake: Lake, table: TableName, *, force: bool) -> Iterator[str]:
    if (plan := _plan(reader, lake, table, force=force)) is None:
        return
    kept = put_log(lake, plan, _files(reader, table))
    after = f", {len(plan.later)} commits after the backup kept" if plan.later else ""
    aside = f"; the log that was there is in {lake.path(table)}/{kept}" if kept else ""
    yield f"{table}: commit log restored, version {plan.version}{after}{aside}"


def _plan(reader: Reader, lake: Lake, table: TableName, *, force: bool) -> Plan | None:
    copy = LogCopy.from_document(json.loads(b"".join(reader.read(f"lake/{table}/log.json"))))
    return plan_recovery(lake, table, copy, back=force)


def _files(reader: Reader, table: TableName) -> Iterator[tuple[str, bytes]]:
    with (
        reader.storage.open_read(f"lake/{table}/log.tar") as file,
        tarfile.open(fileobj=file, mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member)
            if content is None or "/" in check_path(member.name):
                raise CorruptFile(f"{reader.place}: lake/{table}/log.tar holds {member.name!r}, which is no file of a commit log")
            yield member.name, content.read()


def _listed(reader: Reader) -> dict[str, Any]:
    return dict(json.loads(b"".join(reader.read("lake.json"))))


def _copied(reader: Reader, name: str) -> str | None:
    path = f"lake/{name}/log.json"
    return path if path in reader.files else None


def _older(lake: Lake, table: TableName, then: int) -> Iterator[str]:
    """What is to be said of a table whose log is not in the backup."""
    version = lake.version(table)
    if version is None or version < then:
        found = "is missing" if version is None else f"is at version {version}"
        yield f"{table} {found}, and was at {then}: bring the lake's files back, or run the pipeline"
