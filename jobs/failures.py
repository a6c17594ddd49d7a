"""How every command and entry point ends when something is wrong: one line, exit status 1. Light: imported by all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import MaasError


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error of ours into its message and exit status 1; any other error keeps its trace: it is a bug."""
    try:
        yield
    except MaasError as error:
        print(f"maas: {error.message}", file=sys.stderr)
        sys.exit(1)
