"""Answers that were given to requests with an Idempotency-Key, to be given again."""

from __future__ import annotations

from django.db import models

from budgets.models.api_key import ApiKey


class IdempotentAnswer(models.Model):
    """The answer to one request of one key, kept until `expires_at`.

    It is written in the transaction that did the work: without the work there is no answer.
    """

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    idempotency_key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    """SHA-256 (hex) of method, path and body: another request under the same key is a mistake."""
    status = models.PositiveSmallIntegerField(default=0)
    content_type = models.CharField(max_length=100, default="")
    body = models.TextField(default="")
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["api_key", "idempotency_key"], name="idempotent_answer_once_per_key"
            ),
        ]
        indexes = [models.Index(fields=["expires_at"], name="idempotent_answer_expires")]

    def __str__(self) -> str:
        return self.idempotency_key
