"""Worker, beat and broker as processes of their own, as the README starts them."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from budgets.services.deliveries import LEASE
from budgets.tests.receiver import Message, receiving
from budgets.tests.waiting import PATIENCE, until
from django_celery_budget import broker

pytestmark = [pytest.mark.slow, pytest.mark.redis]

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 12, 1, tzinfo=UTC)

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

    def celery(self, role: str, *, ahead: timedelta) -> subprocess.Popen[bytes]:
        """Start a worker or beat whose clock is ahead of ours."""
        command = ["celery", "-A", "django_celery_budget", role, "-l", "info"]
        return self._start(role, *command, ahead=ahead)

    def web(self) -> str:
        """Start a web server at a port that is free, and return its host and port."""
        server = ["gunicorn", "-c", "python:django_celery_budget.web_server"]
        self._start("web", *server, "--bind", "127.0.0.1:0", ahead=timedelta(0))

        def listening() -> list[str]:
            return re.findall(r"Listening at: http://([\d.:]+)", self.log_of("web").read_text())

        until(listening, self.said)
        return listening()[0]

    def _start(self, role: str, *command: str, ahead: timedelta) -> subprocess.Popen[bytes]:
        with self.log_of(role).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.home,  # beat leaves a pid file where it is started
                env={**self.environment, "BUDGETS_TEST_AHEAD": str(ahead.total_seconds())},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.running.append(process)
        return process

    def log_of(self, role: str) -> Path:
        return self.home / f"{role}.log"

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


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[OwnBroker]:
    try:
        own = OwnBroker(tmp_path)
    except broker.BrokerUnavailable as error:
        pytest.skip(str(error))
    yield own
    own.stop()


@pytest.fixture
def household(
    tmp_path: Path, request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker
) -> Iterator[Household]:
    """Prepare a fresh database, whose beat ticks every second, with a broker; nothing runs yet."""
    # The broker that the tests were given, unless the test stops and starts it.
    mine = "own_broker" in request.fixturenames or not settings.REDIS_URL
    url = request.getfixturevalue("own_broker").url if mine else settings.REDIS_URL
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        database_url = stack.enter_context(new_database(tmp_path))
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": url,
            "BUDGETS_DATA_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "budgets.tests.e2e.shifted_settings",
            "PYTHONPATH": str(settings.BASE_DIR),
            "PYTHONUNBUFFERED": "1",
        }
        from django_celery_budget.settings import database

        handler = ConnectionHandler({"default": database(database_url)})
        house = Household(tmp_path, environment, handler["default"])
        house.manage("migrate", "--verbosity=0")
        house.manage("shell", "--no-imports", "-c", PREPARE)
        yield house
        for process in house.running:
            process.kill()
            process.wait()
        handler.close_all()


def test_over_budget_paused_killed_and_resumed_on_the_first_of_the_month(
    household: Household,
) -> None:
    noon = from_now(NOON)
    worker, beat = (household.celery(role, ahead=noon) for role in ("worker", "beat"))
    household.until_held("")

    household.spend(Decimal("10.5"), "2026-11-30")
    household.until_held("brand_daily_budget")
    assert household.totals() == (Decimal("10.5"), Decimal("10.5"))

    received = household.log_of("worker").read_text().count(" received")
    until(
        lambda: household.log_of("worker").read_text().count(" received") > received, household.said
    )
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    household.spend(Decimal(2), "2026-11-30")
    worker = household.celery("worker", ahead=noon)
    until(lambda: household.totals() == (Decimal("12.5"), Decimal("12.5")), household.said)
    assert household.hold() == "brand_daily_budget"

    household.stop(beat, worker)
    household.spend(Decimal(1), "2026-12-01")  # early: it waits for its day
    evening = from_now(MIDNIGHT - timedelta(seconds=8))
    for role in ("worker", "beat"):
        household.celery(role, ahead=evening)
    household.until_held("")

    until(lambda: household.totals() == (Decimal(1), Decimal(1)), household.said)
    assert household.ask("SELECT count(*) FROM budgets_spend WHERE NOT is_counted") == [(0,)]
    assert household.changes() == [
        ("undecided", "", "edit"),
        ("", "brand_daily_budget", "spend"),
        ("brand_daily_budget", "", "rollover"),
    ]
    [(resumed_at,)] = household.ask("SELECT max(at) FROM budgets_statuschange")
    assert datetime.fromisoformat(str(resumed_at)).replace(tzinfo=UTC) >= MIDNIGHT


def test_passes_go_on_by_themselves_when_the_broker_returns(
    own_broker: OwnBroker, household: Household
) -> None:
    noon = from_now(NOON)
    for role in ("worker", "beat"):
        household.celery(role, ahead=noon)
    household.until_held("")

    own_broker.stop()
    until(lambda: "Connection" in household.log_of("worker").read_text(), household.said)
    household.spend(Decimal(10), "2026-11-30")
    own_broker.start()

    household.until_held("brand_daily_budget")
    household.until_passing()


@dataclass(frozen=True)
class Program:
    """A program that holds an API key."""

    address: str
    secret: str

    def post(self, path: str, said: dict[str, object]) -> dict[str, Any]:
        """Send JSON, and return the answer's."""
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self.address, timeout=PATIENCE)) as connection:
            connection.request("POST", f"/api/v1/{path}", json.dumps(said), headers)
            response = connection.getresponse()
            answer: dict[str, Any] = json.load(response)
        assert response.status in (200, 201), answer
        return answer


def test_who_must_stop_is_told_and_told_again_when_the_sender_was_killed(
    household: Household,
) -> None:
    is_over = threading.Event()

    def hold_the_first(_message: Message, number: int) -> int:
        if number == 0:
            is_over.wait(PATIENCE)
        return 204

    household.environment["WEBHOOK_ALLOWED_PRIVATE_HOSTS"] = "127.0.0.1"
    scopes = [word for scope in ("spend:write", "manage") for word in ("--scope", scope)]
    secret = household.manage("create_api_key", "ad server", *scopes)
    program = Program(household.web(), secret)
    at_once = timedelta(0)
    with receiving(hold_the_first) as receiver:
        hook = program.post("webhooks", {"url": receiver.url, "events": ["campaign.paused"]})
        worker, beat = (household.celery(role, ahead=at_once) for role in ("worker", "beat"))
        household.until_held("")

        [(campaign,)] = household.ask("SELECT id FROM budgets_campaign")
        event = {"id": "1", "campaign": campaign, "amount": "10"}
        event["occurred_at"] = datetime.now(UTC).isoformat()
        answer = program.post("spend", {"source": "ad server", "events": [event]})
        assert answer["paused"] == [campaign]

        until(lambda: receiver.messages, household.said)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        is_over.set()
        worker = household.celery("worker", ahead=at_once)
        for _ in range(2):  # the first may have begun before
            household.until_passing("deliver_webhooks")
        assert len(receiver.messages) == 1, "sent again while the lease of the killed one lasts"

        household.stop(beat, worker)
        for role in ("worker", "beat"):
            household.celery(role, ahead=LEASE)
        until(
            lambda: household.ask("SELECT state FROM budgets_webhookdelivery") == [("delivered",)],
            household.said,
        )

    first, again = receiver.messages
    assert (again.id, again.body) == (first.id, first.body)
    assert all(message.is_signed_with(hook["secret"]) for message in receiver.messages)
    assert (first.said["type"], first.said["data"]["hold"]) == (
        "campaign.paused",
        "brand_daily_budget",
    )
    assert first.said["data"]["campaign"]["id"] == campaign
    assert household.ask("SELECT attempts FROM budgets_webhookdelivery") == [(2,)]
    assert household.ask("SELECT status FROM budgets_webhookattempt") == [(204,)]
