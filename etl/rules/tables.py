"""Names of tables in files of rules."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from core.contracts import TableName
from core.errors import ConfigError


def _table(value: Any) -> TableName:
    if isinstance(value, TableName):
        return value
    try:
        return TableName.parse(str(value))
    except ConfigError as error:
        raise ValueError(error.message) from error


_WRITTEN = {
    "type": "string",
    "description": "layer.name, for example raw.flights",
    "pattern": r"^(raw|extracted)\.[a-z][a-z0-9_]{0,62}$",
}
Table = Annotated[TableName, BeforeValidator(_table), PlainSerializer(str), WithJsonSchema(_WRITTEN)]
