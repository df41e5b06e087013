import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone

import budgets.models.webhook

NAME, TASK = "Deliver webhooks", "budgets.tasks.deliver_webhooks"
SECONDS = 5
# Two and a half intervals, as of the other entries.
EXPIRES = 12


def announce(apps: Apps) -> None:
    """Tell a running beat to read the table again; historical models have no signals."""
    marker = apps.get_model("django_celery_beat", "PeriodicTasks")
    marker.objects.update_or_create(ident=1, defaults={"last_update": timezone.now()})


def create_entry(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write the entry of beat, once: people's edits of it survive."""
    intervals = apps.get_model("django_celery_beat", "IntervalSchedule").objects
    interval = intervals.filter(every=SECONDS, period="seconds").order_by("pk").first()
    interval = interval or intervals.create(every=SECONDS, period="seconds")
    apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
        name=NAME,
        defaults={
            "task": TASK,
            "interval": interval,
            "expire_seconds": EXPIRES,
            "description": "Sends what webhooks are to be told, and what failed again.",
        },
    )
    announce(apps)


def remove_entry(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    task_model.objects.filter(name=NAME, task=TASK).delete()
    announce(apps)


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0007_idempotent_answer"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
    ]

    operations = [
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "event",
                    models.CharField(
                        choices=[
                            ("campaign.paused", "campaign.paused: it must stop"),
                            ("campaign.resumed", "campaign.resumed: it may run again"),
                            (
                                "campaign.hold_changed",
                                "campaign.hold_changed: still stopped, for another reason",
                            ),
                            (
                                "webhook.test",
                                "webhook.test: sent by the test button, chosen or not",
                            ),
                        ],
                        max_length=40,
                    ),
                ),
                ("body", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("delivered", "delivered"),
                            ("failed", "given up"),
                            ("cancelled", "cancelled"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("due_at", models.DateTimeField(verbose_name="due")),
                ("is_sending", models.BooleanField(db_default=False, default=False)),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("created_at", models.DateTimeField(verbose_name="created")),
                (
                    "status_change",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="budgets.statuschange",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
                "default_permissions": ("change", "view"),
            },
        ),
        migrations.CreateModel(
            name="WebhookAttempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("error", models.CharField(blank=True, default="", max_length=300)),
                ("duration_ms", models.PositiveIntegerField()),
                (
                    "delivery",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts_made",
                        to="budgets.webhookdelivery",
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "url",
                    models.CharField(
                        help_text="https://…, port 443 or 8443.", max_length=500, verbose_name="URL"
                    ),
                ),
                (
                    "description",
                    models.CharField(
                        blank=True,
                        default="",
                        max_length=200,
                        validators=[budgets.models.webhook.validate_printable],
                    ),
                ),
                ("events", models.CharField(max_length=200)),
                (
                    "is_restricted",
                    models.BooleanField(db_default=False, default=False, verbose_name="hears of"),
                ),
                ("sealed_secret", models.CharField(editable=False, max_length=200)),
                (
                    "previous_sealed_secret",
                    models.CharField(blank=True, default="", editable=False, max_length=200),
                ),
                ("previous_expires_at", models.DateTimeField(editable=False, null=True)),
                ("is_enabled", models.BooleanField(db_default=True, default=True, editable=False)),
                (
                    "disabled_reason",
                    models.CharField(blank=True, default="", editable=False, max_length=300),
                ),
                ("failures", models.PositiveIntegerField(db_default=0, default=0, editable=False)),
                ("created_at", models.DateTimeField(editable=False)),
                ("removed_at", models.DateTimeField(editable=False, null=True)),
                (
                    "brands",
                    models.ManyToManyField(
                        blank=True, related_name="webhook_endpoints", to="budgets.brand"
                    ),
                ),
            ],
            options={
                "default_permissions": ("add", "change", "view"),
            },
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="endpoint",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="budgets.webhookendpoint",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("removed_at", None), ("is_enabled", False), _connector="OR"),
                name="webhook_endpoint_removed_is_disabled",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.CheckConstraint(
                condition=models.Q(("is_enabled", False), ("disabled_reason", ""), _connector="OR"),
                name="webhook_endpoint_enabled_has_no_reason",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["due_at"],
                name="webhook_delivery_due",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["endpoint", "due_at"],
                name="webhook_delivery_of_endpoint",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["endpoint", "id"], name="webhook_delivery_list"),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(
                fields=("endpoint", "status_change"), name="webhook_delivery_once_per_change"
            ),
        ),
        migrations.RunPython(create_entry, remove_entry),
    ]
