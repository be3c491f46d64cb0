"""A PostgreSQL cluster of its own for tests: in a temporary folder, on a Unix socket only, as an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

START_S = 60.0
ROLE = "steward"


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4].split(".")[0]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL's server programs are missing: tests marked postgres need them"
    return Path(on_path).parent


def _user() -> str | None:
    """PostgreSQL refuses to run as root: the user to run it as, or None to stay who we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Cluster:
    """One server. `stop` and `start` again as often as a test likes; `kill` is kill -9 of all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._user = _user()
        self._bin = _binaries()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", self.data, "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql:///{database}?host={self.folder}&user={ROLE}"

    def database(self) -> str:
        """A fresh database's URL."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, "-k", self.folder, "-h", "", "-c", "max_connections=60"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=self._user,
                start_new_session=True,
            )
        until = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """A fast shutdown: sessions are ended, what was committed is on disk."""
        if self._process is not None:
            self._run("pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w")
            self._process.wait(START_S)
            self._process = None

    def kill(self) -> None:
        """As if the machine had lost its power, but for what the kernel still writes."""
        if self._process is None:
            return
        os.killpg(self._process.pid, 9)
        self._process.wait(START_S)
        self._process = None
        # Backends have process groups of their own; they end when the postmaster's pipe does.
        until = time.monotonic() + START_S
        while subprocess.run(["pgrep", "-f", "--", f"-D {self.data}"], capture_output=True, check=False).stdout:
            assert time.monotonic() < until
            time.sleep(0.05)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments], capture_output=True, cwd="/", user=self._user, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A started cluster, ended and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="steward-pg-"))
    folder.chmod(0o755)
    try:
        cluster = Cluster(folder)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
