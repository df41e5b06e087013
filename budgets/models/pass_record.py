"""When each periodic job last came to its end: what health reads."""

from __future__ import annotations

from typing import Any

from django.db import models


class PassRecord(models.Model):
    """The last completed run of a periodic job. Written at its end: a killed run leaves no trace.

    `at` is the instant the run spoke of (it began then, UTC); `counts` are what it did or found.
    """

    name = models.CharField(max_length=64)
    at = models.DateTimeField()
    counts: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name"], name="pass_record_name_unique")]

    def __str__(self) -> str:
        return self.name
