"""All that is written to the log, as the product writes it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from django_celery_budget import logs


class Heard(io.StringIO):
    """What was written, a JSON object a line."""

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@contextmanager
def overhearing(level: int = logging.DEBUG) -> Iterator[Heard]:
    """Write everything down that anybody logs at `level` or above, threads included."""
    before, root = structlog.get_config(), logging.getLogger()
    written = {**logs.config("json")["formatters"]["one"]}
    handler = logging.StreamHandler(heard := Heard())
    handler.setFormatter(written.pop("()")(**written))
    level_before = root.level
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield heard
    finally:
        root.removeHandler(handler)
        root.setLevel(level_before)
        structlog.configure(**before)
