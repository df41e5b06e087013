"""A receiver of webhooks that fails as receivers do, and keeps what the README tells it to keep."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

from standardwebhooks.webhooks import Webhook

from budgets.tests.chaos.findings import Findings
from budgets.tests.receiver import DROP, Message


class Judge:
    """Answers one endpoint's messages: verified, the newest sequence of each campaign kept."""

    def __init__(self, findings: Findings, rng: Random) -> None:
        self._findings, self._rng = findings, rng
        self._lock = threading.Lock()
        self._bodies: dict[str, bytes] = {}
        self.webhook: Webhook | None = None
        self.is_faulty = True
        self.accepted: set[int] = set()
        """Keys of deliveries that were answered with success."""
        self.newest: dict[int, dict[str, Any]] = {}

    def answer(self, message: Message, _number: int) -> int:
        """Of ten messages one is dropped, one is taken and answered 500, one takes its time."""
        with self._lock:
            chance = self._rng.random() if self.is_faulty else 1.0
        if chance < 0.1:
            self._findings.count("webhooks dropped by the receiver")
            return DROP
        with self._lock:
            self._take(message)
        if chance < 0.2:
            self._findings.count("webhooks taken and answered 500")
            return 500
        if chance < 0.3:
            threading.Event().wait(0.8)
        with self._lock:
            self.accepted.add(int(message.id.split("_")[1]))
        self._findings.count("webhooks taken")
        return 204

    def _take(self, message: Message) -> None:
        if not self._is_signed(message):
            self._findings.violate("I5", f"the signature of {message.id} is not ours")
            return
        if self._bodies.setdefault(message.id, message.body) != message.body:
            self._findings.violate("I5", f"{message.id} came with two bodies")
        data = message.said["data"]
        known = self.newest.get(data["campaign"]["id"])
        if known is None or data["sequence"] > known["sequence"]:
            self.newest[data["campaign"]["id"]] = data

    def _is_signed(self, message: Message) -> bool:
        # Not `verify`: it looks at the machine's clock, and signatures are of the simulated time.
        if self.webhook is None:
            return False
        at = datetime.fromtimestamp(int(message.headers["webhook-timestamp"]), UTC)
        expected = self.webhook.sign(message.id, at, message.body.decode())
        return expected in message.headers["webhook-signature"].split()


def multiplicity(messages: list[Message]) -> int:
    """Return how many messages came more than once."""
    return sum(count > 1 for count in Counter(message.id for message in messages).values())
