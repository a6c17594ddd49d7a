"""The model server in the foreground: bundles brought up to the registry, then this process becomes the server."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from core.registry.bundles import BundleCache
from core.settings import Settings
from jobs.services import server_command


def serve_models(settings: Settings, port: int | None) -> NoReturn:
    """Fetch what the registry's aliases name, then replace this process by the model server; never returns."""
    index = BundleCache.open(settings).sync()
    for refused in index.refused:
        print(f"maas: {refused.message}", file=sys.stderr)
    command = server_command(settings, port)
    os.execv(command[0], command)  # noqa: S606 — our own interpreter, no shell
