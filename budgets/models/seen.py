"""What was made for all brands or for some, and who may see that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, TypeVar

from django.db import models

RowT = TypeVar("RowT", bound=models.Model, covariant=True)


class SeenQuerySet(models.QuerySet[RowT]):
    """Rows with `is_restricted`, and with `brands` where they are."""

    def seen_with(self, brand_ids: Iterable[int] | None) -> Self:
        """Those made for no brand but these; ``None``: all of them.

        One whose brands are all gone was somebody's, and it cannot be told whose.
        """
        if brand_ids is None:
            return self
        chosen: Any = self.model._meta.get_field("brands")
        row = chosen.m2m_field_name()
        theirs = chosen.remote_field.through._default_manager.filter(
            **{f"{row}_id": models.OuterRef("pk")}
        )
        own = theirs.filter(brand_id__among=brand_ids)
        foreign = theirs.exclude(brand_id__among=brand_ids)
        return self.filter(models.Exists(own), ~models.Exists(foreign), is_restricted=True)
