"""Databases of the benchmark's own, beside the one the user has, which it never touches."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.db import ProgrammingError, connection
from django.db.backends.utils import CursorWrapper


class Stage(Protocol):
    """Makes databases, copies them, and clears them away."""

    def version(self) -> str:
        """Return the version of the database's software."""

    def create(self, label: str) -> str:
        """Make an empty database and return its name."""

    def seal(self, name: str) -> None:
        """Bring a filled database to rest, so that its copies are alike."""

    def copy(self, name: str) -> str:
        """Make an identical copy and return its name."""

    def settle(self) -> None:
        """Have the database in use finish what it put off, right before something is timed."""

    def drop(self, name: str) -> None:
        """Remove a database."""

    def clear(self) -> None:
        """Remove every database that is left."""


@contextlib.contextmanager
def staged(*, quick: bool = False) -> Iterator[Stage]:
    """Give a stage, and clear it away however the benchmark ends; then the user's database is back.

    `quick`: copies cost less and disturb what is timed more.
    """
    users_own = connection.settings_dict["NAME"]
    stage: Stage = (
        PostgresStage(quick=quick) if connection.vendor == "postgresql" else SqliteStage()
    )
    try:
        yield stage
    finally:
        connection.close()
        connection.settings_dict["NAME"] = users_own
        stage.clear()


def use(name: str) -> None:
    """Point Django's connection at a database."""
    connection.close()
    connection.settings_dict["NAME"] = name


def url_of(name: str) -> str:
    """Return the DATABASE_URL with which a process of its own reaches the database `name`."""
    if connection.vendor != "postgresql":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


@contextlib.contextmanager
def copied(stage: Stage, seed: str) -> Iterator[str]:
    """Work on a copy of `seed`; nothing of it stays."""
    connection.close()
    name = stage.copy(seed)
    use(name)
    try:
        yield name
    finally:
        connection.close()
        stage.drop(name)


def migrated(stage: Stage, label: str) -> str:
    """Make a database with our tables, in use, and return its name."""
    name = stage.create(label)
    use(name)
    call_command("migrate", verbosity=0, interactive=False)
    return name


class PostgresStage:
    """Databases on the server that DATABASE_URL names; the process id keeps two runs apart."""

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._names: list[str] = []
        self._made = 0

    def version(self) -> str:
        """Ask the server."""
        with self._server() as cursor:
            cursor.execute("SHOW server_version")
            [version] = cursor.fetchone()
            return str(version)

    def create(self, label: str) -> str:
        """Make an empty database."""
        name = self._next(label)
        self._run(f'CREATE DATABASE "{name}"')
        return name

    def seal(self, name: str) -> None:
        """Freeze and analyse: else the first run after a copy pays for hint bits and statistics."""
        use(name)
        with unlimited() as cursor:
            cursor.execute("VACUUM (FREEZE, ANALYZE)")
        connection.close()

    def copy(self, name: str) -> str:
        """Copy the files, which waits for the disk; quick is to write every page into the log."""
        copy = self._next("copy")
        strategy = "WAL_LOG" if self._quick else "FILE_COPY"
        self._run(f'CREATE DATABASE "{copy}" TEMPLATE "{name}" STRATEGY {strategy}')
        return copy

    def settle(self) -> None:
        """Write what is in memory, so that no checkpoint of what went before falls into a run."""
        if self._quick:
            return
        with unlimited() as cursor:
            # Only superusers may; without it figures are a little less even.
            with contextlib.suppress(ProgrammingError):
                cursor.execute("CHECKPOINT")
            cursor.execute("RESET statement_timeout")

    def drop(self, name: str) -> None:
        """Remove a database, also from under a process that did not end."""
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self._names.remove(name)

    def clear(self) -> None:
        """Remove what is left."""
        for name in list(self._names):
            self.drop(name)

    def _next(self, label: str) -> str:
        self._made += 1
        name = f"bench_{os.getpid()}_{self._made}_{label}"
        self._names.append(name)
        return name

    def _run(self, statement: str) -> None:
        with self._server() as cursor:
            cursor.execute(statement)

    @contextlib.contextmanager
    def _server(self) -> Iterator[CursorWrapper]:
        """Speak to the server and not to the user's database, as Django's test runner does."""
        with connection._nodb_cursor() as cursor:  # noqa: SLF001
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("SET lock_timeout = 0")
            yield cursor


class SqliteStage:
    """Files in a directory of their own, on the disk where the product keeps its data."""

    def __init__(self) -> None:
        settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = tempfile.mkdtemp(prefix=f"bench_{os.getpid()}_", dir=settings.DATA_DIR)
        self._place = Path(place)
        self._made = 0

    def version(self) -> str:
        """Ask the library."""
        return sqlite3.sqlite_version

    def create(self, label: str) -> str:
        """Name a file; SQLite makes it."""
        self._made += 1
        return str(self._place / f"bench_{os.getpid()}_{self._made}_{label}.sqlite3")

    def seal(self, name: str) -> None:
        """Fold the write-ahead log into the file."""
        use(name)
        self.settle()
        connection.close()

    def copy(self, name: str) -> str:
        """Copy the file."""
        copy = self.create("copy")
        shutil.copyfile(name, copy)
        return copy

    def settle(self) -> None:
        """Fold the write-ahead log into the file, so that no run does it for what went before."""
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def drop(self, name: str) -> None:
        """Remove the file and what lies beside it."""
        for path in self._place.glob(f"{Path(name).name}*"):
            path.unlink()

    def clear(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self._place, ignore_errors=True)


@contextlib.contextmanager
def unlimited() -> Iterator[CursorWrapper]:
    """Give a cursor whose statements may take their time; the product's may not."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET statement_timeout = 0")
        yield cursor
