"""Which users see some brands only."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from budgets.models.brand import Brand


class BrandAccess(models.Model):
    """A user who sees the brands in `brands` and no other, also when the last of them is gone.

    Who has no such row sees all brands. Written by `services.access` alone.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="brand_access"
    )
    brands = models.ManyToManyField(Brand, blank=True, related_name="accesses")

    class Meta:
        # It is a part of its user, and edited with it.
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.user)
