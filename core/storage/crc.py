"""HDFS's checksum of a file, computed where the file came from.

Source: FileChecksumHelper of Hadoop 3 ("MD5-of-xMD5-of-yCRC32C"): the CRC-32C (Castagnoli, RFC 3720 B.4) of each y bytes; the
MD5 of the CRCs, big-endian, of a block; the MD5 of the blocks' MD5s. Its buffer of those grows by doubling from 32 bytes, and is
hashed whole.
"""

from __future__ import annotations

import hashlib
import re
from typing import IO

import numpy as np
import numpy.typing as npt

_POLYNOMIAL = 0x82F63B78
_NAME = re.compile(r"MD5-of-([0-9]+)MD5-of-([0-9]+)CRC32C")
_MD5 = 16
_FIRST_BUFFER = 32

Words = npt.NDArray[np.uint32]


def file_checksum(file: IO[bytes], algorithm: str, block_size: int) -> str | None:
    """The checksum in hexadecimal as GETFILECHECKSUM gives it; None when ``algorithm`` is of another form."""
    if (match := _NAME.fullmatch(algorithm)) is None:
        return None
    a_block, step = int(match[1]), int(match[2])
    file.seek(0)
    digests = b""
    while block := file.read(block_size):
        digests += hashlib.md5(_crcs(block, step), usedforsecurity=False).digest()
    buffer = _FIRST_BUFFER
    while buffer < len(digests):
        buffer *= 2
    whole = hashlib.md5(digests.ljust(buffer, b"\0"), usedforsecurity=False).hexdigest()
    return f"{step:08x}{a_block:016x}{whole}"


def _crcs(data: bytes, step: int) -> bytes:
    """The CRC-32C of each ``step`` bytes, big-endian."""
    whole = len(data) // step * step
    values = _columns(np.frombuffer(data, np.uint8, whole).reshape(-1, step))
    if whole < len(data):
        values = np.append(values, _columns(np.frombuffer(data, np.uint8, -1, whole).reshape(1, -1)))
    return values.astype(">u4").tobytes()


def _columns(rows: npt.NDArray[np.uint8]) -> Words:
    crc = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in np.ascontiguousarray(rows.T):
        crc = _TABLE[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
    return crc ^ np.uint32(0xFFFFFFFF)


def _table() -> Words:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> np.uint32(1)) ^ np.uint32(_POLYNOMIAL), values >> np.uint32(1))
    return values


_TABLE = _table()
