"""A bucket, or a prefix in it, as storage."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import boto3
import urllib3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import ConfigError, StorageDown, StorageError
from core.settings import S3Settings
from core.storage.ranged import open_ranged
from core.storage.storage import Entry, check_path, compile_glob

_PART = 8 << 20
_TRANSFER = TransferConfig(multipart_threshold=2 * _PART, multipart_chunksize=_PART, max_concurrency=4)
_BREAKS = 5
_BROKEN: tuple[type[Exception], ...] = (urllib3.exceptions.HTTPError, BotoCoreError, OSError)
_MADE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_MISSING = {"404", "NoSuchKey", "NotFound"}
_BUSY = {"503", "SlowDown", "ServiceUnavailable", "InternalError", "500", "RequestTimeout"}


def s3_client(settings: S3Settings, patience_s: float | None = None) -> Any:
    """A client of the object store; it asks again, with pauses, when the store is busy. Raises ConfigError without keys.

    With ``patience_s`` it asks once, and says after so many seconds that the store does not answer.
    """
    if settings.access_key is None or settings.secret_key is None:
        raise ConfigError("s3.access_key and s3.secret_key are not set: write them to secrets.yaml in the home folder")
    if patience_s is None:
        patience = {"connect_timeout": 5, "read_timeout": 60, "retries": {"mode": "standard", "max_attempts": 5}}
    else:
        patience = {"connect_timeout": patience_s, "read_timeout": patience_s, "retries": {"total_max_attempts": 1}}
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=settings.access_key.get_secret_value(),
        aws_secret_access_key=settings.secret_key.get_secret_value(),
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"} if settings.endpoint else {}, **patience),
    )


def make_bucket(settings: S3Settings, bucket: str) -> None:
    """Make a bucket; one that is there already is left as it is. Raises StorageError."""
    options: dict[str, Any] = {}
    if settings.endpoint is None and settings.region != "us-east-1":
        options = {"CreateBucketConfiguration": {"LocationConstraint": settings.region}}
    try:
        s3_client(settings).create_bucket(Bucket=bucket, **options)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MADE:
            raise StorageError(
                f"s3://{bucket}: the bucket is missing and cannot be made: {error}: make it, or name another", bucket=bucket
            ) from error
    except (BotoCoreError, ValueError) as error:
        raise StorageDown(f"s3://{bucket}: the object store does not answer: {error}", bucket=bucket) from error


@dataclass(frozen=True, slots=True)
class S3Storage:
    """Objects of ``bucket`` whose keys begin with ``prefix/``. An object appears whole or not at all; the newest write wins.

    There is no rename in S3: ``rename`` copies, then deletes, so a process that is killed between leaves both, never none.
    """

    client: Any
    bucket: str
    prefix: str

    def list(self, pattern: str = "**/*") -> list[Entry]:
        """See Storage.list; a thousand objects a call."""
        wanted = compile_glob(pattern)
        start = f"{self.prefix}/" if self.prefix else ""
        fixed = pattern.split("*", 1)[0].split("?", 1)[0]
        found: list[Entry] = []
        with self._failures(pattern):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start + fixed):
                for item in page.get("Contents", ()):
                    path = item["Key"].removeprefix(start)
                    if wanted.fullmatch(path):
                        found.append(Entry(path, item["Size"], item["LastModified"].timestamp()))
        return sorted(found)

    def open_read(self, path: str) -> BufferedReader:
        """See Storage.open_read; the same object to its end, an error if it is replaced meanwhile."""
        key = self._key(path)
        with self._failures(path):
            head = self.client.head_object(Bucket=self.bucket, Key=key)
        breaks: list[Exception] = []

        def open_at(offset: int) -> Any:
            with self._failures(path):
                return self.client.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={offset}-", IfMatch=head["ETag"]
                )["Body"]  # fmt: skip

        def lost(error: Exception) -> None:
            breaks.append(error)
            if len(breaks) > _BREAKS:
                raise StorageDown(f"{self._url(path)}: the connection breaks again and again: {error}", path=path) from error

        return open_ranged(open_at, head["ContentLength"], _BROKEN, lost)

    def write_atomic(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """See Storage.write_atomic; in parts when large. The store checks each part against the checksum sent with it."""
        key = self._key(path)
        with tempfile.SpooledTemporaryFile(max_size=2 * _PART) as kept:
            for piece in [data] if isinstance(data, bytes) else data:
                kept.write(piece)
            kept.seek(0)
            with self._failures(path):
                self.client.upload_fileobj(kept, self.bucket, key, Config=_TRANSFER)

    def rename(self, source: str, target: str) -> None:
        """See S3Storage: a copy and a deletion."""
        start, end = self._key(source), self._key(target)
        if start == end:
            return
        with self._failures(source):
            self.client.copy({"Bucket": self.bucket, "Key": start}, self.bucket, end, Config=_TRANSFER)
            self.client.delete_object(Bucket=self.bucket, Key=start)

    def delete(self, path: str) -> None:
        """See Storage.delete."""
        key = self._key(path)
        with self._failures(path):
            self.client.head_object(Bucket=self.bucket, Key=key)
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def exists(self, path: str) -> bool:
        """See Storage.exists."""
        key = self._key(path)
        with self._failures(path):
            try:
                self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return False
                raise
        return True

    def checksum(self, path: str) -> str:
        """See Storage.checksum."""
        with self.open_read(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{check_path(path)}" if self.prefix else check_path(path)

    def _url(self, path: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}/{path}" if self.prefix else f"s3://{self.bucket}/{path}"

    @contextmanager
    def _failures(self, path: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._translate(error, path) from error
        except (BotoCoreError, boto3.exceptions.Boto3Error) as error:
            line = str(error).split("\n", 1)[0]
            raise StorageDown(f"{self._url(path)}: S3 does not answer (settings s3.endpoint): {line}", path=path) from error

    def _translate(self, error: ClientError, path: str) -> StorageError:
        code = str(error.response["Error"]["Code"])
        if code in _MISSING:
            return StorageError(f"{self._url(path)}: no such object: check that it is there", path=path)
        if code == "NoSuchBucket":
            return StorageError(f"{self._url(path)}: there is no bucket {self.bucket}: make it first", path=path)
        if code in {"PreconditionFailed", "412"}:
            return StorageError(f"{self._url(path)} was replaced while it was read: read it again", path=path)
        if code in _BUSY:
            return StorageDown(f"{self._url(path)}: the object store is busy or failing ({code}): try again later", path=path)
        return StorageError(f"{self._url(path)}: the object store refuses: {code}: check keys and permissions", path=path)
