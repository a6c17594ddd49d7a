"""The bundle cache: the folder of model versions that a server loads, made from the registry.

``CACHE/NAME/VERSION/`` is a bundle; ``CACHE/index.json`` names them::

    {"models": {"flights": {"aliases": {"active": 3}, "versions": {"3": {"sha256": "…"}}}}}
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from core.bundle import MANIFEST, open_bundle
from core.contracts import ModelUid
from core.errors import CorruptFile, DiskFull, MaasError, ModelError, ModelNotFound, StorageError
from core.registry.artifacts import S3, is_inside
from core.registry.flavour import DATA
from core.registry.versions import ModelInfo, ModelVersion, Registry
from core.settings import Settings
from core.storage.whole import is_full, write_whole

INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class Index:
    """What a cache holds after ``sync``."""

    models: Mapping[str, Mapping[str, Any]]
    """By model name: ``aliases`` and ``versions``, as in ``index.json``."""
    refused: tuple[MaasError, ...]
    """Why a version could not be had; the other versions are there."""


@dataclass(frozen=True, slots=True)
class BundleCache:
    """Bundles of registered versions in a local folder."""

    registry: Registry
    folder: Path

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The cache that the settings name."""
        return cls(Registry.open(settings), settings.at_home(settings.serving.bundles))

    def fetch(self, version: ModelVersion) -> Path:
        """The folder of the version's bundle, copied from the registry unless it is here already.

        A copy is verified wholly before it takes its place; what is here is checked by its manifest and sizes, since whoever
        opens it verifies the rest. Raises CorruptFile naming version and file when the registry's bytes are not those that were
        published, ModelError when they are gone.
        """
        target = self._place(version)
        if _holds(target, version.bundle_sha256):
            return target
        with _explained(self.folder), self._alone():
            return self._fetch(version)

    def sync(self) -> Index:
        """Fetch every version that an alias names and write ``index.json``, atomically.

        Versions fetched earlier stay in the index while they are registered.
        """
        with _explained(self.folder), self._alone():
            models: dict[str, dict[str, Any]] = {}
            refused: list[MaasError] = []
            for info in self.registry.models():
                versions = self._versions(info, refused)
                aliases = {alias: version for alias, version in sorted(info.aliases.items()) if str(version) in versions}
                if versions:
                    models[info.name] = {"aliases": aliases, "versions": versions}
            index = json.dumps({"models": models}, indent=1, sort_keys=True)
            write_whole(self.folder / INDEX, index.encode(), 0o644)
        return Index(models, tuple(refused))

    def _fetch(self, version: ModelVersion) -> Path:
        target = self._place(version)
        if _holds(target, version.bundle_sha256):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{version.version}-", dir=target.parent))
        try:
            self._copy(version, part / "new")
            _verify(part / "new", version)
            if target.exists():  # damaged
                target.rename(part / "old")
            (part / "new").rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return target

    def _versions(self, info: ModelInfo, refused: list[MaasError]) -> dict[str, Any]:
        found = {}
        for version in info.versions:
            try:
                if version.aliases:
                    self._fetch(version)
                elif not _holds(self._place(version), version.bundle_sha256):
                    continue
                found[str(version.version)] = {"sha256": version.bundle_sha256}
            except DiskFull:
                raise
            except MaasError as error:
                if version.aliases:
                    refused.append(error)
        return found

    def _place(self, version: ModelVersion) -> Path:
        uid = ModelUid.parse(str(version.uid))  # a name that could leave the folder is none
        return self.folder / uid.name / str(uid.version)

    def _copy(self, version: ModelVersion, target: Path) -> None:
        """Copy the bundle from the artifacts. What its maker wrote as a version's source is not followed outside our root."""
        store, uid = self.registry.store, str(version.uid)
        uri = store.call(lambda client: client.get_model_version_download_uri(version.name, str(version.version)))
        source = f"{uri.rstrip('/')}/{DATA}"
        if not is_inside(source, store.artifacts):
            raise ModelError(f"model {uid}: its files do not lie in {store.artifacts}: publish it again", uid=uid)
        if source.startswith(S3):
            found = store.download(source, target)
        else:
            folder = Path(unquote(urlsplit(source).path))
            found = folder.is_dir() and bool(shutil.copytree(folder, target, symlinks=True))
        if not found:
            raise ModelError(f"model {uid}: its files are gone from {source}: publish it again", uid=uid, folder=source)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process changes the folder at a time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _holds(folder: Path, digest: str) -> bool:
    """Whether a bundle with that digest lies in ``folder``, by its manifest and the sizes in it."""
    try:
        manifest = (folder / MANIFEST).read_bytes()
        if hashlib.sha256(manifest).hexdigest() != digest:
            return False
        files = json.loads(manifest)["files"]
        return all((folder / name).stat().st_size == facts["bytes"] for name, facts in files.items())
    except (OSError, ValueError):
        return False


def _verify(folder: Path, version: ModelVersion) -> None:
    try:
        open_bundle(folder, version.bundle_sha256)
    except (CorruptFile, ModelNotFound) as error:
        file = Path(str(error.facts.get("file", MANIFEST))).name
        raise CorruptFile(
            f"model {version.uid}: {file} in the registry is not what was published: publish the model again",
            uid=str(version.uid),
            file=file,
        ) from error


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFull(f"{folder}: disk full: free some space and run again", folder=str(folder)) from error
        raise StorageError(f"{folder}: {error.strerror or error}", folder=str(folder)) from error
