"""Worker, beat, web server and broker as processes of their own, on clocks that the test sets."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler

from budgets.tests.chaos.clock import Clock
from budgets.tests.waiting import PATIENCE, until
from django_celery_budget import broker

_YEAR = datetime.now(UTC).year + 1
"""Next year: what the machine's own clock wrote down before lies in the past, as it should."""
NOON = datetime(_YEAR, 11, 30, 12, tzinfo=UTC)
MIDNIGHT = datetime(_YEAR, 12, 1, tzinfo=UTC)

METRICS_TOKEN = "token-of-the-tests-0123456789"

PREPARE = """
from budgets.models import Brand, Campaign
from django_celery_beat.models import IntervalSchedule, PeriodicTask
every_second = IntervalSchedule.objects.create(every=1, period="seconds")
for entry in PeriodicTask.objects.filter(task__startswith="budgets.tasks."):
    entry.interval = every_second
    entry.save()
brand = Brand.objects.create(name="Brand", daily_budget=10)
Campaign.objects.create(brand=brand, name="Campaign")
"""


@dataclass
class Household:
    """A database, a broker, and the processes of the product that live on them."""

    home: Path
    environment: dict[str, str]
    database: BaseDatabaseWrapper
    ahead: timedelta = timedelta(0)
    """How far the clock of what is started is ahead of ours."""
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def manage(self, *words: str) -> str:
        """Run a management command to its end, and return what it printed."""
        done = subprocess.run(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), *words],
            env={**self.environment, "DJANGO_SETTINGS_MODULE": "django_celery_budget.settings"},
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        return done.stdout.strip()

    def celery(self, role: str, name: str = "") -> subprocess.Popen[bytes]:
        """Start a worker or beat; its log and its clock have its name."""
        command = ["celery", "-A", "django_celery_budget", role, "-l", "info"]
        if role == "beat":
            command.append("--pidfile=")  # there may be another one
        return self._start(name or role, "-m", *command)

    def pacemaker(self) -> subprocess.Popen[bytes]:
        """Start what makes a pass every second without beat, broker or worker."""
        manage = str(settings.BASE_DIR / "manage.py")
        return self._start("pacemaker", manage, "enforce_budgets", "--every", "1")

    def web(self) -> str:
        """Start a web server at a port that is free, and return its host and port."""
        server = ["gunicorn", "-c", "python:django_celery_budget.web_server"]
        self._start("web", "-m", *server, "--bind", "127.0.0.1:0")

        def listening() -> list[str]:
            return re.findall(r"Listening at: http://([\d.:]+)", self.log_of("web").read_text())

        until(listening, self.said)
        return listening()[0]

    def red(self, address: str) -> set[str]:
        """Return the keys of the lines of /health/ that are red, as the web server tells them."""
        shown = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        with closing(http.client.HTTPConnection(address, timeout=PATIENCE)) as asked:
            asked.request("GET", "/metrics", headers=shown)
            told = asked.getresponse().read().decode()
        return set(re.findall(r'health_check_level{check="(\w+)"} 2', told))

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        self.clock_of(name).set_to(datetime.now(UTC) + self.ahead)
        with self.log_of(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.home,
                env={**self.environment, "BUDGETS_TEST_CLOCK": str(self._clock_file(name))},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.running.append(process)
        return process

    def log_of(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def clock_of(self, name: str) -> Clock:
        """Return the clock that a process reads, whose time may be set while it runs."""
        return Clock(self._clock_file(name))

    def _clock_file(self, name: str) -> Path:
        return self.home / f"{name}.clock"

    def said(self) -> str:
        """Return the ends of the logs: why something did not come about."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text().splitlines()[-30:])
            for path in sorted(self.home.glob("*.log"))
        )

    def stop(self, *processes: subprocess.Popen[bytes]) -> None:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)

    def ask(self, question: str, *params: str | int) -> list[Any]:
        with self.database.cursor() as cursor:
            cursor.execute(question, params)
            return list(cursor.fetchall())

    def spend(self, amount: Decimal, day: str) -> None:
        """Write a row of the ledger as a neighbouring system does that knows nothing of us."""
        with self.database.cursor() as cursor:
            cursor.execute(
                "INSERT INTO budgets_spend (campaign_id, date, amount)"
                " SELECT id, %s, %s FROM budgets_campaign",
                [day, int(amount * 1_000_000)],
            )

    def hold(self) -> str:
        [(hold,)] = self.ask("SELECT hold FROM budgets_campaign")
        return str(hold)

    def until_held(self, hold: str) -> None:
        until(lambda: self.hold() == hold, self.said)

    def totals(self) -> tuple[Decimal, Decimal]:
        [row] = self.ask("SELECT total_daily_spend, total_monthly_spend FROM budgets_brand")
        today, month = (Decimal(micros) / 1_000_000 for micros in row)
        return today, month

    def passes(self, task: str = "") -> int:
        """Return how many tasks, or those of one name, the worker reported done."""
        ended = re.findall(
            rf"budgets\.tasks\.{task}\S* succeeded in ", self.log_of("worker").read_text()
        )
        return len(ended)

    def until_passing(self, task: str = "") -> None:
        """Return when a task came to its end that had not by now."""
        before = self.passes(task)
        until(lambda: self.passes(task) > before, self.said)

    def changes(self) -> list[tuple[Any, ...]]:
        return self.ask("SELECT old_hold, hold, cause FROM budgets_statuschange ORDER BY id")


def from_now(clock: datetime) -> timedelta:
    """Return how far a clock is ahead that shows `clock` now."""
    return clock - datetime.now(UTC)


@contextmanager
def settled(
    home: Path, environment: dict[str, str], *, ahead: timedelta = timedelta(0)
) -> Iterator[Household]:
    """Give a household on the fresh database of its environment; whatever it started ends with it."""
    from django_celery_budget.settings import database

    handler = ConnectionHandler({"default": database(environment["DATABASE_URL"])})
    house = Household(home, environment, handler["default"], ahead=ahead)
    house.manage("migrate", "--verbosity=0")
    house.manage("shell", "--no-imports", "-c", PREPARE)
    yield house
    for process in house.running:
        process.kill()
        process.wait()
    handler.close_all()


@contextmanager
def new_database(home: Path) -> Iterator[str]:
    """Yield the URL of a fresh database of the kind that the tests run on."""
    if connection.vendor != "postgresql":
        yield f"sqlite:///{home / 'real.sqlite3'}"
        return
    server = connection.settings_dict
    name = f"real_run_{os.getpid()}"
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    user = quote(server["USER"], safe="")
    password = f":{quote(server['PASSWORD'], safe='')}" if server["PASSWORD"] else ""
    host = quote(server["HOST"], safe="")
    port = f":{server['PORT']}" if server["PORT"] else ""
    yield f"postgres://{user}{password}@{host}{port}/{name}"
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


class OwnBroker:
    """A private broker that a test may stop and start."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = broker.start(home)

    @property
    def url(self) -> str:
        return broker.embedded_url(self.home)

    def stop(self) -> None:
        broker.stop(self.process)

    def start(self) -> None:
        self.process = broker.start(self.home)
