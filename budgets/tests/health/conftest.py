"""A broker of our own, and a house in which everything is well."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import connection
from django_celery_beat.models import PeriodicTask

from budgets.services import passes
from django_celery_budget import broker
from django_celery_budget.celery import app

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real broker as the product does."""
    directory = tmp_path_factory.mktemp("broker")
    try:
        process = broker.start(directory)
    except broker.BrokerUnavailable as error:
        pytest.skip(str(error))
    yield broker.embedded_url(directory)
    broker.stop(process)


@pytest.fixture
def running_broker(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have Celery use the running broker."""
    monkeypatch.setitem(app.conf, "broker_url", broker_url)
    app.close()  # What is pooled belongs to another broker.
    yield
    app.close()


@pytest.fixture
def all_is_well(db: None, running_broker: None) -> None:
    """Everything works at `NOW`."""
    PeriodicTask.objects.update(last_run_at=NOW, date_changed=NOW)
    passes.check_and_pause(NOW)
    passes.reset(NOW)


@pytest.fixture
def broken_database(transactional_db: None, django_db_serialized_rollback: None) -> Iterator[None]:
    """Have the database fail for real: no such file, no such database."""
    name = connection.settings_dict["NAME"]

    def point_to(target: str) -> None:
        connection.close()
        connection.settings_dict["NAME"] = target

    point_to("/no/such/database")
    yield
    point_to(name)
