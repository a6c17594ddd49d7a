"""Which regular expressions are taken, and for how long a record."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.rules.patterns.ambiguity import measure
from etl.rules.patterns.automaton import Automaton, build
from etl.rules.patterns.fixed import fixed_part
from etl.rules.patterns.parse import parse
from etl.rules.patterns.safety import check_pattern
from etl.rules.patterns.syntax import PatternError

LINEAR = [
    r"^(\S+) (\d+)$",
    r"^(?<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)) (?<airport>[A-Z]{3}) (?<minutes>[+-]?\d+)$",
    r"(?:\d{1,3}\.){3}\d{1,3}",
    r"\[(?<level>INFO|WARN|ERROR)\] (?<message>.*)",
    r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    r"[01]*1[01]{64}",
    r"(?i)error: (?<text>.+)",
    r"\Qa.b*c\E\s+(?<rest>\p{Alpha}+)",
    r"(?:foo|bar|baz)?-(?<n>\d+)",
    " ".join([r"(\S+)"] * 20),
]
SHORT = [(r".* .*", 10_000), (r"^\[(.*?)\] (.*)$", 10_000), (r"(.*) - (.*): (.*)", 1_000), (r"(?:\w+ )*\w+", 1_000)]
EXPONENTIAL = [
    r"(a+)+$",
    r"(a|a)*b",
    r"(a|b|ab)*c",
    r"(.*)*",
    r"(\w+\s?)*$",
    r"(x+x+)+y",
    r"(\d+)*",
    r"(a*b?)*",
    r"(?:[a-z]+|\w)*!",
    r"(?:\p{L}+|x)*",
    r"(?i)(?:A|a)*b",
    r"(a++)+",
    r"((?>a+))+",
    r"(?:.*[;,])+x",
]
REFUSED = [
    (r"\d+\.?\d* \d+\.?\d* \d+\.?\d* x", 0, "power of the record's length"),
    (".*.*.*.*", 0, "4th power"),
    ("a?" * 30 + "a" * 30, 0, "too many ways"),
    ("(a|a)" * 20, 0, "too many ways"),
    ("(|)" * 30, 0, "too many ways"),
    ("(" * 10_000 + ")" * 10_000, 10_000, "20,000 characters"),
    ("(" * 4_000 + ")" * 4_000, 51, "nested more than 50 deep"),
    ("a" * 10_000_000, 10_000, "10,000,000 characters"),
    ("a(b", 1, "not closed"),
    ("ab)", 2, "closes nothing"),
    ("[a-", 0, "not closed"),
    ("[]a]", 1, r"write \]"),
    ("[z-a]", 1, "no range"),
    ("[a[b]]", 2, "class within a class"),
    ("[a&&b]", 2, "&&"),
    ("*a", 0, "repeats nothing"),
    ("a{,3}", 1, "no count"),
    ("a{3,2}", 1, "before its start"),
    ("a{2}{3}", 4, "quantifier after a quantifier"),
    ("a{99999}", 1, "count above"),
    ("^*a", 0, "anchor"),
    (r"(a)\1", 3, "backreferences"),
    (r"(?<n>a)\k<n>", 7, "backreferences"),
    ("(?=a)b", 0, "lookahead"),
    ("(?<!a)b", 0, "lookahead and lookbehind"),
    ("(?P<n>a)", 0, "(?<name>…)"),
    ("a(?i)b", 1, "flags only at the start"),
    ("(?x)a b", 2, "flag 'x'"),
    ("(?<n>a)(?<n>b)", 7, "stands twice"),
    (r"\y", 0, r"\y is not taken"),
    (r"\p{Klingon}", 0, "Klingon"),
    ("a\\", 1, "at the end"),
]


@pytest.mark.parametrize("pattern", LINEAR)
def test_a_pattern_of_linear_time_is_taken_for_a_record_of_any_length(pattern: str) -> None:
    assert check_pattern(pattern).longest is None


@pytest.mark.parametrize(("pattern", "longest"), SHORT)
def test_a_pattern_of_quadratic_or_cubic_time_or_of_deep_recursion_is_taken_for_short_records(pattern: str, longest: int) -> None:
    assert check_pattern(pattern).longest == longest


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_a_pattern_that_can_backtrack_exponentially_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="exponentially"):
        check_pattern(pattern)


@pytest.mark.parametrize(("pattern", "position", "said"), REFUSED, ids=[said for _, _, said in REFUSED])
def test_what_is_wrong_or_not_taken_is_said_with_its_position(pattern: str, position: int, said: str) -> None:
    with pytest.raises(PatternError, match=re.escape(said)) as caught:
        check_pattern(pattern)
    assert caught.value.position == position


def test_a_pattern_too_large_to_analyse_is_refused_in_good_time() -> None:
    with pytest.raises(PatternError, match="too large"):
        check_pattern("(?:" + "|".join([f".{{{n}}}x" for n in range(1, 50)]) + ")*")


def test_groups_are_numbered_for_java_in_the_order_in_which_they_open_and_others_do_not_capture() -> None:
    pattern = parse(r"(?<outer>(a)(?<tail_number>b))(?<last>c)")

    assert pattern.names() == ("outer", "tail_number", "last")
    assert pattern.java(("tail_number", "last")) == r"\A(?:(?:(?:a)(b))(c))\z"


patterns = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "c", "ab", "a?", "b*", "a+", "[^a]"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from("*+?")).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=8,
)


def runs(automaton: Automaton, word: str, codes: dict[str, int]) -> list[int]:
    """By state the number of runs over the word that end in it."""
    counts = [1] + [0] * (len(automaton.follow) - 1)
    for letter in word:
        after = [0] * len(counts)
        for p, n in enumerate(counts):
            for q, ways in automaton.follow[p].items() if n else ():
                if automaton.mask[q] & codes[letter]:
                    after[q] += n * ways
        counts = after
    return counts


@given(patterns)
@settings(max_examples=300, deadline=None)
def test_the_runs_over_every_short_text_stay_within_the_bound_that_the_analysis_gives(text: str) -> None:
    probe = build(parse(f"(?:{text})(?:a|b|c|d)").tree)  # the last four positions but the end have the masks of the letters
    codes = dict(zip("abcd", probe.mask[-5:-1], strict=True))
    found = measure(probe)
    if found.exponential or found.degree > 0:
        return
    for length in range(7):
        for word in itertools.product("abcd", repeat=length):
            assert max(runs(probe, "".join(word), codes)) <= found.factor


@given(patterns)
@settings(max_examples=200, deadline=None)
def test_a_pattern_is_called_exponential_exactly_when_its_runs_more_than_double_with_each_loop(text: str) -> None:
    automaton = build(parse(text).tree)
    assert measure(automaton).exponential == pumpable(automaton)


def pumpable(automaton: Automaton) -> bool:
    """Whether some state comes back to itself by two ways over one text: the definition, by a search over pairs of runs."""
    states = range(len(automaton.follow))
    for start in states:
        waiting = [(start, start, False)]
        seen = set(waiting)
        while waiting:
            p, q, apart = waiting.pop()
            for a, m in automaton.follow[p].items():
                for b, n in automaton.follow[q].items():
                    if automaton.mask[a] & automaton.mask[b]:
                        step = (a, b, apart or a != b or m > 1 or n > 1)
                        if step == (start, start, True):
                            return True
                        if step not in seen:
                            seen.add(step)
                            waiting.append(step)
    return False


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (r"^(?<a>\d+) started by (?<b>.*)$", " started by "),
        (r"ab(?:cd)ef", "abcdef"),
        (r"abc+de", "ab"),
        (r"(?:abc|abd)x", "x"),
        (r"(?:abc)?y", "y"),
        (r"a\.b\[c", "a.b[c"),
        (r"\Qa.b\E c", "a.b c"),
        (r"x\bword", "xword"),
        (r"(?i)abc 12", " 12"),
        (r"[a]b[cd]", "ab"),
        (r".*", ""),
    ],
)
def test_the_fixed_part_of_a_pattern_is_in_every_match(text: str, part: str) -> None:
    assert fixed_part(parse(text).tree) == part
