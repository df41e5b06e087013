"""When each periodic job last came to its end."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from budgets.admin.base import ReadOnlyAdmin, column
from budgets.models import PassRecord


@admin.register(PassRecord)
class PassRecordAdmin(ReadOnlyAdmin):
    """Passes."""

    list_display = ("name", "at", "did")
    ordering = ("name",)

    @column("Did")
    def did(self, record: Any) -> str:
        """Show what it counted."""
        return ", ".join(f"{count} {what}" for what, count in record.counts.items())
