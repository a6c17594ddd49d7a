"""What holds for any lines: order, partitions and bounds change nothing but what they must."""

from __future__ import annotations

import pickle
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.discovery.templates.masking import LONGEST, MARK
from etl.discovery.templates.miner import Miner, mine
from etl.discovery.templates.sample import Sample

WORDS = [
    "user",
    "root",
    "anna",
    "opened",
    "closed",
    "IDLE",
    "BUSY",
    "a.b.c",
    "/x/y",
    "17",
    "0x1f",
    "k=v",
    "k=",
    "(3)",
    "()",
    "5",
    "ms",
]
PUNCTUATED = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", ", ", ": ", "=", "  ", " (", ") "])), max_size=7
).map(lambda parts: "".join(word + after for word, after in parts))
LINES = st.lists(PUNCTUATED | st.text(max_size=20), max_size=40)


def mined(lines: list[str], signatures: int = 1000) -> list[tuple[str, int]]:
    miner = Miner(signatures)
    miner.add(lines)
    return [(template.text, template.lines) for template in miner.templates()]


@given(lines=LINES, cut=st.integers(0, 40), bound=st.sampled_from([1, 3, 8, 1000]))
@settings(max_examples=80, deadline=None)
def test_merged_partitions_are_one_pass(lines, cut, bound):
    whole, first, second = Miner(bound), Miner(bound), Miner(bound)
    whole.add(lines)
    first.add(lines[:cut])
    second.add(lines[cut:])

    second.merge(pickle.loads(pickle.dumps(first)))

    assert second.lines == whole.lines == len(lines)
    assert list(second.templates()) == list(whole.templates())


@given(lines=LINES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_of_lines_changes_nothing(lines, data):
    assert mined(data.draw(st.permutations(lines))) == mined(lines)


@given(lines=LINES, bound=st.sampled_from([2, 1000]))
@settings(max_examples=60, deadline=None)
def test_asking_early_changes_nothing(lines, bound):
    miner = Miner(bound)
    for line in lines:
        miner.add([line])
        miner.templates()

    assert [(template.text, template.lines) for template in miner.templates()] == mined(lines, bound)


@given(lines=LINES)
@settings(max_examples=80, deadline=None)
def test_each_line_is_of_one_template_and_counted_there(lines):
    templates, numbers = mine(lines)

    assert None not in numbers
    assert [numbers.count(i) for i in range(len(templates))] == [template.lines for template in templates]
    assert templates.match(lines) == numbers


@given(lines=st.lists(PUNCTUATED, max_size=40))
@settings(max_examples=80, deadline=None)
def test_a_template_reads_as_a_pattern_of_its_lines(lines):
    templates, numbers = mine(lines)

    for line, number in zip(lines, numbers, strict=True):
        assert number is not None
        parts = templates[number].text.split(MARK)
        pattern = ".*".join(r"\s+".join(map(re.escape, re.split(r"\s+", part))) for part in parts)
        assert re.fullmatch(rf"\s*{pattern}\s*", line, re.DOTALL), templates[number].text


def test_no_lines_have_no_templates():
    templates, numbers = mine([])

    assert (list(templates), numbers) == ([], [])
    assert templates.match(["a"]) == [None]


@pytest.mark.parametrize("line", ["", " ", "\t", "\x00\x01\x1b[0m", "a\nb", "\ud800", "<*>", "<*", "((((", '"', "é" * 300, "٣ ٤"])
def test_one_odd_line_is_one_template(line):
    templates, numbers = mine([line, line])

    assert (len(templates), numbers) == (1, [0, 0])


def test_a_line_with_a_line_end_inside_does_not_shift_the_others():
    templates, numbers = mine(["a\nb 1", "c 2", "a\nb 3", "c 4"])

    assert numbers[0] == numbers[2] != numbers[1] == numbers[3]
    assert sorted(template.lines for template in templates) == [2, 2]


@pytest.mark.parametrize("unit", ["x", "word ", "a.", "=", "..", "1 ", "((", "a@", "Jan ", "x=y ", '"', "/", "ab:", "[]", "<"])
def test_a_very_long_line_is_looked_at_in_part(unit):
    line = "event: " + unit * (1_000_000 // len(unit))

    templates, numbers = mine([line, f"{line}tail", "event"])

    assert numbers[0] == numbers[1] != numbers[2]
    assert max(len(template.text) for template in templates) <= LONGEST * len(MARK)


def test_many_users_leave_the_rare_events_their_place():
    names = [
        f"{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10 % 10]}{'uvwxyz'[i // 100 % 6]}{'ghijkl'[i // 600]}" for i in range(3600)
    ]
    lines = [f"welcome back dear {name}" for name in names] + ["disk (main) full", "shutting down"]

    assert mined(lines, 100)[1:] == [("disk (main) full", 1), ("shutting down", 1)]
    assert mined(lines, 100)[0][0] == "welcome back dear <*>"


def test_ten_thousand_different_lines_are_held_in_bounded_memory():
    miner = Miner(500)
    letters = "abcdefghijklmnopqrstuvwxyz"
    spell = ["".join(letters[i // 26**p % 26] for p in range(3)) for i in range(10_000)]

    for i, word in enumerate(spell):
        miner.add([f"{word} {spell[-i]}, {word}:{spell[i // 2]}"])
        assert sum(1 for _ in miner._sample) <= 1000

    assert miner.lines == 10_000
    assert sum(1 for _ in miner.templates()) <= 500
    assert sys.getsizeof(miner._remembered) < 4 << 20


def test_lines_that_were_not_mined_find_their_template_or_none():
    miner = Miner()
    miner.add([f"good bye dear {name} see you" for name in ("anna", "boris", "chen", "dora", "emil")])
    templates = miner.templates()

    assert templates.match(["good bye dear zoe see you", "good bye"]) == [0, None]


def test_a_sample_counts_exactly_what_it_keeps():
    whole = Sample(4)
    for i in range(60):
        whole.add((" ",), f"s{i % 12}", 1)
    whole.add(("", ":"), "rare", 7)
    whole.settle()

    kept = dict(whole)
    assert len(kept) <= 4
    assert kept.pop("rare") == 7
    assert set(kept.values()) == {5}
