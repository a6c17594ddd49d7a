"""Where model files lie: a folder, or a bucket's prefix, which MLflow reaches by what stands in the environment."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

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
