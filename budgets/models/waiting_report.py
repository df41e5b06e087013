"""Reports that were uploaded and checked, and wait for a person to confirm them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class WaitingReport(models.Model):
    """What a report says, as its uploader was shown it; deleted after a day.

    A table and not a directory of files: every web process of every machine finds it, it goes with
    its user, and production needs no disk. Written by `services.reports.waiting` alone.
    """

    # 122 random bits: an address that nobody guesses, and which is its user's alone besides.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="waiting_reports"
    )
    created_at = models.DateTimeField(db_index=True)
    summary = models.JSONField()
    # As text: 200,000 sums take some 17 MB, and nobody asks into it as jsonb would let one.
    sums = models.TextField()
    confirmed_at = models.DateTimeField(null=True)
    outcome = models.JSONField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)
