"""The project: settings, the Celery app, the entry points."""

from django_celery_budget.celery import app as celery_app

__all__ = ["celery_app"]
