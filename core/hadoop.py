"""Hadoop's configuration as a client's options, handed over explicitly: nothing depends on a process's environment."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from pathlib import Path

from core.errors import ConfigError
from core.settings import Settings

_FILES = ("core-site.xml", "hdfs-site.xml")
_PREFIXES = ("dfs.", "fs.defaultFS", "hadoop.security.")
_PATIENCE = {
    "dfs.client.failover.max.attempts": "8",
    "dfs.client.failover.sleep.base.millis": "200",
    "dfs.client.failover.sleep.max.millis": "3000",
}
"""A NameNode may be away for about fifteen seconds (17 s measured until the error)."""


def client_options(settings: Settings) -> dict[str, str]:
    """The properties that a native client of HDFS takes, from ``settings.hdfs.conf``; what it does not say has our defaults.

    Sets the user's name for this process, which native clients look for in the environment alone, unless one is set.
    Raises ConfigError when a file there is not XML.
    """
    if not settings.hdfs.kerberos:
        os.environ.setdefault("HADOOP_USER_NAME", settings.hdfs.user)
    found = dict(_PATIENCE)
    if settings.hdfs.conf is not None:
        folder = settings.at_home(settings.hdfs.conf)
        for file in (folder / name for name in _FILES):
            found |= {key: value for key, value in _properties(file).items() if key.startswith(_PREFIXES)}
    return found


def _properties(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    try:
        root = ET.parse(file).getroot()  # noqa: S314 — see above
    except ET.ParseError as error:
        raise ConfigError(f"{file}: not XML: {error}", file=str(file)) from error
    return {one.findtext("name", ""): one.findtext("value", "") for one in root.iter("property")}
