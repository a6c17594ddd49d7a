"""How every command and entry point ends when something is wrong: one line, exit status 1. Light: imported by all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import ConfigError, MaasError, PublishRefused

FINAL = "MAAS_FINAL_STATUS"
"""Names the exit status that tells a scheduler not to try again; it sets it where it runs a command."""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error of ours into its message and exit status 1; any other error keeps its trace: it is a bug.

    A scheduler that names a status by ``MAAS_FINAL_STATUS`` gets that one when the same call would fail again.
    """
    try:
        yield
    except MaasError as error:
        print(f"maas: {error.message}", file=sys.stderr)
        final = isinstance(error, ConfigError | PublishRefused)
        sys.exit(int(os.environ.get(FINAL, "1")) if final else 1)
