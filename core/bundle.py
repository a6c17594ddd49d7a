"""Bundles: a folder that holds all a server needs of one model version, every byte of it under a digest.

::

    manifest.json    {"format", "name", "created", "facts", "files": {NAME: {"sha256", "bytes"}}}
    model.onnx       input `features` float32 [batch, d]; output [batch] or [batch, k]
    features.json    the fitted transforms (core.features)
    signature.json   the raw record that is taken, and the columns of the answer
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.contracts import Dtype, Signature
from core.errors import CorruptFile, DiskFull, MaasError, ModelError, ModelNotFound, StorageError
from core.features.fitted import FittedFeatures
from core.storage.whole import is_full, sync_folder

FORMAT = "maas-bundle/1"
MANIFEST = "manifest.json"
_ONNX, _FEATURES, _SIGNATURE = "model.onnx", "features.json", "signature.json"
_FILES = frozenset({_ONNX, _FEATURES, _SIGNATURE})
_MAX_MANIFEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """One model version, as it was written."""

    name: str
    signature: Signature
    features: FittedFeatures
    onnx: bytes
    facts: Mapping[str, Any]
    digest: str
    """sha256 of ``manifest.json``, which holds the digests of the other files."""


def write_bundle(
    folder: Path, *, name: str, onnx: bytes, features: FittedFeatures, signature: Signature, facts: Mapping[str, Any]
) -> str:
    """Write a bundle to ``folder``, whole or not at all, and return the sha256 of its manifest in hex.

    ``facts`` is any JSON object. Raises ModelError when the signature does not hold the columns that the features read,
    StorageError when ``folder`` exists already or cannot be written, DiskFull when no space is left.
    """
    _check_columns(str(folder), signature, features)
    files = {_ONNX: onnx, _FEATURES: _to_bytes(features.to_json()), _SIGNATURE: _to_bytes(signature.to_json())}
    manifest = _to_bytes(
        {
            "format": FORMAT,
            "name": name,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "facts": dict(facts),
            "files": {file: {"sha256": _sha256(data), "bytes": len(data)} for file, data in sorted(files.items())},
        }
    )
    try:
        _write_whole(folder, {**files, MANIFEST: manifest})
    except OSError as error:
        raise _storage_error(folder, error) from error
    return _sha256(manifest)


def open_bundle(folder: Path, expected_manifest_sha256: str | None = None) -> Bundle:
    """Read the bundle in ``folder``. Every digest is verified before a file is parsed.

    Raises ModelNotFound when there is no folder, CorruptFile when the bytes are not those that were written, and ModelError
    when they are, but do not make a bundle of this format.
    """
    if not folder.is_dir() or folder.is_symlink():
        raise ModelNotFound(f"{folder}: no bundle there: publish the model again", folder=str(folder))
    _check_listing(folder)
    manifest_bytes = _read(folder / MANIFEST, limit=_MAX_MANIFEST)
    digest = _sha256(manifest_bytes)
    if expected_manifest_sha256 is not None and digest != expected_manifest_sha256:
        raise CorruptFile(
            f"{folder / MANIFEST}: sha256 is {digest}, expected {expected_manifest_sha256}: fetch the version again",
            file=str(folder / MANIFEST),
        )
    manifest = _parse(folder / MANIFEST, manifest_bytes)
    expected = _expected_files(folder / MANIFEST, manifest)
    data = {name: _read_verified(folder / name, *facts) for name, facts in expected.items()}
    return _build(folder, manifest, data, digest)


def _build(folder: Path, manifest: Mapping[str, Any], data: Mapping[str, bytes], digest: str) -> Bundle:
    try:
        signature = Signature.from_json(_parse(folder / _SIGNATURE, data[_SIGNATURE]))
        features = FittedFeatures.from_json(_parse(folder / _FEATURES, data[_FEATURES]))
    except MaasError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder}: signature or features are of an unknown form: {error!r}", folder=str(folder)) from error
    _check_columns(str(folder), signature, features)
    return Bundle(manifest["name"], signature, features, data[_ONNX], manifest["facts"], digest)


def _check_columns(where: str, signature: Signature, features: FittedFeatures) -> None:
    known = {column.name: column.dtype for column in signature.inputs}
    if len(known) != len(signature.inputs):
        raise ModelError(f"{where}: the signature names an input twice")
    if not signature.outputs:
        raise ModelError(f"{where}: the signature has no output")
    for column in features.inputs:
        dtype = known.get(column.name)
        if dtype is None:
            raise ModelError(f"{where}: the features read column {column.name!r}, which the signature does not hold")
        if (dtype is Dtype.STRING) != (column.dtype is Dtype.STRING):
            raise ModelError(f"{where}: column {column.name!r} is {dtype} in the signature, {column.dtype} in the features")


def _check_listing(folder: Path) -> None:
    found = {entry.name for entry in os.scandir(folder)}
    if extra := sorted(found - _FILES - {MANIFEST}):
        raise CorruptFile(f"{folder}: holds {extra[0]!r}, which is no part of a bundle", folder=str(folder))
    if missing := sorted((_FILES | {MANIFEST}) - found):
        raise CorruptFile(f"{folder}: {missing[0]} is missing: fetch the version again", folder=str(folder))


def _expected_files(path: Path, manifest: Any) -> dict[str, tuple[str, int]]:
    try:
        if manifest["format"] != FORMAT:
            raise ModelError(f"{path}: format is {manifest['format']!r}, this platform reads {FORMAT!r}", file=str(path))
        files = {name: (str(facts["sha256"]), int(facts["bytes"])) for name, facts in manifest["files"].items()}
        if set(files) != _FILES or not isinstance(manifest["name"], str) or not isinstance(manifest["facts"], dict):
            raise ModelError(f"{path}: a bundle has a name, facts, and the files {', '.join(sorted(_FILES))}", file=str(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: not a manifest of {FORMAT!r}: {error!r}", file=str(path)) from error
    return files


def _read_verified(path: Path, sha256: str, size: int) -> bytes:
    data = _read(path, limit=size)
    if len(data) != size or _sha256(data) != sha256:
        raise CorruptFile(f"{path}: its sha256 is not the one in the manifest: fetch the version again", file=str(path))
    return data


def _read(path: Path, *, limit: int) -> bytes:
    """The bytes of a regular file, no link; at most one more than ``limit``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CorruptFile(f"{path}: not a regular file", file=str(path))
            return file.read(limit + 1)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise CorruptFile(f"{path}: a symbolic link, which a bundle may not hold", file=str(path)) from error
        raise StorageError(f"{path}: cannot be read: {error.strerror}", file=str(path)) from error


def _write_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        raise FileExistsError(errno.EEXIST, "exists already", str(folder))
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, data in files.items():
            with (part / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        part.chmod(0o755)
        sync_folder(part)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def _storage_error(folder: Path, error: OSError) -> StorageError:
    if is_full(error):
        return DiskFull(f"{folder}: disk full: free some space and publish again", folder=str(folder))
    if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
        return StorageError(f"{folder}: exists already: a bundle is never written over", folder=str(folder))
    return StorageError(f"{folder}: cannot be written: {error.strerror or error}", folder=str(folder))


def _parse(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON: {error}", file=str(path)) from error


def _to_bytes(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, indent=1, allow_nan=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
