"""Files that brought spend into the ledger."""

from __future__ import annotations

from typing import Any

from django.db import models


class Import(models.Model):
    """A file that brought rows into the ledger: whose it was, and what of it was new.

    Written by `services.importing` alone, in the transactions that record its rows, so `rows` and
    `sums` (decimal strings by currency) are true at every commit, also of an import that was killed.
    A file of which nothing was new leaves no trace. `finished_at` is ``None`` while it runs, and for
    one that was interrupted.
    """

    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    actor = models.CharField(max_length=200)
    kind = models.CharField(max_length=60)
    file = models.CharField(max_length=255)
    source = models.CharField(max_length=100)
    rows = models.PositiveIntegerField(default=0)
    sums: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.file}"
