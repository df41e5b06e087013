"""The implementations that are measured, and what any other one must offer to be measured too."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from django.core.management.base import CommandError

from budgets.services.ingestion import SpendEvent


class Rival(Protocol):
    """An implementation of the task on our tables.

    A pass counts what is uncounted, rolls the totals of a day or month that is over, decides every
    campaign, and writes a `StatusChange` row for each state or hold that it changed.
    """

    name: str

    def run_pass(self, now: datetime) -> object:
        """Bring everything to what it must be at `now`."""


@runtime_checkable
class Recorder(Protocol):
    """A rival that also takes spend in."""

    name: str

    def record(self, events: Sequence[SpendEvent], *, source: str, now: datetime) -> object:
        """Record `events` exactly once, with totals and the pauses they cause, in one transaction."""


def load(path: str) -> Rival:
    """Return the rival that ``package.module:Class`` names."""
    module, _, name = path.partition(":")
    try:
        made: Rival = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, ValueError) as error:
        raise CommandError(f"--rival {path}: {error}; write package.module:Class") from error
    return made
