"""Which table and version a damaged data file belongs to, and which version does without it."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from core.contracts import Layer, TableName
from core.errors import ConfigError, CorruptFile
from core.lake.catalog import Lake


def explain_damage(lake: Lake, error: CorruptFile) -> CorruptFile:
    """``error`` with the table and version that added the file in ``facts["path"]``; as it is when no table of the lake did."""
    root = urlsplit(lake.place).path
    place = unquote(str(error.facts.get("path", "")))
    parts = place.removeprefix(f"{root}/").split("/", 2)
    if not place.startswith(f"{root}/") or len(parts) < 3 or parts[0] not in set(Layer):  # noqa: PLR2004 — layer, table, path
        return error
    try:
        table = TableName.parse(f"{parts[0]}.{parts[1]}")
    except ConfigError:
        return error
    version = _added(lake, table, parts[2])
    if version is None:
        return error
    back = f"version {version - 1} does without it: `maas restore --table {table} --force` goes back to a backup of it"
    return CorruptFile(
        f"{error.message} ({table} has it since version {version}{f'; {back}' if version else ''})",
        path=place,
        table=str(table),
        version=version,
    )


def _added(lake: Lake, table: TableName, path: str) -> int | None:
    """The version whose commit added the data file, as far as the log goes back."""
    for version, actions in lake.log(table).commits_backwards():
        if any(unquote(unquote(action["add"]["path"])) == path for action in actions if "add" in action):
            return version
    return None
