"""Worker, beat and broker as processes of their own, as the README starts them."""

from __future__ import annotations

import http.client
import json
import signal
import threading
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from budgets.services.deliveries import LEASE
from budgets.tests.e2e.household import MIDNIGHT, NOON, Household, OwnBroker, from_now
from budgets.tests.receiver import Message, receiving
from budgets.tests.waiting import PATIENCE, until

pytestmark = [pytest.mark.slow, pytest.mark.redis]

TODAY, TOMORROW = NOON.date().isoformat(), MIDNIGHT.date().isoformat()


def test_over_budget_paused_killed_and_resumed_on_the_first_of_the_month(
    household: Household,
) -> None:
    household.ahead = from_now(NOON)
    worker, beat = (household.celery(role) for role in ("worker", "beat"))
    household.until_held("")

    household.spend(Decimal("10.5"), TODAY)
    household.until_held("brand_daily_budget")
    assert household.totals() == (Decimal("10.5"), Decimal("10.5"))

    received = household.log_of("worker").read_text().count(" received")
    until(
        lambda: household.log_of("worker").read_text().count(" received") > received, household.said
    )
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    household.spend(Decimal(2), TODAY)
    worker = household.celery("worker")
    until(lambda: household.totals() == (Decimal("12.5"), Decimal("12.5")), household.said)
    assert household.hold() == "brand_daily_budget"

    household.stop(beat, worker)
    household.spend(Decimal(1), TOMORROW)  # early: it waits for its day
    household.ahead = from_now(MIDNIGHT - timedelta(seconds=8))
    for role in ("worker", "beat"):
        household.celery(role)
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
    household.ahead = from_now(NOON)
    for role in ("worker", "beat"):
        household.celery(role)
    household.until_held("")

    own_broker.stop()
    until(lambda: "Connection" in household.log_of("worker").read_text(), household.said)
    household.spend(Decimal(10), TODAY)
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
    with receiving(hold_the_first) as receiver:
        hook = program.post("webhooks", {"url": receiver.url, "events": ["campaign.paused"]})
        worker, beat = (household.celery(role) for role in ("worker", "beat"))
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
        worker = household.celery("worker")
        for _ in range(2):  # the first may have begun before
            household.until_passing("deliver_webhooks")
        assert len(receiver.messages) == 1, "sent again while the lease of the killed one lasts"

        household.stop(beat, worker)
        household.ahead = LEASE
        for role in ("worker", "beat"):
            household.celery(role)
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
