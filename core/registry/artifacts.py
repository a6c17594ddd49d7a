"""Where model files lie: a folder, or a bucket's prefix, which MLflow reaches by what stands in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from core.errors import StorageError
from core.settings import S3Settings

S3 = "s3://"


def environment(s3: S3Settings) -> dict[str, str]:
    """What a process needs in its environment to reach the object store: keys among it, so it goes into no file or argument."""
    found = {"AWS_DEFAULT_REGION": s3.region}
    if s3.endpoint:
        found |= {"MLFLOW_S3_ENDPOINT_URL": s3.endpoint, "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path"}
    if s3.access_key and s3.secret_key:
        found["AWS_ACCESS_KEY_ID"] = s3.access_key.get_secret_value()
        found["AWS_SECRET_ACCESS_KEY"] = s3.secret_key.get_secret_value()
    return found


def is_inside(uri: str, root: str) -> bool:
    """Whether ``uri`` names a place below ``root``, which is an absolute folder or ``s3://BUCKET/prefix``.

    Links of the file system are followed first. The name of an object is taken as it is written, and has no part ``..``.
    """
    if not root.startswith(S3):
        parts = urlsplit(uri)
        plain = parts.scheme in ("", "file") and not (parts.netloc or parts.query or parts.fragment)
        return plain and Path(unquote(parts.path)).resolve().is_relative_to(Path(root).resolve())
    below = root.rstrip("/") + "/"
    if not uri.startswith(below) or set(uri) & set("?#%\\"):
        return False
    return not {"", ".", ".."} & set(uri.removeprefix(below).rstrip("/").split("/"))


def create_bucket(root: str, s3: S3Settings) -> None:
    """Make the bucket of ``root``; one that is there already is left as it is. Raises StorageError."""
    import boto3  # noqa: PLC0415 — takes part of a second
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    bucket = urlsplit(root).netloc
    options: dict[str, Any] = {}
    if s3.endpoint is None and s3.region != "us-east-1":
        options = {"CreateBucketConfiguration": {"LocationConstraint": s3.region}}
    keys = (key.get_secret_value() if key else None for key in (s3.access_key, s3.secret_key))
    names = ("aws_access_key_id", "aws_secret_access_key")
    try:
        client = boto3.client("s3", endpoint_url=s3.endpoint, region_name=s3.region, **dict(zip(names, keys, strict=True)))
        client.create_bucket(Bucket=bucket, **options)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise StorageError(
                f"{S3}{bucket}: the bucket is missing and cannot be made: {error}: make it, or name another in mlflow.artifacts"
            ) from error
    except (BotoCoreError, ValueError) as error:
        raise StorageError(f"{S3}{bucket}: {error}", bucket=bucket) from error
