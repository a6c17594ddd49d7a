"""Many patterns in a row, tried at the price of one, read what they read one by one."""

import random
import re

STRING = {"type": "string"}
WORDS = ("open", "close", "read", "écrit", "a.b", "[x]")


def patterns(rng: random.Random) -> list[str]:
    """Some take what others take as well, some nothing at all, some only short records."""
    made = [rf"(?<who>\w+) {re.escape(rng.choice(WORDS))} (?<what>.*)" for _ in range(9)]
    made += [rf"(?<who>[a-z]+) (?<what>\w+) {n}" for n in range(3)]
    made += [r"(?<who>(?:\w+ )*\w+)(?<what>!?)", r"(?i)(?<who>user) (?<what>NOBODY)", r"(?<who>)(?<what>.)"]
    return rng.sample(made, len(made))


def records(rng: random.Random) -> list[bytes]:
    words = [*WORDS, "user", "USER", "nobody", "x\u0001y", "0", "1", "!"]
    texts = [" ".join(rng.choices(words, k=rng.randrange(5))) + rng.choice(["", "", "!"]) for _ in range(400)]
    return [*(text.encode() for text in texts), b"\xff", b"user " * 400 + b"x"]


def test_the_first_rule_that_takes_a_record_is_the_same(run, table_rules) -> None:
    rng = random.Random(11)
    rules = [
        {
            "name": f"r{n}",
            "kind": "regex",
            "pattern": pattern,
            "fields": {"who": STRING, "what": {**STRING, "default": f"none {n}"}},
        }
        for n, pattern in enumerate(patterns(rng))
    ]
    lines = records(rng)
    alone = [{**rule, "when": "true"} for rule in rules]  # rules with a condition are tried one by one
    last = {"name": "last", "kind": "json", "fields": {"who": STRING}}

    together = run(table_rules(*rules, last), [*lines, b'{"who":"j"}'])
    apart = run(table_rules(*alone, last), [*lines, b'{"who":"j"}'])

    def read(rows) -> list[tuple]:
        return [(row["_rule"], row["who"], row["what"], row["_problem"]) for row in rows]

    assert len({row["_rule"] for row in apart}) > 6
    assert read(together) == read(apart)
