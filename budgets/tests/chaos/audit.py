"""What must be true at every commit, asked in SQL of its own from one snapshot, again and again."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import psycopg

from budgets.tests.chaos.clients import Scene, Switch
from budgets.tests.chaos.household import HOST
from budgets.tests.chaos.judge import Judge

PASSES_EVERY = 2
"""Seconds between two passes of a trial."""
RED_AFTER = timedelta(seconds=3 * PASSES_EVERY)
SHOWN = 3

REACHED = (
    "({0}.{1}_budget IS NOT NULL AND ({0}.total_{2}_spend >= {0}.{1}_budget OR {0}.{1}_budget = 0))"
)
SPENT = " OR ".join(
    REACHED.format(row, period, total)
    for row in ("b", "c")
    for period, total in (("daily", "daily"), ("monthly", "monthly"))
)

LOOKS = (
    (
        "I1",
        "a campaign's totals are not the sums of its counted rows (id, day, totals, sums)",
        """
        SELECT c.id, c.spend_day, c.total_daily_spend, c.total_monthly_spend, s.today, s.month
        FROM budgets_campaign c CROSS JOIN LATERAL (
            SELECT COALESCE(sum(amount) FILTER (WHERE date = c.spend_day), 0) AS today,
                   COALESCE(sum(amount), 0) AS month
            FROM budgets_spend WHERE campaign_id = c.id AND is_counted
            AND date BETWEEN date_trunc('month', c.spend_day)::date AND c.spend_day
        ) s WHERE (c.total_daily_spend, c.total_monthly_spend) <> (s.today, s.month)
        """,
    ),
    (
        "I1",
        "a brand's totals are not the sums of its campaigns' (id, day, totals, sums)",
        """
        SELECT b.id, b.spend_day, b.total_daily_spend, b.total_monthly_spend, s.today, s.month
        FROM budgets_brand b CROSS JOIN LATERAL (
            SELECT COALESCE(sum(total_daily_spend), 0) AS today,
                   COALESCE(sum(total_monthly_spend), 0) AS month
            FROM budgets_campaign WHERE brand_id = b.id AND spend_day = b.spend_day
        ) s WHERE (b.total_daily_spend, b.total_monthly_spend) <> (s.today, s.month)
        """,
    ),
    (
        "I2",
        "the log is no chain (change, campaign, before, old, new, cause)",
        """
        SELECT id, campaign_id, before, old_hold, hold, cause FROM (
            SELECT id, campaign_id, old_hold, hold, was_active, cause,
                   lag(hold) OVER w AS before, lag(is_active) OVER w AS active_before
            FROM budgets_statuschange WINDOW w AS (PARTITION BY campaign_id ORDER BY id)
        ) l WHERE cause = '' OR old_hold = hold OR COALESCE(before, 'undecided') <> old_hold
        OR COALESCE(active_before, FALSE) <> was_active
        """,
    ),
    (
        "I3",
        "a state is not the last one of the log (campaign, hold, logged)",
        """
        SELECT c.id, c.hold, l.hold FROM budgets_campaign c LEFT JOIN LATERAL (
            SELECT hold, is_active FROM budgets_statuschange WHERE campaign_id = c.id
            ORDER BY id DESC LIMIT 1
        ) l ON TRUE
        WHERE (COALESCE(l.hold, 'undecided'), COALESCE(l.is_active, FALSE)) <> (c.hold, c.is_active)
        """,
    ),
    (
        "I4",
        "not one delivery for a change and an endpoint (change, endpoint, deliveries)",
        """
        SELECT s.id, e.id, count(d.id) FROM budgets_statuschange s
        JOIN budgets_campaign c ON c.id = s.campaign_id
        JOIN budgets_webhookendpoint e ON NOT e.is_restricted OR EXISTS (
            SELECT FROM budgets_webhookendpoint_brands r
            WHERE r.webhookendpoint_id = e.id AND r.brand_id = c.brand_id)
        LEFT JOIN budgets_webhookdelivery d ON d.status_change_id = s.id AND d.endpoint_id = e.id
        GROUP BY s.id, e.id HAVING count(d.id) <> 1
        """,
    ),
    (
        "I7b",
        "active though its budget is reached (campaign, brand, its totals and budgets)",
        f"""
        SELECT c.id, b.id, b.total_daily_spend, b.daily_budget, b.total_monthly_spend,
               b.monthly_budget, c.total_daily_spend, c.daily_budget, c.total_monthly_spend,
               c.monthly_budget
        FROM budgets_campaign c JOIN budgets_brand b ON b.id = c.brand_id
        WHERE c.is_active AND ({SPENT})
        """,  # noqa: S608  # words of ours
    ),
    (
        "I8",
        "active though it is switched off (campaign)",
        "SELECT id FROM budgets_campaign WHERE is_active AND NOT is_enabled",
    ),
)

PASSED = """
    SELECT min(at) FROM budgets_passrecord
    WHERE name IN ('check_and_pause_campaigns', 'reset_daily_monthly_spend') HAVING count(*) = 2
"""
NEVER_WRITTEN_AGAIN = {
    "budgets_spend": "campaign_id, date, amount, occurred_at, source, external_id, created_at",
    "budgets_statuschange": "campaign_id, at, was_active, is_active, old_hold, hold, cause, actor, xid",
}


class Watch(threading.Thread):
    """Looks at the database from outside until the trial is over; a database that is down is no news."""

    pace = 0.4

    def __init__(self, scene: Scene, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.scene, self.findings = scene, scene.findings
        self.is_over = threading.Event()

    def run(self) -> None:
        """Look again and again."""
        while not self.is_over.wait(self.pace):
            self.guarded(self.look)

    def guarded(self, look: Callable[[], None]) -> None:
        """Do without what a crash of the database takes."""
        try:
            look()
        except psycopg.OperationalError:
            self.findings.count("looks that a crash cut short")
        except Exception as error:  # noqa: BLE001  # an auditor that is gone would find nothing
            self.findings.violate("harness", f"{self.name}: {type(error).__name__}: {error}")

    def look(self) -> None:
        """Look once."""
        raise NotImplementedError


class Auditor(Watch):
    """Asks for every invariant that holds at each commit, from one snapshot."""

    ROWS_EVERY = 20
    """Looks between two at all rows that must never change."""

    def __init__(self, scene: Scene, judges: list[Judge]) -> None:
        super().__init__(scene, "auditor")
        self.judges = judges
        self.looks = 0
        self._seen: dict[str, dict[int, int]] = {table: {} for table in NEVER_WRITTEN_AGAIN}

    def look(self) -> None:
        """Look once, at all that one snapshot shows."""
        switched = dict(self.scene.switches)
        with psycopg.connect(self.scene.database, connect_timeout=5) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            for invariant, words, question in LOOKS:
                if rows := connection.execute(question.encode()).fetchall():
                    told = f"{len(rows)}: {[_plain(row) for row in rows[:SHOWN]]}"
                    self.findings.violate(invariant, f"{words}: {told}")
            in_force: dict[int, bool] = dict(
                connection.execute("SELECT id, is_enabled FROM budgets_campaign").fetchall()
            )
            delivered = connection.execute(
                "SELECT id FROM budgets_webhookdelivery WHERE state = 'delivered'"
            ).fetchall()
            if self.looks % self.ROWS_EVERY == 0:
                self.compare_rows(connection)
        self._compare_switches(switched, in_force)
        # Read afterwards: a receiver takes a delivery before we can mark it.
        accepted = set().union(*(judge.accepted for judge in self.judges))
        if lost := sorted({pk for (pk,) in delivered} - accepted):
            words = f"marked delivered, but no receiver took them: {lost[:SHOWN]}"
            self.findings.violate("I5", words)
        self.looks += 1
        self.findings.count("snapshots audited")

    def _compare_switches(
        self, switched: dict[int, Switch | None], in_force: dict[int, bool]
    ) -> None:
        for pk, switch in switched.items():
            if switch is None or self.scene.switches[pk] is not switch:
                continue  # changed meanwhile
            if switch.is_on is not in_force[pk]:
                self.findings.violate(
                    "I8", f"campaign {pk} is not as the operator left it: {switch}"
                )

    def compare_rows(self, connection: psycopg.Connection[Any]) -> None:
        """See that all rows of the ledger and of the log that were there are there as they were."""
        for table, columns in NEVER_WRITTEN_AGAIN.items():
            question = f"SELECT id, hashtextextended(ROW({columns})::text, 0) FROM {table}"  # noqa: S608  # ours
            rows = dict(connection.execute(question.encode()).fetchall())
            changed = [pk for pk, it in self._seen[table].items() if rows.get(pk) != it]
            if changed:
                self.findings.violate("I12", f"{table}: changed or gone: {changed[:SHOWN]}")
            self._seen[table] = rows


class Monitor(Watch):
    """Asks for health as a monitor does, and knows when it has to be red."""

    pace = 0.7

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene, "monitor")

    def look(self) -> None:
        """See that health is red when no pass has come to its end for three intervals."""
        before, now = self._passed(), self.scene.clock.now()
        status = health(self.scene.port)
        is_late = before is not None and now - before > RED_AFTER
        if is_late and self._passed() == before:
            self.findings.count("health asked while passes were late")
            if status == 200:
                self.findings.violate("I16", f"green at {now}, though passes ended at {before}")
        self.findings.count(f"health answered {status}")

    def _passed(self) -> datetime | None:
        with psycopg.connect(self.scene.database, connect_timeout=5) as connection:
            row = connection.execute(PASSED).fetchone()
        return row[0] if row else None


def health(port: int) -> int:
    """Return the status of /health/; 0 when nobody answers."""
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("GET", "/health/?format=json", headers={"Host": HOST})
            return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0


def _plain(row: tuple[Any, ...]) -> str:
    return "(" + ", ".join("-" if it is None else str(it) for it in row) + ")"
