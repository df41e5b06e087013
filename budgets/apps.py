"""The one application of the project."""

from django.apps import AppConfig


class BudgetsConfig(AppConfig):
    """Brands, campaigns, spend and what follows from them."""

    name = "budgets"
    default_auto_field = "django.db.models.BigAutoField"
