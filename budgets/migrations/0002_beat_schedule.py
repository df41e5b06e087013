"""The two periodic tasks, as rows that people may edit in the admin.

Written once: an edit or a deletion survives every later `migrate`, which
CELERY_BEAT_SCHEDULE would undo at each start of beat.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone

ENTRIES = [
    (
        "Check and pause campaigns",
        "budgets.tasks.check_and_pause_campaigns",
        "Counts what is uncounted, then decides every brand that is due.",
    ),
    (
        "Reset daily and monthly spend",
        "budgets.tasks.reset_daily_monthly_spend",
        "Rolls the totals of brands whose local day or month is over, at their own midnights.",
    ),
]
# A crontab would skip, double or stall around clock changes; brands' midnights fall at any quarter.
SECONDS = 60
# Two and a half intervals: a stalled worker does not wake to a thousand ticks, and a backlog of
# one interval does not discard every run.
EXPIRES = 150


def announce(apps: Apps) -> None:
    """Tell a running beat to read the table again; historical models have no signals."""
    marker = apps.get_model("django_celery_beat", "PeriodicTasks")
    marker.objects.update_or_create(ident=1, defaults={"last_update": timezone.now()})


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    interval_model = apps.get_model("django_celery_beat", "IntervalSchedule")
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    # Intervals are not unique, so get_or_create could find several.
    interval = interval_model.objects.filter(every=SECONDS, period="seconds").order_by("pk").first()
    interval = interval or interval_model.objects.create(every=SECONDS, period="seconds")
    for name, task, description in ENTRIES:
        task_model.objects.get_or_create(
            name=name,
            defaults={
                "task": task,
                "interval": interval,
                "expire_seconds": EXPIRES,
                "description": description,
            },
        )
    announce(apps)


def remove(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, task, _ in ENTRIES:
        task_model.objects.filter(name=name, task=task).delete()
    announce(apps)


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0001_initial"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [migrations.RunPython(create, remove)]
