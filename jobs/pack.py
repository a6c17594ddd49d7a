"""What executors import and run in: our packages as a zip, and the locked packages that they need as an archive.

Both are named by their content, made when they are not there yet, and lie in ``home/dist``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ConfigError
from core.settings import Settings

PACKAGES = ("core", "etl", "training", "serving", "monitoring", "jobs")
GROUP = "executors"
"""The dependency group of ``pyproject.toml`` that says what executors need."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_ROOT = Path(__file__).parents[1]
_PYTHON = """#!/bin/sh
# The node's Python with the packages of this archive, and no others.
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}$here/lib" PYTHONNOUSERSITE=1 exec python3.11 -S "$@"
"""


def pack_code(settings: Settings) -> Path:
    """The zip ``maas-DIGEST.zip`` of our packages: the same sources give the same file."""
    files = list(_sources(_ROOT))
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    place = _dist(settings) / f"maas-{digest.hexdigest()[:16]}.zip"
    if not place.is_file():
        with _written(place) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in files:
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return place


def pack_environment(settings: Settings) -> Path:
    """The archive ``maas-env-DIGEST.tar.gz`` of the locked packages of the group ``executors``; some 15 s the first time.

    In it, ``bin/python`` runs the node's Python 3.11 with those packages alone. Raises ConfigError without uv or a lock.
    """
    locked = _uv("export", "--frozen", "--only-group", GROUP, "--no-header", "--no-annotate", "--no-emit-project")
    digest = hashlib.sha256(f"{locked}{_PYTHON}".encode()).hexdigest()
    place = _dist(settings) / f"maas-env-{digest[:16]}.tar.gz"
    if not place.is_file():
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".environment-") as name:
            folder = Path(name)
            _fill(folder, locked)
            with _written(place) as part, tarfile.open(part, "w:gz", compresslevel=1) as archive:
                archive.add(folder / "bin", "bin")
                archive.add(folder / "lib", "lib", filter=_needed)
    return place


def _fill(folder: Path, locked: str) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(locked, encoding="utf-8")
    install = ("pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(folder / "lib"))
    _uv(*install, "--requirements", str(requirements))
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(_PYTHON, encoding="utf-8")
    python.chmod(0o755)


def _needed(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    parts = Path(entry.name).parts
    return None if "__pycache__" in parts or parts[1:2] == ("bin",) or parts[2:3] == ("tests",) else entry


def _uv(*arguments: str) -> str:
    uv = shutil.which("uv", path=f"{_ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        raise ConfigError("uv is missing, which installs what uv.lock names: run `make setup`")
    done = subprocess.run([uv, *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise ConfigError(f"uv {arguments[0]} failed: {lines[-1]}")
    return done.stdout


def _sources(root: Path) -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix(), path


def _dist(settings: Settings) -> Path:
    folder = settings.at_home(Path("dist"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _written(place: Path) -> Iterator[Path]:
    """A file that becomes ``place`` when the block ends well; of two that write it at once, either may win."""
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
