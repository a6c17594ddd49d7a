"""A log of any length from invented statements, whose values differ from line to line."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Iterator

VALUES = ("int", "float", "hex", "address", "path", "user", "uuid", "host", "duration")
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


def statements(count: int, rng: random.Random) -> list[list[str]]:
    """Statements as lists of words, with ``{kind}`` where a value stands."""
    made: dict[str, list[str]] = {}
    while len(made) < count:
        words = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(rng.randint(3, 9))]
        for _ in range(rng.randint(0, 4)):
            words.insert(rng.randint(1, len(words)), f"{{{rng.choice(VALUES)}}}")
        made[" ".join(words)] = words
    return list(made.values())


def lines(count: int, kinds: list[list[str]], rng: random.Random) -> Iterator[tuple[int, str]]:
    """Lines with the number of their statement; a few statements have most of the lines."""
    weights = [1 / (i + 1) for i in range(len(kinds))]
    for number in rng.choices(range(len(kinds)), weights, k=count):
        yield number, " ".join(_value(word[1:-1], rng) if word[0] == "{" else word for word in kinds[number])


def _value(kind: str, rng: random.Random) -> str:  # noqa: PLR0911  one line for each kind
    if kind == "int":
        return str(rng.randrange(10 ** rng.randint(1, 9)))
    if kind == "float":
        return f"{rng.uniform(-1000, 1000):.3f}"
    if kind == "hex":
        return f"0x{rng.randrange(2**32):08x}"
    if kind == "address":
        return f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}:{rng.randrange(1024, 65536)}"
    if kind == "path":
        return "/var/" + "/".join(rng.choices(string.ascii_lowercase, k=4))
    if kind == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    if kind == "host":
        return f"node-{rng.randrange(500)}.rack{rng.randrange(40)}.example.org"
    if kind == "duration":
        return f"{rng.randrange(5000)}ms"
    return "".join(rng.choices(string.ascii_lowercase, k=6))
