"""A file at a URL: each version of it is fetched once, kept in raw storage, and read as files are."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from core.contracts import Interval
from core.errors import DiskFull, SourceError, StorageError
from etl.downloads.download import Download
from etl.sources.files import FileSource
from etl.sources.source import Plan, Position, Session


@dataclass(frozen=True, slots=True)
class DownloadSource:
    """The records of every version of the file that ``download`` fetches, which ``files`` reads.

    A new version is read whole: raw tables keep what each version said. A file that is as it was adds nothing.
    """

    download: Download
    files: FileSource

    def plan(self, session: Session, position: Position | None, interval: Interval | None = None) -> Plan:
        """See Source.plan; the file is asked for, and fetched when it is new. Raises SourceDown for a server that is silent."""
        try:
            self.download.refresh()
        except DiskFull:
            raise
        except StorageError as error:
            raise SourceError(f"source {self.download.target}: {error.message}") from error
        return self.files.plan(session, position, interval)

    def read(self, spark: SparkSession, plan: Plan) -> DataFrame:
        """See Source.read."""
        return self.files.read(spark, plan)
