"""What must be true at the end, when nobody is at work: the clients' journals against the database."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg

from budgets.tests.chaos.agency import MICROS
from budgets.tests.chaos.clients import A_BATCH, DEAREST, Client, Scene, Sums
from budgets.tests.chaos.judge import Judge
from budgets.tests.oracle import Row, World

SHOWN = 5
TABLES = ("brand", "campaign", "spend", "statuschange", "webhookdelivery")
Connection = psycopg.Connection[tuple[Any, ...]]
Money = dict[tuple[int, date], Decimal]


def judge_all(
    scene: Scene, connection: Connection, clients: list[Client], judges: list[Judge]
) -> None:
    """Note whatever is not as it must be."""
    spent: Money = defaultdict(Decimal)
    for client in clients:
        compare = _compare_sums if isinstance(client, Sums) else _compare_rows
        for day, amount in compare(scene, connection, client).items():
            spent[day] += amount
    _compare_states(scene, connection, spent)
    _compare_receivers(scene, connection, judges)
    _measure_overruns(scene, connection)


def digest(connection: Connection) -> list[tuple[Any, ...]]:
    """Return a fingerprint of all that a pass could write, but for its own record."""
    return [
        row
        for table in TABLES
        for row in connection.execute(
            f"SELECT '{table}', count(*), md5(string_agg(t::text, '|' ORDER BY id))"  # noqa: S608  # ours
            f" FROM budgets_{table} t".encode()
        )
    ]


def _compare_rows(scene: Scene, connection: Connection, client: Client) -> Money:
    """I6: each row that was acknowledged is there once, as it was sent, and no other one."""
    sent: dict[str, tuple[int, str, Decimal]] = {}
    acknowledged: set[str] = set()
    for entry in client.journal.read():
        if "acknowledged" in entry:
            acknowledged |= set(entry["acknowledged"])
        else:
            sent[entry["id"]] = entry["campaign"], entry["day"], Decimal(entry["amount"])
    rows = connection.execute(
        "SELECT external_id, campaign_id, date::text, amount FROM budgets_spend WHERE source = %s",
        [client.name],
    )
    found = {key: (pk, day, Decimal(it) / MICROS) for key, pk, day, it in rows}
    wrong = {
        "acknowledged and not there": sorted(acknowledged - found.keys()),
        "there and never sent": sorted(found.keys() - sent.keys()),
        "there with another content": [
            f"{key}: {it}, sent {sent[key]}" for key, it in found.items() if sent.get(key, it) != it
        ],
    }
    for words, keys in wrong.items():
        if keys:
            scene.findings.violate("I6", f"{client.name}: {len(keys)} {words}: {keys[:SHOWN]}")
    spent: Money = defaultdict(Decimal)
    for key in found.keys() & sent.keys():
        pk, day, amount = sent[key]
        spent[pk, date.fromisoformat(day)] += amount
    return spent


def _compare_sums(scene: Scene, connection: Connection, client: Client) -> Money:
    """I6: what was reported last is what the ledger's rows of the source add up to."""
    told: Money = {
        (row["campaign"], date.fromisoformat(row["date"])): Decimal(row["spend_to_date"])
        for row in client.journal.read()
    }
    rows = connection.execute(
        "SELECT campaign_id, date, sum(amount) FROM budgets_spend WHERE source = %s GROUP BY 1, 2",
        [client.name],
    )
    found = {(pk, day): Decimal(amount) / MICROS for pk, day, amount in rows}
    for day, amount in told.items():
        if found.get(day, Decimal(0)) != amount:
            words = f"{client.name}: {day} is {found.get(day)}, reported as {amount}"
            scene.findings.violate("I6", words)
    if strange := found.keys() - told.keys():
        scene.findings.violate("I6", f"{client.name}: never reported: {sorted(strange)[:SHOWN]}")
    return told


def _compare_states(scene: Scene, connection: Connection, spent: Money) -> None:
    """I7: states and totals are what the rule book says of what people wrote and clients sent."""
    now = scene.clock.now()
    campaigns = {campaign.pk: campaign for campaign in scene.world.campaigns}
    world = World(
        scene.world.brands,
        [Row(campaign=campaigns[pk], date=day, amount=it) for (pk, day), it in spent.items()],
    )
    in_force: dict[int, str] = dict(
        connection.execute("SELECT id, hold FROM budgets_campaign").fetchall()
    )
    totals = "spend_day, total_daily_spend, total_monthly_spend"
    for brand in world.brands:
        for pk, hold in world.holds(brand, now).items():
            if in_force[pk] != hold:
                words = (
                    f"campaign {pk} of brand {brand.pk} is {in_force[pk]!r}, not {hold!r}, at {now}"
                )
                scene.findings.violate("I7", words)
        day = brand.today(now)
        rows = [("brand", brand.pk, brand.campaigns)]
        rows += [("campaign", one.pk, [one]) for one in brand.campaigns]
        for kind, pk, members in rows:
            should = world.spent(members, day)
            question = f"SELECT {totals} FROM budgets_{kind} WHERE id = %s"  # noqa: S608  # ours
            row = connection.execute(question.encode(), [pk]).fetchone()
            expected = (day, should.today * MICROS, should.this_month * MICROS)
            if row != expected:
                scene.findings.violate("I7", f"totals of {kind} {pk} are {row}, not {expected}")
    for hold in in_force.values():
        scene.findings.count(f"campaigns at the end: {hold or 'active'}")


def _compare_receivers(scene: Scene, connection: Connection, judges: list[Judge]) -> None:
    """I5: all was delivered or visibly given up, and who kept the newest knows our state."""
    states: dict[str, int] = dict(
        connection.execute(
            "SELECT state, count(*) FROM budgets_webhookdelivery GROUP BY 1"
        ).fetchall()
    )
    for state, count in states.items():
        scene.findings.count(f"deliveries {state}", count)
    given_up = {
        pk
        for (pk,) in connection.execute(
            "SELECT s.campaign_id FROM budgets_webhookdelivery d"
            " JOIN budgets_statuschange s ON s.id = d.status_change_id WHERE d.state <> 'delivered'"
        )
    }
    [everything, *_] = judges
    for pk, is_active, hold in connection.execute(
        "SELECT id, is_active, hold FROM budgets_campaign"
    ):
        told = everything.newest.get(pk)
        if pk not in given_up and (
            told is None or (told["is_active"], told["hold"]) != (is_active, hold)
        ):
            known = told and (told["is_active"], told["hold"])
            words = f"the receiver takes campaign {pk} for {known}; it is {(is_active, hold)}"
            scene.findings.violate("I5", words)


def _measure_overruns(scene: Scene, connection: Connection) -> None:
    """I13: a budget is overrun by no more than the batch that crossed it."""
    most = A_BATCH * (DEAREST + 1)
    rows = connection.execute(
        "SELECT id, actor, figures->>'spent', figures->>'budget' FROM budgets_statuschange"
        " WHERE was_active AND cause = 'spend' AND actor <> ''"
        " AND (figures->>'spent')::numeric - (figures->>'budget')::numeric > %s",
        [most],
    ).fetchall()
    if rows:
        scene.findings.violate("I13", f"overrun by more than {most}: {rows[:SHOWN]}")
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE was_active AND cause = 'spend'),"
        " count(*) FILTER (WHERE is_active AND cause = 'rollover'),"
        " count(*) FILTER (WHERE cause = 'sweep') FROM budgets_statuschange"
    ).fetchone()
    names = (
        "status changes",
        "pauses by spend",
        "resumed by a new day or month",
        "found by the full check",
    )
    assert row is not None
    for what, number in zip(names, row, strict=True):
        scene.findings.count(what, number)
    if not row[1]:
        scene.findings.violate("harness", "no budget was reached: the trial proves nothing")
