"""Brokers of the embedded kind, whatever broker the other tests were given."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_celery_budget import broker


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Return a directory whose path leaves room for the name of a socket: pytest's may not."""
    with tempfile.TemporaryDirectory(prefix="budgets-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture
def home(short_path: Path) -> Path:
    """Return a data directory for a broker; where there is none to start, say so."""
    try:
        broker.binary()
    except broker.BrokerUnavailable as error:
        pytest.skip(str(error))
    return short_path / "home"
