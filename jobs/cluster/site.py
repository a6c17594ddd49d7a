"""The place that the services run in: the profile's settings and file, folders below home, addresses on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.errors import ConfigError, ServiceError
from core.settings import Settings
from jobs.cluster.services_file import ServicesFile

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Site:
    """What every service of the profile is made from."""

    settings: Settings
    file: ServicesFile

    def data(self, service: str) -> Path:
        """The folder of a service's own files."""
        return self.settings.at_home(Path("services") / service)

    def log(self, service: str) -> str:
        """The file that a service's output goes to."""
        return str(self.settings.at_home(self.settings.logs.folder) / f"{service}.log")

    def jars(self, use: str) -> str:
        """A class path: the jars of one configuration of ``jars/ivy.xml``; raises ConfigError when they are not there."""
        folder = self.settings.root / "jars" / use
        if not folder.is_dir():
            raise ConfigError(f"there is no {folder}: run `tools/setup-cluster`")
        return f"{folder}/*"

    def port(self, key: str, address: str) -> int:
        """The port of an address in the settings; raises ConfigError when it is not on this machine."""
        parts = urlsplit(address if "://" in address else f"//{address}")
        if parts.hostname not in (HOST, "localhost") or not parts.port:
            raise ConfigError(
                f"settings {key} is {address!r}: a service started here listens on {HOST}:PORT; "
                "name such an address, or start the others alone (--only)"
            )
        return parts.port

    def program(self, name: str) -> str:
        """The absolute path of a program that tools/setup-cluster installs; raises ConfigError when it is missing."""
        places = os.pathsep.join((str(self.settings.root / ".tools" / "bin"), os.environ.get("PATH", ""), "/usr/sbin"))
        found = shutil.which(name, path=places)
        if found is None:
            raise ConfigError(f"{name} is missing: run `tools/setup-cluster`")
        return found

    def java(self, heap_mb: int, options: Sequence[str] = (), *, classes: Sequence[str], main: str) -> tuple[str, ...]:
        """The command of a small Java server: one collector thread, the quick compiler only, IPv4 only, no file in /tmp."""
        home = os.environ.get("JAVA_HOME")
        return (
            str(Path(home) / "bin" / "java") if home else self.program("java"),
            f"-Xmx{heap_mb}m",
            "-Xms16m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:MaxMetaspaceSize=128m",
            "-XX:-UsePerfData",
            "-Djava.net.preferIPv4Stack=true",
            f"-Djava.io.tmpdir={self.data('tmp')}",
            *options,
            "-cp",
            os.pathsep.join(classes),
            main,
        )


def make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Let ``make`` fill a folder unless it exists; it appears whole or not at all, whenever this is killed."""
    if folder.exists():
        return
    part = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    make(part)
    part.rename(folder)


def execute(command: Sequence[str], what: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command that sets a service up; raises ServiceError with the last it wrote."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **(environment or {})}
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
        raise ServiceError(f"{what} failed (exit status {done.returncode}); the last it wrote is {said[-1][:300]!r}")
