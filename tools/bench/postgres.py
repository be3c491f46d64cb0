"""A PostgreSQL server for a bench: in a temporary folder, on a Unix socket only, durable as it comes."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 30.0
_ROLE = "steward"


class PostgresMissing(RuntimeError):
    """It cannot be measured here; the message says why."""


def binaries() -> Path:
    """The newest server's programs. Raises PostgresMissing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4].split(".")[0]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise PostgresMissing("PostgreSQL's server programs are not installed")
    return Path(on_path).parent


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database; stopped and removed at the end. Raises PostgresMissing."""
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    folder.chmod(0o755)  # the server runs as another user where we are root, as it refuses to run as that
    try:
        user = _user()
        if user:
            shutil.chown(folder, user)
        data = str(folder / "data")
        _call(user, programs / "initdb", "-D", data, "-U", _ROLE, "-A", "trust", "-E", "UTF8", "--locale=C")
        with (folder / "log").open("ab") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, "-k", folder, "-h", ""],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=user,
                start_new_session=True,
            )
        try:
            _await_ready(server, programs, folder)
            yield f"postgresql:///postgres?host={folder}&user={_ROLE}"
        finally:
            _call(user, programs / "pg_ctl", "stop", "-D", data, "-m", "fast", "-w")
            server.wait(START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_ready(server: subprocess.Popen[bytes], programs: Path, folder: Path) -> None:
    until_s = time.monotonic() + START_S
    while subprocess.run([programs / "pg_isready", "-q", "-h", folder], check=False).returncode:
        if server.poll() is not None or time.monotonic() > until_s:
            raise PostgresMissing(f"PostgreSQL does not start: {(folder / 'log').read_text(errors='replace')[-300:]}")
        time.sleep(0.05)


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _call(user: str | None, program: Path, *arguments: str) -> None:
    done = subprocess.run([program, *arguments], capture_output=True, cwd="/", user=user, check=False)
    if done.returncode:
        raise PostgresMissing(f"{program.name} failed: {done.stderr.decode(errors='replace')[-300:]}")
