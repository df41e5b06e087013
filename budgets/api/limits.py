"""How many requests a key may make: a bucket that fills by the second, in each web process.

In memory: the broker may be down, and a row that every request writes would be the next bottleneck.
Several web processes therefore allow that many times as much.
"""

from __future__ import annotations

import math
import threading
import time

from django.conf import settings

from budgets.api.problems import Problem

KEPT = 10_000
"""Buckets remembered; a key that is forgotten begins with a full one."""

_lock = threading.Lock()
_buckets: dict[int, tuple[float, float]] = {}
"""What was left of each key's bucket, and when (monotonic seconds)."""


def spend_one(key_id: int) -> None:
    """Take one request from the key's bucket; raise 429 with when to come again if it is empty."""
    rate = settings.API_REQUESTS_PER_SECOND
    now = time.monotonic()
    with _lock:
        if len(_buckets) >= KEPT:
            _buckets.clear()
        left, since = _buckets.get(key_id, (float(rate), now))
        left = min(float(rate), left + (now - since) * rate)
        allowed = left >= 1
        _buckets[key_id] = (left - 1 if allowed else left, now)
    if not allowed:
        raise Problem(
            429,
            "rate_limited",
            f"more than {rate} requests a second with this key; wait, or put more into one request",
            headers={"Retry-After": str(max(1, math.ceil((1 - left) / rate)))},
        )
