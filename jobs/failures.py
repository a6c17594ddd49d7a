"""How every command and entry point ends when something is wrong: one line, exit status 1. Light: imported by all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import MaasError

STATUSES = "MAAS_EXIT_STATUSES"
"""Names a JSON object of exit statuses by error code: a scheduler tells by them what to do next."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error of ours into its message and exit status 1, or the one that ``MAAS_EXIT_STATUSES`` has for its code.

    Any other error keeps its trace: it is a bug.
    """
    try:
        yield
    except MaasError as error:
        print(f"maas: {error.message}", file=sys.stderr)
        sys.exit(json.loads(os.environ.get(STATUSES, "{}")).get(error.code, 1))
