"""`Idempotency-Key`: sent again, answered again, done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, connections, transaction

from budgets.models import Campaign, IdempotentAnswer, Spend
from budgets.services import rollover
from budgets.tests.api.programs import (
    Answer,
    Operation,
    Program,
    event,
    everything,
    make_program,
    operations,
)
from budgets.tests.builders import (
    NOW,
    decided,
    make_brand,
    make_campaign,
    refuse,
    refuse_changes_of,
    spend,
    totals,
)
from budgets.tests.waiting import until

POSTS = [operation for operation in operations() if operation.method == "POST"]
every_post = pytest.mark.parametrize("operation", POSTS, ids=str)


def test_there_are_posts() -> None:
    assert len(POSTS) >= 4


@every_post
def test_a_post_that_is_sent_again_is_answered_again(
    program: Program, tents: Campaign, operation: Operation
) -> None:
    sent = operation.of(tents)
    first = program.ask(*sent, **{"Idempotency-Key": "k"})
    before = everything()

    again = program.ask(*sent, **{"Idempotency-Key": "k"})

    assert first.status == operation.done
    assert (again.status, again.content) == (first.status, first.content)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert everything() == before


@every_post
def test_the_key_with_another_request_is_refused(
    program: Program, tents: Campaign, operation: Operation
) -> None:
    program.spend(event(tents.pk))
    first = program.ask(*operation.of(tents), **{"Idempotency-Key": "k"})
    assert first.status == operation.done
    before = everything()

    method, path, body = operation.of(tents)
    other_path = program.ask(method, f"{path}?a=b", body, **{"Idempotency-Key": "k"})
    another_post = next(it for it in POSTS if it != operation)
    other = program.ask(*another_post.of(tents), **{"Idempotency-Key": "k"})

    for answer in (other_path, other):
        answer.problem(422, "idempotency_key_reused")
    assert everything() == before


def test_the_key_with_another_body_is_refused(program: Program, tents: Campaign) -> None:
    def send(amount: str) -> Answer:
        body = {"source": "s", "events": [{**event(tents.pk, amount), "id": "1"}]}
        return program.post("/spend", body, **{"Idempotency-Key": "k"})

    assert send("1").json["totals"]["recorded"] == 1
    send("2").problem(422, "idempotency_key_reused")
    assert "Idempotent-Replayed" in send("1").headers
    assert totals(tents)[0] == 1


def test_each_program_has_keys_of_its_own(program: Program, tents: Campaign) -> None:
    other = make_program()
    sent = operations_named("POST /spend").of(tents)

    first = program.ask(*sent, **{"Idempotency-Key": "k"})
    second = other.ask(*sent, **{"Idempotency-Key": "k"})

    assert "Idempotent-Replayed" not in second.headers
    assert first.json["totals"]["recorded"] == 1
    assert second.json["totals"]["duplicate"] == 1


def operations_named(name: str) -> Operation:
    return next(operation for operation in POSTS if str(operation) == name)


def test_an_answer_is_kept_for_a_day(program: Program, tents: Campaign) -> None:
    def pause(after: timedelta) -> Answer:
        with time_machine.travel(NOW + after, tick=False):
            return program.post(f"/campaigns/{tents.pk}/pause", **{"Idempotency-Key": "k"})

    day = timedelta(hours=24)
    pause(timedelta())
    program.post(f"/campaigns/{tents.pk}/resume")

    assert pause(day - timedelta(seconds=1)).headers["Idempotent-Replayed"] == "true"
    tents.refresh_from_db()
    assert tents.is_enabled

    assert "Idempotent-Replayed" not in pause(day).headers
    tents.refresh_from_db()
    assert not tents.is_enabled


def test_answers_that_nobody_can_ask_for_any_more_are_deleted(
    program: Program, tents: Campaign
) -> None:
    path = f"/campaigns/{tents.pk}/pause"
    for number in range(5):
        program.post(path, **{"Idempotency-Key": f"k{number}"})
    with time_machine.travel(NOW + timedelta(days=1), tick=False):
        program.post(path, **{"Idempotency-Key": "new"})

    assert [row.idempotency_key for row in IdempotentAnswer.objects.all()] == ["new"]


@pytest.mark.parametrize("key", ["", " ", "a\tb", "a\x00b", "x" * 256, "é\x85", "\x1b[31m"])
def test_an_odd_key_is_refused(program: Program, tents: Campaign, unchanged: Any, key: str) -> None:
    unchanged()
    for operation in POSTS:
        answer = program.ask(*operation.of(tents), **{"Idempotency-Key": key})
        answer.problem(400, "invalid_idempotency_key")


def test_a_problem_is_not_kept(program: Program, tents: Campaign, unchanged: Any) -> None:
    unchanged()
    header = {"Idempotency-Key": "k"}
    program.post("/spend", b"{", **header).problem(400, "malformed_json")
    program.post("/spend", {}, **header).problem(422, "invalid")
    program.post("/campaigns/999/pause", **header).problem(404, "not_found")
    make = {"source": "\n", "events": [event(tents.pk)]}
    program.post("/spend", make, **header).problem(422, "invalid")
    assert IdempotentAnswer.objects.count() == 0


def test_after_a_problem_the_key_can_be_used(program: Program, tents: Campaign) -> None:
    program.post("/campaigns/999/pause", **{"Idempotency-Key": "k"}).problem(404, "not_found")
    assert program.post(f"/campaigns/{tents.pk}/pause", **{"Idempotency-Key": "k"}).status == 200


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["plain", "with a key"])
@every_post
def test_what_fails_halfway_leaves_nothing(
    program: Program, tents: Campaign, headers: dict[str, str], operation: Operation
) -> None:
    """Every POST ends in one kind of write, as moving the state, and the database refuses it."""
    spend(tents, "95", date=NOW.date(), source="s")
    if "resume" in operation.path:
        program.post(f"/campaigns/{tents.pk}/pause")
    method, path, body = operation.of(tents)
    if path == "/spend/to-date":
        assert isinstance(body, dict)
        body["rows"][0]["spend_to_date"] = "100"
    refuse_last_step(operation, tents)
    before = everything()
    try:
        assert program.ask(method, path, body, **headers).status == 500
        assert everything() == before
    finally:
        forget_refusal()

    assert program.ask(method, path, body, **headers).status == operation.done
    assert everything() != before


LAST_STEPS = {
    "POST /webhooks": ("INSERT", "budgets_webhookendpoint_brands"),
    "POST /webhooks/{webhook_id}/rotate": ("UPDATE", "budgets_webhookendpoint"),
    "POST /webhooks/{webhook_id}/test": ("INSERT", "budgets_webhookdelivery"),
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/replay": (
        "UPDATE",
        "budgets_webhookdelivery",
    ),
}
"""What those write that move no state."""


def refuse_last_step(operation: Operation, campaign: Campaign) -> None:
    if str(operation) in LAST_STEPS:
        refuse(*LAST_STEPS[str(operation)])
    else:
        refuse_changes_of(campaign)


def forget_refusal() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER refuse")
        else:
            cursor.execute("DROP FUNCTION refuse CASCADE")


@pytest.fixture
def colleagues() -> Iterator[Callable[[Callable[[], Answer]], Any]]:
    """Send requests beside the test, each on a database connection of its own."""
    with ThreadPoolExecutor(4) as pool:

        def start(job: Callable[[], Answer]) -> Any:
            def work() -> Answer:
                try:
                    return job()
                finally:
                    connections.close_all()

            return pool.submit(work)

        yield start
    until(lambda: sessions_of_others() == [])


def sessions_of_others() -> list[str]:
    """Return what each other session on this database waits for."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT coalesce(wait_event_type, '') FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [kind for (kind,) in cursor.fetchall()]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_at_once_do_the_work_once(colleagues: Any) -> None:
    program = make_program()
    campaign = decided(make_campaign(make_brand(daily_budget=100)))
    sent = operations_named("POST /spend").of(campaign)

    with transaction.atomic():
        # The first waits for the brand with its row of the key in hand, the second for that row.
        rollover.lock([campaign.brand_id], NOW)
        sendings = [
            colleagues(lambda: program.ask(*sent, **{"Idempotency-Key": "k"})) for _ in range(2)
        ]
        until(lambda: sessions_of_others() == ["Lock", "Lock"])

    first, second = (sending.result() for sending in sendings)
    assert first.content == second.content
    assert first.status == second.status == 200
    replayed = ["Idempotent-Replayed" in answer.headers for answer in (first, second)]
    assert sorted(replayed) == [False, True]
    assert Spend.objects.count() == 1
    assert totals(campaign)[0] == 5
