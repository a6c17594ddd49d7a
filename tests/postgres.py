"""A PostgreSQL server of a test's own."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_WAIT_S = 60
_AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")


def _program(name: str) -> str:
    """The newest of Debian's, which stand in a folder for each version and not in PATH."""
    there = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    assert there, "PostgreSQL is missing: run `make cluster-up`, or tools/setup-cluster"
    return str(there[-1])


class Postgres:
    """On loopback, with a user and a database ``maas`` and a password (SCRAM); ``kill`` is SIGKILL for all its processes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.password = folder, secrets.token_hex(12)
        self.as_user = _AS_POSTGRES if os.geteuid() == 0 else ()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        word = folder / "password"
        word.write_text(self.password)
        if self.as_user:  # it does not run as root
            for path in (folder, word):
                os.chown(path, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
        options = ("-U", "maas", f"--pwfile={word}", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        command = (*self.as_user, _program("initdb"), "-D", str(folder / "data"), *options)
        subprocess.run(command, check=True, cwd=folder, capture_output=True)
        self.start()
        self.execute("CREATE DATABASE maas", database="postgres")

    @property
    def url(self) -> str:
        return f"postgresql://maas@127.0.0.1:{self.port}/maas"

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "shared_buffers": "16MB",
            "max_connections": 20,
            "timezone": "Asia/Tokyo",
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        command = (*self.as_user, _program("postgres"), "-D", str(self.folder / "data"), *options)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + _WAIT_S
        while self._psql("SELECT 1", "postgres").returncode:
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def execute(self, statements: str, database: str = "maas") -> str:
        """Run statements; what the last ones give, as text without headers."""
        done = self._psql(statements, database)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kill(self) -> None:
        for one in (self.process, *psutil.Process(self.process.pid).children()):  # each has a session of its own
            one.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # ends the sessions that there are
        self.process.wait(_WAIT_S)

    def _psql(self, statements: str, database: str) -> subprocess.CompletedProcess[str]:
        options = (
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "maas",
            "-d",
            database,
            "-v",
            "ON_ERROR_STOP=1",
            "-XAtq",
            "-f",
            "-",
        )
        environment = {**os.environ, "PGPASSWORD": self.password, "PGCLIENTENCODING": "UTF8"}
        return subprocess.run(
            (_program("psql"), *options), input=statements, env=environment, capture_output=True, text=True, check=False
        )


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="maas-postgres-"))
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
