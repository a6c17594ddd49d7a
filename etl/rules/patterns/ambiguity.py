"""How many runs an automaton can have over one text: the number of ways that a backtracking matcher may try.

Exponential (EDA): a state comes back to itself by two ways over the same text. Polynomial of degree d (IDA): a chain of d
pairs p → q of looping states where one text leads p to p, p to q and q to q. After Weber and Seidl, On the degree of ambiguity
of finite automata, 1991; Allauzen, Mohri and Rastogi, General algorithms for testing the ambiguity of finite automata, 2008;
Weideman et al., Analyzing matching time behavior of backtracking regular expression matchers, 2016. Every state counts as
one where the match may still fail, so a verdict can be too strict but never too mild.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from etl.rules.patterns.automaton import Automaton
from etl.rules.patterns.syntax import PatternError

_MAX_STEPS = 2_000_000

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Exponential; else polynomial of ``degree`` in the length of the text.

    ``factor`` is an upper bound of the runs that end in one state, repeats aside.
    """

    exponential: bool
    degree: int = 0
    factor: int = 1


@dataclass(slots=True)
class _Search:
    """An automaton with its components, and a budget of steps that bounds the analysis itself."""

    automaton: Automaton
    component: list[int] = field(default_factory=list)
    looping: set[int] = field(default_factory=set)
    steps: int = 0

    def spend(self) -> None:
        self.steps += 1
        if self.steps > _MAX_STEPS:
            raise PatternError("it is too large to tell its running time: split it into several rules", 0)

    def pairs(self, pair: Pair) -> Iterator[Pair]:
        """The pairs of states that one same character leads to."""
        follow, mask = self.automaton.follow, self.automaton.mask
        for p in follow[pair[0]]:
            for q in follow[pair[1]]:
                self.spend()
                if mask[p] & mask[q]:
                    yield (p, q) if p <= q else (q, p)


def measure(automaton: Automaton) -> Ambiguity:
    """The ambiguity of an automaton; raises PatternError when the analysis itself would take more than a few seconds."""
    search = _Search(automaton)
    search.component = _components(automaton)
    search.looping = _looping(automaton, search.component)
    splits = {p: _splits(search, p) for p in sorted(search.looping)}
    same = search.component
    if any(same[p] == same[q] for p, found in splits.items() for q in found):
        return Ambiguity(exponential=True)
    links = {p: {q for q in found & search.looping if _feeds(search, p, q)} for p, found in splits.items()}
    return Ambiguity(False, _longest(search, links), _factor(search))


def _splits(search: _Search, start: int) -> set[int]:
    """The states that two different ways over one text, both from ``start``, lead to."""
    follow = search.automaton.follow
    found = {q for q, ways in follow[start].items() if ways > 1}
    # from a pair of equal states only unequal ones: what splits later is found from the later state
    waiting = [pair for pair in search.pairs((start, start)) if pair[0] != pair[1]]
    seen = set(waiting)
    while waiting:
        for pair in search.pairs(waiting.pop()):
            if pair[0] == pair[1]:
                found.add(pair[0])
            elif pair not in seen:
                seen.add(pair)
                waiting.append(pair)
    return found


def _feeds(search: _Search, p: int, q: int) -> bool:
    """Whether (p, p, q) leads to (p, q, q) in the product of the automaton with itself, twice."""
    follow, mask = search.automaton.follow, search.automaton.mask
    of = search.component
    waiting, seen = [(p, p, q)], {(p, p, q)}
    while waiting:
        x, y, z = waiting.pop()
        for a in (s for s in follow[x] if of[s] == of[p]):
            for c in (s for s in follow[z] if of[s] == of[q]):
                both = mask[a] & mask[c]
                for b in follow[y] if both else ():
                    search.spend()
                    if both & mask[b] and (a, b, c) not in seen:
                        if (a, b, c) == (p, q, q):
                            return True
                        seen.add((a, b, c))
                        waiting.append((a, b, c))
    return False


def _factor(search: _Search) -> int:
    """An upper bound, by component in the order of walking: the runs that enter it from states that can be alive together."""
    of, follow = search.component, search.automaton.follow
    alive = _together(search)
    entering: dict[int, dict[int, int]] = {}
    for p, edges in enumerate(follow):
        for q, ways in edges.items():
            if of[p] != of[q]:
                entries = entering.setdefault(of[q], {})
                entries[p] = max(entries.get(p, 0), ways)
    runs = [1] * (max(of) + 1)
    for number in sorted(entering, reverse=True):
        members = {q for q in range(len(of)) if of[q] == number}
        counts = {p: runs[of[p]] * ways for p, ways in entering[number].items()}
        runs[number] = max(sum(counts[p] for p in group) for group in _groups(counts, members, alive))
    return max(runs)


def _groups(entries: Mapping[int, int], members: set[int], alive: list[set[int]]) -> list[set[int]]:
    """``entries`` split so that no two of different groups are ever alive together, nor with what the other led to."""
    groups: list[set[int]] = []
    inside = set[int]()
    if any(m in alive[m] for m in members):
        inside = {p for p in entries if any(m in alive[p] for m in members)}
    rest = [{p} for p in entries if p not in inside]
    for new in [inside, *rest] if inside else rest:
        joined = [g for g in groups if any(q in alive[p] for p in new for q in g)]
        groups = [g for g in groups if g not in joined] + [new.union(*joined)]
    return groups


def _together(search: _Search) -> list[set[int]]:
    """For each state the states that one text from the start can lead to as well."""
    alive: list[set[int]] = [set() for _ in search.component]
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        p, q = waiting.pop()
        alive[p].add(q)
        alive[q].add(p)
        for pair in search.pairs((p, q)):
            if pair not in seen:
                seen.add(pair)
                waiting.append(pair)
    return alive


def _longest(search: _Search, links: Mapping[int, set[int]]) -> int:
    """The longest chain of links that the automaton can walk one after the other; they lead from component to later component."""
    of, follow = search.component, search.automaton.follow
    best = [0] * (max(of) + 1)  # by component, which are numbered from the last to the first
    for p in sorted(range(len(of)), key=of.__getitem__):
        ways = [best[of[q]] for q in follow[p]] + [best[of[q]] + 1 for q in links.get(p, ())]
        best[of[p]] = max(best[of[p]], *ways, 0)
    return best[of[0]]


def _looping(automaton: Automaton, component: list[int]) -> set[int]:
    sizes: dict[int, int] = {}
    for number in component:
        sizes[number] = sizes.get(number, 0) + 1
    return {p for p, number in enumerate(component) if sizes[number] > 1 or p in automaton.follow[p]}


def _components(automaton: Automaton) -> list[int]:
    """The strongly connected component of each state, numbered so that an edge never leads to a higher one (Tarjan 1972)."""
    follow = automaton.follow
    order, low, of = [-1] * len(follow), [0] * len(follow), [-1] * len(follow)
    stack: list[int] = []
    work: list[tuple[int, Iterator[int]]] = []
    counted = numbered = 0
    work.append((0, iter(follow[0])))
    while work:
        p, edges = work[-1]
        if order[p] < 0:
            order[p] = low[p] = counted
            counted += 1
            stack.append(p)
        for q in edges:
            if order[q] < 0:
                work.append((q, iter(follow[q])))
                break
            if of[q] < 0:
                low[p] = min(low[p], low[q])
        else:
            work.pop()
            if low[p] == order[p]:
                while of[p] < 0:
                    of[stack.pop()] = numbered
                numbered += 1
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[p])
    return of
