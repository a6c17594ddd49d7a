"""Texts in other encodings than UTF-8: how their lines are found, and how they become UTF-8."""

from __future__ import annotations


def to_utf8(value: bytes, encoding: str) -> bytes:
    """The text in UTF-8. Bytes that are not of the encoding stay as they are.

    Should they be UTF-8 by chance, a byte FF follows them: nobody is to read them as what they are not.
    """
    try:
        return value.decode(encoding).encode()
    except UnicodeError:
        pass
    try:
        value.decode()
    except UnicodeError:
        return value
    return value + b"\xff"
