"""Masks of fields that hold secrets or persons: what stands in the table instead of the text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import SecretStr
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.classic.column import Column as ClassicColumn

from core.errors import RuleError

MARK = "***"
_BLOCK = 64
_SHOWN = 4


class Mask(StrEnum):
    """``redact``: a fixed mark; ``last4``: the mark and the last four characters.

    ``hash``: keyed, so that equal texts stay equal, and who has no key cannot tell by a dictionary which they were.
    """

    REDACT = "redact"
    HASH = "hash"
    LAST4 = "last4"


def find_key(keys: Mapping[str, SecretStr], name: str, where: str) -> bytes:
    """The key of that name; raises RuleError, opening with ``where``, when there is none."""
    if name not in keys:
        raise RuleError(
            f"{where}: it is masked by key {name!r}, which the settings lack: set 'rules.keys.{name}' in secrets.yaml in the "
            "home folder"
        )
    return keys[name].get_secret_value().encode()


def masked(text: Column, mask: Mask, key: bytes) -> Column:
    """What the table holds of ``text``; null of null. ``key`` is for a hash."""
    if mask is Mask.HASH:
        return _keyed_hash(text, key)
    if mask is Mask.REDACT:
        return F.when(text.isNotNull(), F.lit(MARK))
    end = F.when(F.length(text) >= 2 * _SHOWN, F.right(text, F.lit(_SHOWN))).otherwise("")  # of a short text it would be most
    return F.concat(F.lit(MARK), end, F.left(text, F.lit(0)))


def _keyed_hash(text: Column, key: bytes) -> Column:
    """HMAC-SHA-256 (RFC 2104) of the text in UTF-8, as 64 hexadecimal digits."""
    block = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
    pads = _opaque([bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C)])
    first = F.least(F.length(text), F.lit(0))  # always 0, but not for Spark, which would fold it and write the key in its plans
    inner = F.unhex(F.sha2(F.concat(F.get(pads, first), F.encode(text, "UTF-8")), 256))
    return F.sha2(F.concat(F.get(pads, first + 1), inner), 256)


def _opaque(values: list[bytes]) -> Column:
    """A constant array, of which the text of a plan shows where it lies in memory and not what is in it."""
    context: Any = SparkSession.active().sparkContext
    jvm, gateway = context._jvm, context._gateway  # noqa: SLF001
    items = gateway.new_array(jvm.java.lang.Object, len(values))
    for place, value in enumerate(values):
        items[place] = bytearray(value)
    catalyst = "org.apache.spark.sql.catalyst"
    data = getattr(jvm, f"{catalyst}.util.GenericArrayData")(items)
    kind = getattr(jvm, "org.apache.spark.sql.types.DataType").fromDDL("array<binary>")
    literal = getattr(jvm, f"{catalyst}.expressions.Literal")(data, kind)
    return ClassicColumn(getattr(jvm, "org.apache.spark.sql.classic.ExpressionUtils").column(literal))
