"""One trial: the product lives on servers that break, is watched meanwhile, and judged at its end."""

from __future__ import annotations

import heapq
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from standardwebhooks.webhooks import Webhook

from budgets.tests.chaos import agency, verdict
from budgets.tests.chaos.audit import PASSED, PASSES_EVERY, Auditor, Monitor, Watch, health
from budgets.tests.chaos.clients import Client, Events, Neighbour, Operator, Scene, Sums
from budgets.tests.chaos.clock import START, Clock
from budgets.tests.chaos.faults import Breaker, Fault, schedule
from budgets.tests.chaos.findings import Findings
from budgets.tests.chaos.household import Household
from budgets.tests.chaos.judge import Judge, multiplicity
from budgets.tests.chaos.servers import Broker, Line, Postgres, free_port, until
from budgets.tests.receiver import Receiver, receiving

JUMPS_EVERY = 2.0
"""Seconds between two jumps of the clock: a hundred seconds are two and a half simulated days."""
JUMPS = (20, 130)
"""Minutes, at least and at most."""
BOOTING = 90.0
SETTLING = 180.0
TEMPLATE = "chaos"

FAILING = """
from django.utils import timezone
from budgets.health import checks
from budgets.services.access import Sight
report = checks.examine(timezone.now(), sight=Sight(brand_ids=None), ask_workers=False)
print(*(f"{check.key}: {check.words}" for check in report.failing))
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, from which seed; with a planted `bug` it ends when one of `until_broken` is."""

    seconds: float
    seed: int
    bug: str = ""
    until_broken: frozenset[str] = frozenset()

    def rng(self, name: str) -> Random:
        """Return somebody's own numbers, which nobody else's pace disturbs."""
        return Random(f"{self.seed} {name}")


@dataclass(frozen=True, slots=True)
class Servers:
    """What several trials share: each has a database of its own."""

    postgres: Postgres
    broker: Broker
    line: Line

    def household(self, home: Path, findings: Findings, database: str, bug: str) -> Household:
        """Describe a household on one of the databases."""
        return Household.on(
            home,
            findings,
            port=free_port(),
            database=self.postgres.url(database),
            redis=f"redis://127.0.0.1:{self.line.port}/0",
            bug=bug,
        )


@contextmanager
def servers_in(home: Path) -> Iterator[Servers]:
    """Start the servers, and make the database that those of all trials are copies of."""
    with ExitStack() as stack:
        broker, postgres = Broker(home / "broker"), Postgres(home / "postgres")
        stack.callback(broker.end, signal.SIGKILL)
        stack.callback(postgres.crash)
        servers = Servers(postgres, broker, stack.enter_context(closing(Line(broker.port))))
        postgres.make(TEMPLATE)
        Clock(home / "clock").set_to(START)
        servers.household(home, Findings(), TEMPLATE, "").manage("migrate", "--verbosity=0")
        yield servers


@dataclass
class Trial:
    """What is at hand while one runs."""

    plan: Plan
    servers: Servers
    household: Household
    scene: Scene
    judges: list[Judge] = field(default_factory=list)
    receivers: list[Receiver] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    calm_since: datetime = START

    @property
    def findings(self) -> Findings:
        """What was found so far."""
        return self.scene.findings

    @property
    def is_decided(self) -> bool:
        """Whether the planted bug was found."""
        return bool(self.plan.until_broken & self.findings.broken)

    def move_in(self, stack: ExitStack) -> None:
        """Start the product on a new agency, with two receivers: one hears of everything."""
        with self.servers.postgres.connect(self._database) as connection:
            agency.settle_in(connection, self.scene.world)
            agency.have_passes_every(connection, PASSES_EVERY)
        others = [part for name, part in self.household.parts.items() if name != "web"]
        for part in others:
            part.is_wanted = False  # a change that nobody listens to yet is told to nobody
        self._until(lambda: health(self.scene.port) != 0, BOOTING, "the web server does not answer")
        operator = Operator(self.scene, "operator", self.plan.rng("operator"))
        for place, brands in enumerate((None, [self.scene.world.brands[0].pk])):
            judge = Judge(self.findings, self.plan.rng(f"judge {place}"))
            receiver = stack.enter_context(receiving(judge.answer))
            _, hook = operator.ask("POST", "webhooks", {"url": receiver.url, "brands": brands})
            judge.webhook = Webhook(hook["secret"])
            self.judges.append(judge)
            self.receivers.append(receiver)
        for part in others:
            part.is_wanted = True
        self._until(self._has_passed, BOOTING, "no pass has come to its end")
        kinds = [
            ("events-1", Events),
            ("events-2", Events),
            ("sums", Sums),
            ("neighbour", Neighbour),
        ]
        self.clients += [kind(self.scene, name, self.plan.rng(name)) for name, kind in kinds]
        self.watches += [Auditor(self.scene, self.judges), Monitor(self.scene)]
        for thread in [*self.clients, operator, *self.watches]:
            thread.start()
        self.clients.append(operator)

    @property
    def _database(self) -> str:
        return self.scene.database.rpartition("/")[2]

    def _has_passed(self) -> bool:
        with self.servers.postgres.connect(self._database) as connection:
            return connection.execute(PASSED).fetchone() is not None

    def _until(self, is_so: Callable[[], bool], seconds: float, what: str) -> None:
        def looked_after() -> bool:
            self.household.look_after()
            return is_so()

        until(looked_after, seconds, what)

    def live(self) -> None:
        """Let time jump and things break, as planned; at the end nothing is broken any more."""
        order = itertools.count()
        agenda: list[tuple[float, int, Callable[[], object]]] = []

        def at(moment: float, action: Callable[[], object]) -> None:
            heapq.heappush(agenda, (moment, next(order), action))

        breaker = Breaker(
            self.household, self.servers.postgres, self.servers.broker, self.servers.line
        )

        broken: list[Callable[[], object]] = []

        def mend(undo: Callable[[], object]) -> None:
            broken.remove(undo)
            undo()

        def break_by(fault: Fault) -> None:
            if undo := breaker.do(fault):
                broken.append(undo)
                at(time.monotonic() - began + fault.lasts, partial(mend, undo))

        for fault in schedule(self.plan.rng("faults"), self.plan.seconds):
            at(fault.at, partial(break_by, fault))
        rng = self.plan.rng("clock")
        for jump in range(1, int(self.plan.seconds / JUMPS_EVERY)):
            by = timedelta(minutes=rng.uniform(*JUMPS))
            at(jump * JUMPS_EVERY, partial(self.scene.clock.jump, by))
        began = time.monotonic()
        while agenda and not self.is_decided:
            elapsed = time.monotonic() - began
            if agenda[0][0] <= elapsed:
                heapq.heappop(agenda)[2]()
            else:
                self.household.look_after()
                time.sleep(min(0.1, agenda[0][0] - elapsed))
        # Who found the planted bug ends early; the next trial is on the same servers.
        while broken:
            mend(broken[0])
        days = (self.scene.clock.now() - START) // timedelta(days=1)
        self.findings.count("simulated days", days)

    def settle(self) -> None:
        """Let everybody finish: nothing breaks, all is acknowledged, delivered, and health is green."""
        self.scene.closing.set()
        for judge in self.judges:
            judge.is_faulty = False
        deadline = time.monotonic() + SETTLING
        while any(client.is_alive() for client in self.clients):
            self.household.look_after()
            time.sleep(0.1)
            if time.monotonic() > deadline:
                alive = [client.name for client in self.clients if client.is_alive()]
                self.findings.violate("I6", f"never acknowledged: a request of {alive}")
                return
        try:
            self._jump_to_calm()
            self._until(self._is_quiet, SETTLING, "something is left to be done")
            self._until(lambda: health(self.scene.port) == 200, 30, "health is red")
        except TimeoutError as error:
            failing = self.household.manage("shell", "--no-imports", "-c", FAILING)
            self.findings.violate("I16", f"{error}; health says: {failing}")

    def _jump_to_calm(self) -> None:
        """Go on to twenty past the next hour: no hour of anybody's begins or ends in these minutes."""
        hour = self.scene.clock.now().replace(minute=0, second=0, microsecond=0)
        self.calm_since = hour + timedelta(hours=1, minutes=20)
        self.scene.clock.set_to(self.calm_since)

    def _is_quiet(self) -> bool:
        with self.servers.postgres.connect(self._database) as connection:
            passed = connection.execute(PASSED).fetchone()
            if passed is None or passed[0] <= self.calm_since:  # type: ignore[operator]
                return False
            left = connection.execute(
                "SELECT count(*) FROM budgets_spend s JOIN budgets_campaign c ON c.id = s.campaign_id"
                " JOIN budgets_brand b ON b.id = c.brand_id"
                " WHERE NOT s.is_counted AND s.date <= b.spend_day"
            ).fetchone()
            waiting = connection.execute(
                "SELECT min(due_at) FROM budgets_webhookdelivery WHERE state = 'pending'"
            ).fetchone()
        assert left is not None
        assert waiting is not None
        if waiting[0] is not None and waiting[0] > self.scene.clock.now():  # type: ignore[operator]
            self._jump_to_calm()  # to the next attempt of what failed
        return left == (0,) and waiting == (None,)

    def judge(self) -> None:
        """Stop the product in an orderly way, and hold what it left against what people did."""
        for watch in self.watches:
            watch.is_over.set()
            watch.join()
        self.household.stop("beat", "worker 1", "worker 2", "web")
        [auditor] = [watch for watch in self.watches if isinstance(watch, Auditor)]
        auditor.looks = 0
        auditor.guarded(auditor.look)
        with self.servers.postgres.connect(self._database) as connection:
            verdict.judge_all(self.scene, connection, self.clients[:-1], self.judges)
            self.household.manage("enforce_budgets")
            before = verdict.digest(connection)
            said = self.household.manage("enforce_budgets")
            if said != "Nothing was due." or verdict.digest(connection) != before:
                self.findings.violate("I10", f"a second pass at once did something: {said}")
        try:
            self.household.manage("reconcile")
        except RuntimeError as error:
            self.findings.violate("I1", f"manage.py reconcile: {error}")
        repeated = sum(multiplicity(receiver.messages) for receiver in self.receivers)
        self.findings.count("webhooks that came more than once", repeated)


@contextmanager
def _prepared(plan: Plan, servers: Servers, home: Path) -> Iterator[Trial]:
    findings = Findings()
    home.mkdir()
    clock = Clock(home / "clock")
    clock.set_to(START)
    database = f"chaos_{home.name}"
    servers.postgres.make(database, template=TEMPLATE)
    household = servers.household(home, findings, database, plan.bug)
    scopes = [word for it in ("spend:write", "read", "manage") for word in ("--scope", it)]
    scene = Scene(
        home=home,
        clock=clock,
        findings=findings,
        world=agency.agency(plan.rng("agency")),
        port=household.port,
        key=household.manage("create_api_key", "chaos", *scopes),
        database=servers.postgres.url(database),
    )
    trial = Trial(plan, servers, household, scene)
    try:
        yield trial
    finally:
        scene.closing.set()
        for watch in trial.watches:
            watch.is_over.set()
        household.end()


def run(plan: Plan, servers: Servers, home: Path) -> Findings:
    """Run one trial in a new directory, and return what was found."""
    with _prepared(plan, servers, home) as trial, ExitStack() as stack:
        trial.move_in(stack)
        trial.live()
        if not trial.is_decided:
            trial.settle()
            trial.judge()
        return trial.findings
