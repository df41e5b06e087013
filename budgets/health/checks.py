"""The checks: each says in words what is wrong, since when, and what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

import redis
from django.conf import settings
from django.db import Error

from budgets.core.durations import in_words
from budgets.models import PassRecord
from budgets.queries import health
from budgets.queries.health import PassAge
from budgets.services import passes
from budgets.services.access import Sight
from budgets.services.alerts import watching
from django_celery_budget import broker, schedule
from django_celery_budget.celery import app
from django_celery_budget.schedule import Entry

logger = logging.getLogger(__name__)

TASKS = (passes.CHECK_AND_PAUSE, passes.RESET)
ANSWER_WITHIN = 1.0
"""Seconds for the broker, and again for a worker: monitors have little patience."""

FULL_CHECK_PATIENCE = 3 * passes.FULL_CHECK_EVERY
CLOCKS_DIFFER = timedelta(seconds=5)
DELIVERY_PATIENCE = timedelta(minutes=15)
SHOWN_BRANDS = 5
UNSEEN_TROUBLE = "Brands that you do not see cannot be processed"
START = "Start them with manage.py up, or with your own services for worker and beat."


class Status(StrEnum):
    """How a part does. A failure makes the whole degraded, a warning does not."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """The answer of one part: `words` for people, `status` and `value` for machines."""

    key: str
    title: str
    status: Status
    words: str
    value: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """The answers of all parts."""

    checks: list[Check]

    @property
    def is_ok(self) -> bool:
        """Whether no part fails."""
        return all(check.status is not Status.FAIL for check in self.checks)

    @property
    def failing(self) -> list[Check]:
        """The parts that fail."""
        return [check for check in self.checks if check.status is Status.FAIL]

    @property
    def status(self) -> str:
        """The one word that everybody may read."""
        return "ok" if self.is_ok else "degraded"


def examine(now: datetime, *, sight: Sight, ask_workers: bool) -> Report:
    """Ask every part, and name the brands in `sight` where brands are in trouble, no others.

    `ask_workers`: when no pass proves that a worker lives, wait for one to answer. The verdict is
    "degraded" then anyhow, so that anonymous callers cannot make us wait.
    """
    in_database, in_broker = check_database(), check_broker()
    if in_database.status is Status.FAIL:
        return Report([in_database, in_broker])
    return Report(
        [
            in_database,
            _guarded("migrations", "Migrations", check_migrations),
            in_broker,
            *_passes(now, sight, ask_workers=ask_workers and in_broker.status is Status.OK),
            _guarded("brands", "Brands", partial(check_brands, sight)),
            _guarded("webhooks", "Webhooks", partial(check_webhooks, now)),
        ]
    )


def check_database() -> Check:
    """Ask the database for anything at all."""
    check = partial(Check, "database", "Database")
    try:
        health.answer()
    except Error as error:
        logger.warning("the database does not answer: %s", error)
        return check(
            Status.FAIL,
            "It does not answer. Spend cannot be recorded and nothing is paused until it does; "
            "nothing else can be told either. See that it runs and that DATABASE_URL is right.",
        )
    return check(Status.OK, "It answers.")


def check_migrations() -> Check:
    """Compare the migrations of this code with those the database has seen."""
    pending = health.pending_migrations()
    check = partial(Check, "migrations", "Migrations", value={"pending": pending})
    if not pending:
        return check(Status.OK, "None is pending.")
    named = ", ".join(pending[:5]) + (" …" if len(pending) > 5 else "")
    return check(Status.FAIL, f"{len(pending)} pending: {named}. Run manage.py migrate.")


def check_broker() -> Check:
    """Ask the broker that Celery uses; its address, which may hold a password, is never said."""
    check = partial(Check, "broker", "Broker")
    try:
        with broker.client(app.conf.broker_url, timeout=ANSWER_WITHIN) as connection:
            connection.ping()
    except redis.RedisError as error:
        logger.warning("the broker does not answer: %s", type(error).__name__)
        which = (
            "The broker that REDIS_URL names does not answer. See that it runs."
            if settings.REDIS_URL
            else f"The embedded broker does not run; it comes with worker and beat. {START}"
        )
        return check(
            Status.FAIL,
            f"{which} Spend is recorded and pauses its campaigns all the same; passes wait.",
        )
    return check(Status.OK, "It answers.")


def check_passes(ages: list[PassAge]) -> Check:
    """See that both periodic jobs came to their end within three intervals."""
    check = partial(
        Check,
        "passes",
        "Passes",
        value={
            age.name: {
                "age_seconds": None if age.age is None else round(age.age.total_seconds(), 1),
                "red_after_seconds": age.patience.total_seconds(),
                "counts": dict(age.counts),
            }
            for age in ages
        },
    )
    never = [age for age in ages if age.age is None]
    if len(never) == len(ages):
        return check(
            Status.FAIL, f"No pass has completed yet; worker and beat may not run. {START}"
        )
    if late := [age for age in ages if age.is_late]:
        words = "; ".join(
            f"{age.name} has never completed"
            if age.age is None
            else f"{age.name} last completed {in_words(age.age)} ago "
            f"(red after {in_words(age.patience)})"
            for age in late
        )
        return check(
            Status.FAIL,
            f"{words}. Spend still pauses campaigns; nothing resumes, and allowed hours are not "
            "kept, until passes run again. See worker and beat below.",
        )
    words = ", ".join(f"{age.name} {in_words(age.age)} ago" for age in ages if age.age is not None)
    return check(Status.OK, f"Last completed: {words}.")


def check_worker(ages: list[PassAge], *, ask: bool) -> Check:
    """Take a recent pass as proof that a worker lives; else ask for one."""
    check = partial(Check, "worker", "Worker")
    if any(not age.is_late for age in ages):
        return check(Status.OK, "A recent pass proves that one works.")
    if not ask:
        return check(Status.FAIL, "No recent pass proves that one works, and none could be asked.")
    if app.control.ping(timeout=ANSWER_WITHIN, limit=1):
        return check(Status.WARN, "One answers, but it has completed no pass lately. See its log.")
    return check(
        Status.FAIL,
        "None answers. Start one: celery -A django_celery_budget worker -l info.",
    )


def check_beat(entries: Mapping[str, Entry], now: datetime) -> Check:
    """See that beat has an enabled entry for each job and sends it in time."""
    known = {task: entries[task] for task in TASKS if task in entries}
    check = partial(
        Check,
        "beat",
        "Beat",
        value={
            task: {
                "enabled": entry.is_enabled,
                "interval_seconds": entry.interval.total_seconds(),
                "last_run_at": entry.last_run_at and entry.last_run_at.isoformat(),
            }
            for task, entry in known.items()
        },
    )
    enabled = [entry for entry in known.values() if entry.is_enabled]
    silent = [entry for entry in enabled if entry.silence(now) > entry.patience]
    complaints = []
    if missing := [task for task in TASKS if task not in known]:
        complaints.append(
            f"No periodic task sends {_list(missing)}. Add it in the admin, every minute."
        )
    if disabled := [f"“{entry.name}”" for entry in known.values() if not entry.is_enabled]:
        complaints.append(f"Disabled: {_list(disabled)}. Enable it in the admin.")
    if silent:
        named = [f"“{entry.name}” for {in_words(entry.silence(now))}" for entry in silent]
        complaints.append(
            f"Not sent: {_list(named)}. Start beat: celery -A django_celery_budget beat -l info."
        )
    if complaints:
        return check(Status.FAIL, " ".join(complaints))
    if unsent := [f"“{entry.name}”" for entry in enabled if entry.last_run_at is None]:
        return check(Status.WARN, f"Not sent yet: {_list(unsent)}. Beat waits one interval first.")
    return check(Status.OK, "It sends both tasks in time.")


def check_uncounted(now: datetime, sight: Sight, patience: timedelta) -> Check:
    """See that rows of the ledger written by another road are counted soon."""
    waiting = health.waiting(now, sight)
    oldest = None if waiting.oldest is None else now - waiting.oldest
    check = partial(
        Check,
        "uncounted",
        "Uncounted spend",
        value={
            "rows": waiting.count,
            "capped": waiting.is_capped,
            "oldest_seconds": None if oldest is None else round(oldest.total_seconds(), 1),
        },
    )
    if not waiting.count or oldest is None:
        return check(Status.OK, "Every row whose day has come is in the totals.")
    number = f"{waiting.count:,} or more rows wait" if waiting.is_capped else _rows(waiting.count)
    words = f"{number} to be counted, the oldest for {in_words(oldest)}."
    if waiting.brands:
        words = f"{words} Of: {', '.join(waiting.brands)}."
    if oldest <= patience:
        return check(Status.WARN, f"{words} The next pass counts them.")
    return check(
        Status.FAIL,
        f"{words} Totals are too low by them. See passes; if they go on, the log of the worker "
        "says why these rows cannot be counted.",
    )


def check_ledger(records: Mapping[str, PassRecord], now: datetime) -> Check:
    """Report what the last full check found that must not be."""
    check = partial(Check, "full_check", "Full check")
    record = records.get(passes.FULL_CHECK)
    if record is None:
        return check(Status.OK, "It has not run yet; the first pass does it.")
    age = round((now - record.at).total_seconds(), 1)
    check = partial(check, value={"at": record.at.isoformat(), "age_seconds": age, **record.counts})
    if now - record.at > FULL_CHECK_PATIENCE:
        return check(
            Status.FAIL,
            f"It last came to its end {in_words(now - record.at)} ago, and is to do so every "
            f"{in_words(passes.FULL_CHECK_EVERY)}. See the log of the worker.",
        )
    findings = {code: count for code, count in record.counts.items() if code != "corrected"}
    if not findings:
        return check(Status.OK, "Totals, states and log belong together.")
    named = ", ".join(f"{code.replace('_', ' ')} ({count})" for code, count in findings.items())
    return check(
        Status.FAIL,
        f"At {record.at:%Y-%m-%d %H:%M} UTC it found what must not be: {named}. "
        "Run manage.py reconcile to see the rows, and with --repair to sum totals anew.",
    )


def check_clock(records: Mapping[str, PassRecord], now: datetime) -> Check:
    """See that time did not go back: a pass must not lie in the future."""
    check = partial(Check, "clock", "Clock")
    ahead = max((record.at - now for record in records.values()), default=timedelta(0))
    if ahead <= CLOCKS_DIFFER:
        return check(Status.OK, "It goes forward.")
    return check(
        Status.FAIL,
        f"A pass is on record that lies {in_words(ahead)} in the future: the clock went back, or "
        "the machines disagree. Set the clocks; nothing need be restarted.",
        {"ahead_seconds": round(ahead.total_seconds(), 1)},
    )


def check_brands(sight: Sight) -> Check:
    """Name the brands in `sight` that the last pass could not process; say so of any."""
    troubled = health.troubled_brands(SHOWN_BRANDS + 1, sight)
    shown = troubled[:SHOWN_BRANDS]
    check = partial(Check, "brands", "Brands", value={"troubled": [name for name, _ in shown]})
    if not troubled and not health.is_any_troubled():
        return check(Status.OK, "All can be processed.")
    named = "; ".join(f"{name}: {trouble}" for name, trouble in shown)
    more = "; and more" if len(troubled) > len(shown) else ""
    which = f"These cannot be processed: {named}{more}" if shown else UNSEEN_TROUBLE
    return check(
        Status.FAIL,
        f"{which}. Their campaigns stay as they are; all others are looked after.",
    )


def check_webhooks(now: datetime) -> Check:
    """See that deliveries are sent when they are due.

    One that failed waits for its next attempt and is not overdue; those that queue behind it are.
    """
    overdue = health.overdue_deliveries(now - DELIVERY_PATIENCE)
    late = None if overdue.oldest is None else now - overdue.oldest
    check = partial(
        Check,
        "webhooks",
        "Webhooks",
        value={
            "pending": overdue.pending,
            "overdue": overdue.count,
            "oldest_seconds": None if late is None else round(late.total_seconds(), 1),
        },
    )
    if late is None:
        return check(Status.OK, "None is overdue.")
    number = "1 delivery is" if overdue.count == 1 else f"{overdue.count:,} deliveries are"
    words = f"{number} overdue, the oldest for {in_words(late)}: receivers may not "
    words += "know yet who must stop. "
    if overdue.failing:
        words += "These receivers fail and are asked one delivery at a time: "
        words += (
            f"{', '.join(overdue.failing)}. Mend them, or disable them in the admin. For others see"
        )
    else:
        words += "See"
    return check(
        Status.FAIL,
        f"{words} that worker and beat run, that the schedule in the admin has an enabled entry for "
        "budgets.tasks.deliver_webhooks, and the log of the worker.",
    )


def check_alerts(
    now: datetime, records: Mapping[str, PassRecord], entries: dict[str, Entry]
) -> Check:
    """Warn of alerts that nobody looks for, or that cannot be told."""
    count, oldest, why = health.overdue_mails(now - DELIVERY_PATIENCE)
    check = partial(
        Check,
        "alerts",
        "Alerts",
        value={"overdue": count, "mail_is_configured": settings.MAIL_IS_CONFIGURED},
    )
    record = records.get(watching.RAISE)
    patience = schedule.patience(entries, watching.RAISE)
    if record is not None and now - record.at > patience:
        return check(
            Status.WARN,
            f"Nobody has looked for {in_words(now - record.at)}. See in the admin that the schedule "
            "has an enabled entry for budgets.tasks.raise_alerts, and the log of the worker.",
        )
    if not settings.MAIL_IS_CONFIGURED and health.somebody_is_told_by_mail():
        return check(
            Status.WARN,
            "There are recipients, and no mail server: set EMAIL_URL and DEFAULT_FROM_EMAIL. What is "
            "not sent within a day is given up.",
        )
    if oldest is None:
        return check(Status.OK, "No mail is overdue.")
    number = "1 mail is" if count == 1 else f"{count:,} mails are"
    because = f" {why}" if why else ""
    return check(
        Status.WARN,
        f"{number} overdue, the oldest for {in_words(now - oldest)}.{because} See in the admin that "
        "the schedule has an enabled entry for budgets.tasks.send_alerts, and the mail server.",
    )


def _passes(now: datetime, sight: Sight, *, ask_workers: bool) -> list[Check]:
    try:
        records, entries = health.pass_records(), schedule.entries()
    except Error as error:
        return [_unreadable("passes", "Passes", error)]
    patience = {task: schedule.patience(entries, task) for task in TASKS}
    ages = health.pass_ages(records, patience, now)
    uncounted = partial(check_uncounted, now, sight, patience[passes.CHECK_AND_PAUSE])
    return [
        check_passes(ages),
        check_worker(ages, ask=ask_workers),
        check_beat(entries, now),
        _guarded("uncounted", "Uncounted spend", uncounted),
        check_ledger(records, now),
        check_clock(records, now),
        _guarded("alerts", "Alerts", partial(check_alerts, now, records, entries)),
    ]


def _guarded(key: str, title: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Error as error:
        return _unreadable(key, title, error)


def _unreadable(key: str, title: str, error: Error) -> Check:
    logger.warning("health cannot read %s: %s", key, error)
    return Check(
        key,
        title,
        Status.FAIL,
        "The database refuses the question. See migrations above, then the log of the web server.",
    )


def _list(words: Sequence[str]) -> str:
    return " and ".join(words)


def _rows(count: int) -> str:
    return "1 row waits" if count == 1 else f"{count:,} rows wait"
