"""From a place's name to the storage that holds it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from core.errors import ConfigError
from core.settings import Settings
from core.storage.local import LocalStorage
from core.storage.storage import Storage


def open_storage(place: str, settings: Settings) -> Storage:
    """The files below ``place``: a folder (below ``home`` when relative), ``hdfs://HOST:PORT/folder`` or ``s3://BUCKET/prefix``.

    HDFS is reached by WebHDFS at ``settings.hdfs.web``, S3 at ``settings.s3.endpoint``. Nothing is asked of a server yet.
    Raises ConfigError for another scheme, and when the settings lack what the place needs.
    """
    url = urlsplit(place)
    if not url.scheme:
        return LocalStorage(Path(settings.locate(place)))
    if url.query or url.fragment or url.username or not url.netloc:
        raise ConfigError(f"{place!r} is no place for files: write a folder, hdfs://HOST:PORT/folder or s3://BUCKET/prefix")
    if url.scheme == "hdfs":
        from core.storage.hdfs import HdfsStorage  # noqa: PLC0415 — servers' clients load where they are used
        from core.storage.webhdfs import WebHdfs  # noqa: PLC0415

        return HdfsStorage(WebHdfs.of(settings.hdfs), url.path.rstrip("/"))
    if url.scheme == "s3":
        from core.storage.s3 import S3Storage, s3_client  # noqa: PLC0415

        return S3Storage(s3_client(settings.s3), url.netloc, url.path.strip("/"))
    raise ConfigError(f"{place!r}: {url.scheme}:// is not known: write a folder, hdfs://HOST:PORT/folder or s3://BUCKET/prefix")
