"""Who uses the product during a trial: each keeps what it sends on disk before it sends it, and sends
it again until it is acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import threading
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from budgets.tests.chaos.agency import micros
from budgets.tests.chaos.clock import Clock
from budgets.tests.chaos.findings import Findings
from budgets.tests.chaos.household import HOST
from budgets.tests.oracle import BrandFact, CampaignFact, World

PATIENCE = 45.0
"""Seconds for an answer: longer than anything the server may take, so that no request of ours is still
at work when we send it again."""
A_BATCH = 6
GRAIN = Decimal("0.0001")
DEAREST = Decimal(3)
"""About the largest amount of a row: a budget may be overrun by `A_BATCH` times as much, at most."""
AGAIN_AFTER = 0.3
UNAVAILABLE = 503


@dataclass(frozen=True)
class Switch:
    """The operator's switch of a campaign, as it was thrown once."""

    is_on: bool


@dataclass
class Scene:
    """What all clients of a trial share."""

    home: Path
    clock: Clock
    findings: Findings
    world: World
    port: int
    key: str
    database: str
    closing: threading.Event = field(default_factory=threading.Event)
    switches: dict[int, Switch | None] = field(default_factory=dict)
    """How each campaign's was acknowledged to stand; ``None`` while that is being changed."""


class Journal:
    """An append-only file of what was sent and what was acknowledged; on disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, entries: Iterable[dict[str, Any]]) -> None:
        """Append entries."""
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """Return all entries in their order."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


class Client(threading.Thread):
    """Does one thing after the other until the scene closes."""

    pace = 0.15
    """Seconds between two steps, on average."""

    def __init__(self, scene: Scene, name: str, rng: Random) -> None:
        super().__init__(name=name, daemon=True)
        self.scene, self.rng = scene, rng
        self.journal = Journal(scene.home / f"{name}.journal")
        self.numbers = 0

    def run(self) -> None:
        """Live."""
        try:
            while not self.scene.closing.wait(self.rng.uniform(0.2, 1.8) * self.pace):
                self.step()
        except Exception as error:  # noqa: BLE001  # a client that is gone would prove nothing
            self.scene.findings.violate("harness", f"{self.name}: {type(error).__name__}: {error}")

    @abstractmethod
    def step(self) -> None:
        """Do one thing."""

    def next_id(self) -> str:
        """Return an id that nobody had."""
        self.numbers += 1
        return f"{self.name}-{self.numbers}"

    def someone(self) -> tuple[BrandFact, CampaignFact]:
        """Return any campaign, with its brand."""
        brand = self.rng.choice(self.scene.world.brands)
        return brand, self.rng.choice(brand.campaigns)

    def amount(self) -> Decimal:
        """Return an amount up to the dearest, mostly a small one."""
        return (Decimal(self.rng.random() ** 3) * DEAREST).quantize(GRAIN) + GRAIN

    def ask(self, method: str, path: str, said: Any = None) -> tuple[int, Any]:
        """Send a request until it is answered; return how often it was sent, and the answer.

        What may fail is the way, and the database: 503. All else is none of our doing.
        """
        body = None if said is None else json.dumps(said)
        headers = {
            "Host": HOST,
            "X-Forwarded-Proto": "https",
            "Authorization": f"Bearer {self.scene.key}",
            "Content-Type": "application/json",
        }
        sent = 0
        while True:
            sent += 1
            try:
                connection = http.client.HTTPConnection(
                    "127.0.0.1", self.scene.port, timeout=PATIENCE
                )
                with closing(connection):
                    connection.request(method, f"/api/v1/{path}", body, headers)
                    response = connection.getresponse()
                    text = response.read()
            except (OSError, http.client.HTTPException):
                self.scene.findings.count("requests without an answer")
            else:
                if response.status in (200, 201):
                    self.scene.findings.count("requests acknowledged")
                    return sent, json.loads(text)
                if response.status == UNAVAILABLE:
                    self.scene.findings.count("requests answered 503")
                else:
                    words = f"{method} {path} answered {response.status}: {text[:300]!r}"
                    self.scene.findings.violate("I15", words)
            threading.Event().wait(AGAIN_AFTER)

    def expect(self, answer: dict[str, Any], allowed: set[str], what: str) -> None:
        """See that every result is one of those allowed."""
        for result in answer["results"]:
            if result["status"] not in allowed:
                self.scene.findings.violate("I6", f"{what} answered {result}, not {allowed}")


class Events(Client):
    """An ad server: events in batches, late ones and refunds, and all of them again in another order."""

    def __init__(self, scene: Scene, name: str, rng: Random) -> None:
        super().__init__(scene, name, rng)
        self.sent: list[dict[str, Any]] = []

    def step(self) -> None:
        """Send a batch; now and then something old again, or what has to be refused."""
        batch = [self.event() for _ in range(self.rng.randint(1, A_BATCH))]
        self.journal.write(batch)
        tries, answer = self.ask("POST", "spend", self.said(batch))
        # The answer to an earlier try may have been lost on its way.
        self.expect(answer, {"recorded"} | ({"duplicate"} if tries > 1 else set()), "a new event")
        self.journal.write([{"acknowledged": [event["id"] for event in batch]}])
        self.scene.findings.count("events acknowledged", len(batch))
        self.sent = [*self.sent[-400:], *batch]
        if self.rng.random() < 0.25:
            old = self.rng.sample(self.sent, min(len(self.sent), A_BATCH))
            _, answer = self.ask("POST", "spend", self.said(old))
            self.expect(answer, {"duplicate"}, "a repeated event")
            self.scene.findings.count("events repeated", len(old))
        if self.rng.random() < 0.05:
            other = {**self.rng.choice(self.sent), "amount": "2.718281"}
            _, answer = self.ask("POST", "spend", self.said([other]))
            self.expect(answer, {"conflict"}, "another event under a known id")
            wrong = {
                **other,
                "id": self.next_id(),
                "amount": self.rng.choice(("NaN", "1e3", "0.1234567")),
            }
            _, answer = self.ask("POST", "spend", self.said([wrong]))
            self.expect(answer, {"rejected"}, "an amount that cannot be meant")

    def said(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the body of a request."""
        events = [{name: it for name, it in event.items() if name != "day"} for event in batch]
        return {"source": self.name, "events": events}

    def event(self) -> dict[str, Any]:
        """Return an event, with the `day` for which it has to count."""
        if self.sent and self.rng.random() < 0.1:
            refunded = self.rng.choice(self.sent)
            amount = str(-Decimal(refunded["amount"]))
            return {**_dated(refunded), "id": self.next_id(), "amount": amount}
        brand, campaign = self.someone()
        now = self.scene.clock.now()
        event: dict[str, Any] = {
            "id": self.next_id(),
            "campaign": campaign.pk,
            "amount": str(self.amount()),
        }
        if self.rng.random() < 0.3:
            then = now - timedelta(minutes=self.rng.randint(0, 90))
            event["occurred_at"] = then.isoformat()
            event["day"] = then.astimezone(ZoneInfo(brand.zone)).date().isoformat()
        else:
            days_ago = self.rng.choice((0, 0, 0, 0, 0, 0, 0, 1, 3, 40))
            event["date"] = event["day"] = str(brand.today(now) - timedelta(days=days_ago))
        return event


def _dated(event: dict[str, Any]) -> dict[str, Any]:
    """Return campaign and day of an event, for another one of the same day."""
    return {"campaign": event["campaign"], "date": event["day"], "day": event["day"]}


class Sums(Client):
    """A platform that says what was spent so far; now and then less than before."""

    pace = 0.4

    def __init__(self, scene: Scene, name: str, rng: Random) -> None:
        super().__init__(scene, name, rng)
        self.so_far: dict[tuple[int, date], Decimal] = defaultdict(Decimal)

    def step(self) -> None:
        """Report a few campaigns, and the same report again now and then."""
        rows: dict[tuple[int, date], Decimal] = {}
        for _ in range(self.rng.randint(1, 3)):
            brand, campaign = self.someone()
            today = brand.today(self.scene.clock.now())
            day = campaign.pk, today - timedelta(days=self.rng.choice((0, 0, 0, 1)))
            more = self.amount()
            rows[day] = self.so_far[day] + (more if self.rng.random() < 0.8 else -more)
        said = [
            {"campaign": pk, "date": str(day), "spend_to_date": str(amount)}
            for (pk, day), amount in rows.items()
        ]
        self.journal.write(said)
        for _ in range(self.rng.choice((1, 1, 1, 2))):
            body = {"source": self.name, "rows": said}
            _, answer = self.ask("POST", "spend/to-date", body)
            self.expect(answer, {"recorded", "duplicate"}, "a sum")
        self.so_far |= rows
        self.scene.findings.count("sums acknowledged", len(rows))


class Neighbour(Client):
    """A program that writes rows of the ledger by SQL, some of them dated ahead."""

    pace = 0.4

    def step(self) -> None:
        """Write a few rows in a transaction, until it has committed."""
        rows = []
        for _ in range(self.rng.randint(1, A_BATCH)):
            brand, campaign = self.someone()
            ahead = self.rng.choice((-1, 0, 0, 0, 0, 1))
            day = brand.today(self.scene.clock.now()) + timedelta(days=ahead)
            row = {"id": self.next_id(), "campaign": campaign.pk, "amount": str(self.amount())}
            rows.append({**row, "day": str(day)})
        self.journal.write(rows)
        while not self._commits(rows):
            self.scene.findings.count("transactions of the neighbour that failed")
            threading.Event().wait(AGAIN_AFTER)
        self.journal.write([{"acknowledged": [row["id"] for row in rows]}])
        self.scene.findings.count("rows written by SQL", len(rows))

    def _commits(self, rows: list[dict[str, Any]]) -> bool:
        try:
            with psycopg.connect(self.scene.database, connect_timeout=5) as connection:
                for row in rows:
                    connection.execute(
                        "INSERT INTO budgets_spend"
                        " (campaign_id, date, amount, source, external_id, created_at)"
                        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                        [
                            *(row["campaign"], row["day"], micros(Decimal(row["amount"]))),
                            *(self.name, row["id"], self.scene.clock.now()),
                        ],
                    )
        except psycopg.OperationalError:
            return False
        return True


class Operator(Client):
    """The one who edits and switches; what was acknowledged is a fact of the world."""

    pace = 0.5

    def run(self) -> None:
        """Pause one campaign for good first."""
        self._switch(self.scene.world.brands[0].campaigns[-1], on=False)
        super().run()

    def step(self) -> None:
        """Edit a brand, a campaign, or a switch."""
        brand, campaign = self.someone()
        ways = (self._budget, self._hours, self._toggle, self._close)
        [way] = self.rng.choices(ways, (6, 1, 1, 1))
        way(brand, campaign)
        self.scene.findings.count("edits acknowledged")

    def _budget(self, brand: BrandFact, campaign: CampaignFact) -> None:
        # A little above what is spent, so that it binds again soon, or below: it binds at once.
        _, shown = self.ask("GET", f"brands/{brand.pk}")
        today, month = (Decimal(shown["spend"][name]) for name in ("today", "this_month"))
        more, nothing = Decimal(self.rng.choice((-3, 5, 20, 80))), Decimal(0)
        if self.rng.random() < 0.6:
            daily = max(today + more, nothing)
            self.ask("PATCH", f"brands/{brand.pk}", {"daily_budget": str(daily)})
            brand.daily = daily
        else:
            monthly = self.rng.choice((None, None, max(month + 3 * more, nothing)))
            edit = {"monthly_budget": None if monthly is None else str(monthly)}
            self.ask("PATCH", f"brands/{brand.pk}", edit)
            brand.monthly = monthly

    def _hours(self, brand: BrandFact, campaign: CampaignFact) -> None:
        opens, closes = self.rng.choice(((0, 24), (8, 20), (22, 6), (1, 2)))
        edit = {"allowed_start_hour": opens, "allowed_end_hour": closes}
        self.ask("PATCH", f"campaigns/{campaign.pk}", edit)
        campaign.opens, campaign.closes = opens, closes

    def _toggle(self, brand: BrandFact, campaign: CampaignFact) -> None:
        if campaign is not self.scene.world.brands[0].campaigns[-1]:
            self._switch(campaign, on=not campaign.is_enabled or self.rng.random() < 0.5)

    def _switch(self, campaign: CampaignFact, *, on: bool) -> None:
        self.scene.switches[campaign.pk] = None
        self.ask("POST", f"campaigns/{campaign.pk}/{'resume' if on else 'pause'}")
        campaign.is_enabled = on
        self.scene.switches[campaign.pk] = Switch(on)

    def _close(self, brand: BrandFact, campaign: CampaignFact) -> None:
        is_active = not brand.is_active or self.rng.random() < 0.7
        self.ask("PATCH", f"brands/{brand.pk}", {"is_active": is_active})
        brand.is_active = is_active
