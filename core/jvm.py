"""How a driver's JVM starts sooner: its classes are mapped from an archive (Java's class-data sharing, JEP 350)."""

from __future__ import annotations

import shlex
from pathlib import Path

JAVA_OPTIONS = "spark.driver.extraJavaOptions"


def class_archive(jars: Path) -> Path:
    """Where the archive for drivers with these jars lies: ``python -m jobs.class_archive`` writes it."""
    return jars.absolute() / "classes.jsa"


def java_options(jars: Path, *others: str) -> str:
    """The options of a driver's JVM as one text: the archive, where there is one, and ``others``.

    Java takes no notice of an archive that another Java or other jars made.
    """
    archive = class_archive(jars)
    sharing = [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds*=off"] if archive.is_file() else []
    return " ".join(filter(None, (shlex.join(sharing), *others)))
