"""The kinds there are."""

from __future__ import annotations

import difflib

from core.errors import ConfigError, MaasError
from core.features.kinds.count import Count
from core.features.kinds.cyclical import Cyclical
from core.features.kinds.identity import Identity
from core.features.kinds.minmax import MinMax
from core.features.kinds.missing import Missing
from core.features.kinds.onehot import OneHot
from core.features.kinds.zscore import ZScore
from core.features.transform import Transform

KINDS: dict[str, type[Transform]] = {
    kind.kind: kind for kind in (Count, Cyclical, Identity, MinMax, Missing, OneHot, ZScore)
}  # fmt: skip


def register(kind: type[Transform]) -> type[Transform]:
    """A class decorator: take in a kind from elsewhere. Raises ConfigError for a name that another kind has."""
    if KINDS.setdefault(kind.kind, kind) is not kind:
        raise ConfigError(f"there is a transform {kind.kind!r} already: name yours otherwise")
    return kind


def find(name: str, error: type[MaasError]) -> type[Transform]:
    """The kind of that name; raises ``error`` with the nearest one when there is none."""
    if found := KINDS.get(name):
        return found
    near = difflib.get_close_matches(name, KINDS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(KINDS))}"
    raise error(f"unknown transform {name!r}: {hint}")
