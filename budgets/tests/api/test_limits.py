"""How often a program may ask."""

from __future__ import annotations

from typing import Any

import pytest

from budgets.api import limits
from budgets.models import Campaign
from budgets.tests.api.programs import Program, make_program, stranger


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test moves on: seconds since some time."""
    seconds = [1000.0]
    monkeypatch.setattr("budgets.api.limits.time.monotonic", lambda: seconds[0])
    return seconds


def test_a_key_may_ask_so_often_and_again_later(
    program: Program, tents: Campaign, unchanged: Any, settings: Any, clock: list[float]
) -> None:
    settings.API_REQUESTS_PER_SECOND = 2
    assert [program.get("/brands").status for _ in range(2)] == [200, 200]
    unchanged()

    refused = program.post(f"/campaigns/{tents.pk}/pause")
    refused.problem(429, "rate_limited")
    assert refused.headers["Retry-After"] == "1"
    program.stream(b"{}").problem(429, "rate_limited")

    clock[0] += 0.49
    program.get("/brands").problem(429, "rate_limited")
    clock[0] += 0.01
    assert program.get("/brands").status == 200
    program.get("/brands").problem(429, "rate_limited")

    # What was not used is not saved up.
    clock[0] += 3600
    assert [program.get("/brands").status for _ in range(3)] == [200, 200, 429]


def test_after_retry_after_seconds_it_is_answered(
    program: Program, settings: Any, clock: list[float]
) -> None:
    settings.API_REQUESTS_PER_SECOND = 1
    assert program.get("/brands").status == 200
    clock[0] += 0.1

    refused = program.get("/brands")
    clock[0] += int(refused.headers["Retry-After"])

    assert program.get("/brands").status == 200


def test_each_key_has_its_own_allowance(
    program: Program, settings: Any, clock: list[float]
) -> None:
    settings.API_REQUESTS_PER_SECOND = 1
    other = make_program()
    program.get("/brands")

    program.get("/brands").problem(429, "rate_limited")
    assert other.get("/brands").status == 200


def test_who_has_no_key_takes_nothing_from_anybody(
    program: Program, settings: Any, clock: list[float]
) -> None:
    settings.API_REQUESTS_PER_SECOND = 1
    for _ in range(5):
        stranger(program.secret[:-1] + "!").get("/brands").problem(401, "unauthorized")
    assert program.get("/brands").status == 200


def test_buckets_are_forgotten_before_they_fill_the_memory(
    program: Program, settings: Any, clock: list[float]
) -> None:
    for key_id in range(limits.KEPT + 1):
        limits.spend_one(-key_id)
    assert len(limits._buckets) <= limits.KEPT
