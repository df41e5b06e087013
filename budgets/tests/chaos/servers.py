"""The servers that a trial breaks: a PostgreSQL cluster, a broker, and the line to it, all its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis

from django_celery_budget import broker, lifeline

POSTGRESQL_HOME = Path("/usr/lib/postgresql")
"""Where Debian and Ubuntu keep the server's programs, out of everybody's PATH."""
STARTING = 60.0
"""Seconds after which a server is not going to answer: after a crash it reads its log first."""


class ServersMissing(Exception):
    """This machine cannot run a trial; the message says what it lacks."""


def free_port() -> int:
    """Return a port of this machine at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def until(is_so: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when it is so; raise ``TimeoutError`` that names `what` when it does not come about."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s: {what}")
        time.sleep(0.05)


def postgresql_programs() -> Path:
    """Return the directory of PostgreSQL's server programs."""
    places = sorted(POSTGRESQL_HOME.glob("*/bin"), reverse=True)
    if asked := shutil.which("pg_config"):
        said = subprocess.run(
            [asked, "--bindir"], capture_output=True, encoding="utf-8", check=True
        )
        places.insert(0, Path(said.stdout.strip()))
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise ServersMissing("no PostgreSQL server: install your system's package `postgresql`")


def check_machine() -> None:
    """Raise `ServersMissing` unless both servers can be had."""
    postgresql_programs()
    try:
        broker.binary()
    except broker.BrokerUnavailable as error:
        raise ServersMissing(str(error)) from None


class Postgres:
    """A cluster in a directory of its own.

    Without fsync, which protects from the end of the machine; what the server has written survives
    the end of the server. With it each recovery first synced the whole directory, for six seconds.
    """

    def __init__(self, home: Path) -> None:
        self._programs = postgresql_programs()
        self._home = home
        self._data = home / "data"
        self.port = free_port()
        self._user = _unprivileged()
        home.mkdir()
        if self._user is not None:
            shutil.chown(home, self._user)
        initdb = [str(self._programs / "initdb"), "-D", str(self._data), "-U", "postgres"]
        subprocess.run(
            [*initdb, "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"],
            user=self._user,
            cwd=home,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        with (self._home.parent / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", self._data, "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                    *("-c", "max_connections=200", "-c", "fsync=off"),
                ],
                user=self._user,
                cwd=self._home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lifeline.tied_to_this_process(signal.SIGQUIT),  # noqa: PLW1509  # one call
            )
        until(self._answers, STARTING, "PostgreSQL does not answer")

    @property
    def is_running(self) -> bool:
        """Whether its first process lives."""
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), self.connect("postgres"):
            return True
        return False

    def connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection that commits each statement."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5)

    def url(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def crash(self) -> None:
        """End it at once, as `pg_ctl stop -m immediate` does: nothing is written any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def make(self, database: str, *, template: str = "template1") -> None:
        """Make a database, a copy of `template`."""
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"'.encode())


def _unprivileged() -> str | None:
    """Return the user to run PostgreSQL as, which refuses to be run by root; ``None``: ourselves."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise ServersMissing("PostgreSQL refuses to be run by root, and there is no other user")


class Broker:
    """A Redis that keeps its messages, as the README wants it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.port = free_port()
        home.mkdir()
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._home),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        line = [part for name, value in options.items() for part in (f"--{name}", value)]
        with (self._home.parent / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [broker.binary(), *line],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lifeline.tied_to_this_process(signal.SIGKILL),  # noqa: PLW1509  # one call
            )
        until(self._answers, STARTING, "the broker does not answer")

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis(port=self.port) as client:
            return bool(client.ping())
        return False

    def end(self, how: signal.Signals) -> None:
        """Stop it in an orderly way (SIGTERM) or kill it (SIGKILL)."""
        self._process.send_signal(how)
        self._process.wait()

    def flush(self) -> None:
        """Have it lose everything."""
        with contextlib.suppress(redis.RedisError), redis.Redis(port=self.port) as client:
            client.flushall()


class _Link:
    """A connection of somebody to the broker, through us."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.ends = (client, server)
        self.is_frozen = False

    def close(self) -> None:
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Line:
    """What everybody takes for the broker: passes bytes on, and can go silent without hanging up."""

    def __init__(self, port: int) -> None:
        self._broker = ("127.0.0.1", port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._links: list[_Link] = []
        threading.Thread(target=self._welcome, daemon=True).start()

    def freeze(self) -> None:
        """Let nothing more through the connections that are open; new ones work: a network's doing."""
        for link in self._links:
            link.is_frozen = True

    def close(self) -> None:
        """Hang up on everybody."""
        self._door.close()
        for link in self._links:
            link.close()

    def _welcome(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._broker, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(client, server)
            self._links.append(link)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(link, source, sink), daemon=True).start()


def _pump(link: _Link, source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while (data := source.recv(65536)) and not link.is_frozen:
            sink.sendall(data)
    if not link.is_frozen:
        link.close()
