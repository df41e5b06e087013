"""A clock that stands still, programs with keys, and a look at every table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import time_machine

from budgets.api import limits
from budgets.models import Brand, Campaign
from budgets.tests.api.programs import Program, everything, make_program, tell
from budgets.tests.builders import NOW, decided, make_brand, make_campaign


@pytest.fixture(autouse=True)
def now() -> Iterator[None]:
    """The doors read the clock: it shows `NOW`, and every key's allowance is whole."""
    limits._buckets.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def program(db: None) -> Program:
    """A program that may do everything and sees every brand."""
    return make_program()


@pytest.fixture
def aurora(db: None) -> Brand:
    """A brand that may spend 100 a day."""
    return make_brand(name="Aurora", daily_budget=100)


@pytest.fixture
def tents(aurora: Brand) -> Campaign:
    """Its campaign, active, of which an endpoint hears."""
    return tell(decided(make_campaign(aurora, name="Tents", external_id="t-1")))


@pytest.fixture
def unchanged(db: None) -> Iterator[Callable[[], None]]:
    """Every table is at the end of the test as it is when the test calls this."""
    before: list[object] = []
    yield lambda: before.append(everything())
    assert before, "the test has not said from where on nothing changes"
    assert everything() == before[-1]
