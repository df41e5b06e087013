"""`manage.py up` as a newcomer runs it: one command, one log, one Ctrl-C."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings

from budgets.tests.children import (
    ON_LINUX,
    environment,
    evict,
    inhabitants,
    manage,
    parent_of,
    until_deserted,
)
from budgets.tests.waiting import until
from django_celery_budget import broker

SHUTDOWN_SECONDS = 60
"""Of a worker whose pass is running when it is asked to end, on a slow machine."""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Visitor:
    """A browser without a screen: it keeps its cookies and follows redirects."""

    def __init__(self, address: str) -> None:
        self.address = address
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)

    def get(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, address in the end, and text."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        with self._opener.open(f"{self.address}{path}", data, timeout=30) as response:
            return response.status, response.url, response.read().decode()

    def sign_in(self, name: str, password: str) -> tuple[int, str, str]:
        """Fill in the form that an anonymous reader of the first page is sent to."""
        _, address, page = self.get("/")
        path = address.removeprefix(self.address)
        assert path == "/admin/login/?next=/"
        [token] = set(re.findall('name="csrfmiddlewaretoken" value="(.*?)"', page))
        fields = {"username": name, "password": password, "next": "/"}
        return self.get(path, {**fields, "csrfmiddlewaretoken": token})


@dataclass
class Up:
    """One run of the command."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def until_said(self, words: str, times: int = 1) -> None:
        def is_so() -> bool:
            return self.said().count(words) >= times or self.process.poll() is not None

        until(is_so, self.said)
        assert self.said().count(words) >= times, self.said()

    def until_ready(self) -> None:
        """Return when the box is printed and every part has begun to work."""
        for words in ("Ctrl-C", "beat: Starting", " ready. [celery.apps.worker]"):
            self.until_said(words)

    def address(self) -> str:
        """Return what the box says to open."""
        [address] = re.findall(r"│  Open     (http://\S+)/ ", self.said())
        return str(address)

    def stop(self, how: signal.Signals = signal.SIGINT, codes: Collection[int] = (0,)) -> None:
        """Ask it to stop, and see that it does so in order."""
        self.process.send_signal(how)
        code = self.process.wait(SHUTDOWN_SECONDS)
        assert code in codes, self.said()


@dataclass
class House:
    """A data directory, and what was started on it."""

    home: Path
    runs: list[Up] = field(default_factory=list)

    def environment(self, **variables: str) -> dict[str, str]:
        return environment(self.home, **{"PORT": str(free_port()), **variables})

    def up(self, **variables: str) -> Up:
        log = self.home.with_name(f"up{len(self.runs)}.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(settings.BASE_DIR / "manage.py"), "up"],
                env=self.environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.runs.append(Up(process, log))
        return self.runs[-1]

    def refused(self, **variables: str) -> str:
        """Run the command where it is refused, and return what it says."""
        ended = manage("up", env=self.environment(**variables))
        assert ended.returncode == 1, ended.stdout
        [said] = ended.stderr.splitlines()
        return said

    def ask(self, question: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.home / "db.sqlite3")) as database:
            return database.execute(question).fetchall()

    def worker_of(self, up: Up) -> int:
        """Return the process that up started as the worker."""
        [pid] = (
            pid
            for pid, command in inhabitants(self.home).items()
            if " worker " in command and parent_of(pid) == up.process.pid
        )
        return pid

    def clear(self) -> None:
        """End what still runs, in order while that works."""
        for run in self.runs:
            if run.process.poll() is None:
                run.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                run.process.wait(10)
            run.process.kill()
            run.process.wait()
        evict(self.home)


@pytest.fixture
def house() -> Iterator[House]:
    try:
        broker.binary()
    except broker.BrokerUnavailable as error:
        pytest.skip(str(error))
    # pytest's directories may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="budgets-", dir="/tmp") as directory:
        found = House(Path(directory) / "home")
        yield found
        found.clear()


@pytest.mark.slow
def test_a_newcomer_signs_in_to_the_demo_with_the_password_shown_once(house: House) -> None:
    up = house.up()
    up.until_ready()

    address = up.address()
    [password] = re.findall(r"│  Password (\S+)   \(shown this once\)  │", up.said())
    assert "Sign in  as admin " in up.said()
    assert Visitor(address).get("/health/live")[::2] == (200, "ok")
    assert Visitor(address).get("/health/?format=json")[::2] == (200, '{"status": "ok"}')
    status, _, page = Visitor(address).sign_in("admin", password)
    assert status == 200
    assert "Alpenglow Outdoor" in page
    up.until_said("platform | ")

    up.stop()
    assert up.said().endswith("Stopped.\n")
    assert not broker.is_answering(house.home)
    until_deserted(house.home)

    brands = house.ask("SELECT count(*) FROM budgets_brand")
    again = house.up(PORT=address.rpartition(":")[2])
    again.until_ready()
    assert "The database has data; the demo is left out." in again.said()
    assert "Password" not in again.said()
    assert "manage.py changepassword admin" in again.said()
    assert house.ask("SELECT count(*) FROM budgets_brand") == brands
    assert Visitor(again.address()).sign_in("admin", password)[0] == 200

    again.stop(signal.SIGTERM)
    until_deserted(house.home)


@ON_LINUX
@pytest.mark.slow
def test_what_is_killed_is_started_again_and_a_second_run_is_refused(house: House) -> None:
    up = house.up(DEMO="0")
    up.until_ready()
    assert house.ask("SELECT count(*) FROM budgets_brand") == [(0,)]
    assert "platform |" not in up.said()

    worker = house.worker_of(up)
    [server] = (pid for pid, words in inhabitants(house.home).items() if "redis.sock" in words)
    os.kill(worker, signal.SIGKILL)
    os.kill(server, signal.SIGKILL)
    said = house.refused()

    assert f"Another `up` is running on {house.home}. Stop it first, or give this one" in said
    up.until_said("worker was killed by SIGKILL; starting it again in 1 s")
    up.until_said("broker was killed by SIGKILL; starting it again in 1 s")
    up.until_said(" ready. [celery.apps.worker]", times=2)
    until(lambda: broker.is_answering(house.home), up.said)
    assert house.worker_of(up) != worker
    # Beat adds nothing of its own to the schedule.
    assert house.ask("SELECT count(*) FROM django_celery_beat_periodictask") == [(5,)]
    assert house.ask("SELECT count(*) FROM django_celery_beat_crontabschedule") == [(0,)]

    up.stop()
    until_deserted(house.home)


@ON_LINUX
@pytest.mark.slow
def test_killed_it_leaves_no_orphan(house: House) -> None:
    up = house.up()
    up.until_ready()
    assert len(inhabitants(house.home)) > 5

    up.process.kill()

    until_deserted(house.home)
    assert not broker.is_answering(house.home)


@pytest.mark.slow
@pytest.mark.parametrize("alphabet", ["utf-8", "ascii"])
def test_ctrl_c_while_it_starts_ends_what_has_started(house: House, alphabet: str) -> None:
    up = house.up(PYTHONIOENCODING=alphabet)
    up.until_said("Starting the web server")

    # Python reports a signal that it met in text it executes, as of a data class, although it was
    # handled.
    up.stop(codes=(0, -signal.SIGINT))

    assert up.said().splitlines()[-1] in {"Stopped.", "Stopped before everything was up."}
    assert "Traceback" not in up.said()
    until_deserted(house.home)


@pytest.mark.slow
def test_with_a_redis_of_ones_own_none_is_started(house: House) -> None:
    theirs = house.home.with_name("theirs")
    server = broker.start(theirs)
    try:
        up = house.up(DEMO="0", REDIS_URL=broker.embedded_url(theirs))
        up.until_said("Connected to redis+socket")

        assert "broker   |" not in up.said()
        assert not (house.home / "broker").exists()
        up.stop()
        assert broker.is_answering(theirs)
    finally:
        broker.stop(server)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PORT": "abc"}, "PORT='abc' must be a whole number from 1 to 65535"),
        ({"DEMO": "maybe"}, "DEMO='maybe' is neither yes nor no"),
    ],
)
def test_a_variable_that_cannot_be_meant_is_refused_in_a_sentence(
    house: House, variables: dict[str, str], words: str
) -> None:
    said = house.refused(**variables)

    assert words in said
    assert "Traceback" not in said


def test_a_taken_port_is_refused_before_anything_is_started(house: House) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        said = house.refused(PORT=str(port))

    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use." in said
    assert f"`make run PORT={port + 1}`, or `manage.py up --port {port + 1}`" in said
    assert not (house.home / "db.sqlite3").exists()


@pytest.mark.slow
def test_a_broker_that_a_worker_runs_is_left_to_it(house: House) -> None:
    server = broker.start(house.home)
    try:
        said = house.refused()

        assert "A worker or beat that was started by hand runs the broker" in said
        assert "stop it first, or set REDIS_URL" in said
        assert broker.is_answering(house.home)
    finally:
        broker.stop(server)
