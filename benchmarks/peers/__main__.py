"""``python -m benchmarks.peers``: make the environment of each peer under ``benchmarks/.envs``, once.

Each ``NAME.txt`` is the resolution of ``NAME.in`` by ``uv pip compile``, pinned. An environment whose requirements have not
changed since it was made is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".envs"
PEERS = ("discovery", "fastapi", "mlflow", "mlserver")


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment; SystemExit says how to make it when it is not there."""
    python = ENVIRONMENTS / peer / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there: run `make bench-setup`")
    return python


def make(peer: str, uv: str) -> None:
    requirements, folder = HERE / f"{peer}.txt", ENVIRONMENTS / peer
    stamp, digest = folder / "requirements.sha256", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        print(f"{peer}: ready")
        return
    print(f"{peer}: installing", flush=True)
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")}
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, folder], check=True, env=environment)
    sync = [uv, "pip", "sync", "--quiet", "--python", folder / "bin" / "python", requirements]
    subprocess.run(sync, check=True, env=environment, cwd=HERE)
    stamp.write_text(digest)


def main() -> None:
    uv = shutil.which("uv") or str(Path.home() / ".local" / "bin" / "uv")
    for peer in PEERS:
        make(peer, uv)


if __name__ == "__main__":
    main()
