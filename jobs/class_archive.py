"""`python -m jobs.class_archive`: record the classes of a Spark driver, so that later ones map them instead of loading them.

Java's application class-data sharing (JEP 350). Part of the set-up; where there is no archive, or it does not fit the Java or
the jars of the day, Java loads classes as ever.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

from core.config import validate
from core.contracts import TableName
from core.errors import ServiceError
from core.jvm import JAVA_OPTIONS, class_archive
from core.lake.catalog import Lake
from core.lake.tables import read_table
from core.settings import load_settings
from core.spark import build_session
from etl.extract import extract
from etl.ingest import ingest
from etl.rules.config import RuleFile, read_rules
from etl.sources.files import FileSource
from etl.sources.records import Format
from jobs.failures import one_line_errors

_WAIT_S = 300.0
_RULES = {
    "version": 1,
    "tables": [
        {
            "from": "raw.lines",
            "into": "extracted.lines",
            "max_quarantined": 1.0,
            "rules": [
                {"name": "pair", "kind": "regex", "pattern": r"(?<day>\S+) (?<number>\d+)", "fields": {
                    "day": {"type": "date"}, "number": {"type": "long", "required": True}}},
                {"name": "object", "kind": "json", "fields": {"day": {"type": "date"}, "number": {"type": "long"}}},
            ],
            "checks": [{"name": "small", "kind": "range", "column": "number", "max": 100}],
        }
    ],
}  # fmt: skip
_LINES = '2026-01-01 1\n{"day": "2026-01-02", "number": 2}\nneither\n2026-01-03 1000\n'


def main() -> None:
    """Write the archive beside the jars that the settings name; an older one is replaced when the new one is whole."""
    with one_line_errors():
        settings = load_settings()
        record(settings.at_root(settings.spark.jars))


def record(jars: Path) -> Path:
    """Run a small job in a JVM that writes the classes it has loaded when it ends; returns the archive.

    Raises ConfigError when Java or jars are missing, ServiceError when the JVM wrote none.
    """
    archive, part = class_archive(jars), class_archive(jars).with_suffix(".part")
    archive.unlink(missing_ok=True)  # else the JVM would use the old one, and cannot record as well
    with TemporaryDirectory(prefix="maas-classes-") as folder:
        log = Path(folder) / "spark.log"
        options = {"spark.local.dir": folder, JAVA_OPTIONS: f"-XX:ArchiveClassesAtExit={part} -Xlog:disable"}
        session = build_session("classes", jars=jars, driver_memory="1g", options=options, log=log)
        _work(session, Path(folder))
        _end(session)
        if not part.is_file():
            raise ServiceError(f"Java wrote no archive of classes to {part}: {log.read_text(errors='replace')[-300:]}")
    return part.replace(archive)


def _work(session: SparkSession, folder: Path) -> None:
    """What each step does a little of: files to raw records, rules, Delta commits, rows to this process."""
    (folder / "lines").mkdir()
    (folder / "lines" / "1.log").write_text(_LINES)
    lake, raw = Lake(folder / "lake"), TableName.parse("raw.lines")
    (rules,) = read_rules("lines", validate(_RULES, RuleFile, "lines"), "lines").tables
    for app in ("first", "second"):  # the second commit reads a log
        ingest(lambda: session, lake, FileSource(folder / "lines", "**/*", Format.LOG), raw, app=app)
    extract(session, lake, rules, app="extract")
    read_table(session, lake, rules.into).orderBy("day").toPandas()


def _end(session: SparkSession) -> None:
    """End the JVM, and return when it has ended."""
    gateway: Any = SparkContext._gateway  # noqa: SLF001 — pyspark has no way to wait for its JVM
    session.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(_WAIT_S)


if __name__ == "__main__":
    main()
