import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone

import budgets.models.alert
import budgets.models.brand

# Two and a half intervals each, as of the other entries.
ENTRIES = [
    (
        "Raise alerts",
        "raise_alerts",
        60,
        150,
        "Notices thresholds, silence and stale passes, each once.",
    ),
    (
        "Send alerts",
        "send_alerts",
        15,
        37,
        "Sends the mails about alerts, and those that failed again.",
    ),
]


def announce(apps: Apps) -> None:
    """Tell a running beat to read the table again; historical models have no signals."""
    marker = apps.get_model("django_celery_beat", "PeriodicTasks")
    marker.objects.update_or_create(ident=1, defaults={"last_update": timezone.now()})


def create_entries(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write the entries of beat, once: people's edits of them survive."""
    intervals = apps.get_model("django_celery_beat", "IntervalSchedule").objects
    for name, task, seconds, expires, description in ENTRIES:
        interval = intervals.filter(every=seconds, period="seconds").order_by("pk").first()
        interval = interval or intervals.create(every=seconds, period="seconds")
        apps.get_model("django_celery_beat", "PeriodicTask").objects.get_or_create(
            name=name,
            defaults={
                "task": f"budgets.tasks.{task}",
                "interval": interval,
                "expire_seconds": expires,
                "description": description,
            },
        )
    announce(apps)


def remove_entries(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    task_model = apps.get_model("django_celery_beat", "PeriodicTask")
    for name, task, *_ in ENTRIES:
        task_model.objects.filter(name=name, task=f"budgets.tasks.{task}").delete()
    announce(apps)


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0014_weekly_hours"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("budget_threshold", "a threshold of a budget is reached"),
                            ("campaign_silent", "a campaign runs and nothing is spent"),
                            ("reports_stale", "no campaign of a brand reports spend"),
                            ("passes_stale", "passes do not come to their end"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "budget",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("brand_daily_budget", "daily budget"),
                            ("brand_monthly_budget", "monthly budget"),
                            ("campaign_daily_budget", "campaign's daily budget"),
                            ("campaign_monthly_budget", "campaign's monthly budget"),
                        ],
                        default="",
                        max_length=32,
                    ),
                ),
                ("subject", models.BigIntegerField(default=0)),
                ("period", models.CharField(max_length=64)),
                ("threshold", models.PositiveSmallIntegerField(default=0)),
                ("raised_at", models.DateTimeField(verbose_name="raised")),
                ("figures", models.JSONField(default=dict)),
                ("is_superseded", models.BooleanField(db_default=False, default=False)),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="AlertMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("address", models.EmailField(max_length=254)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "to be sent"),
                            ("sent", "sent"),
                            ("failed", "given up"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("due_at", models.DateTimeField(verbose_name="due")),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("sent_at", models.DateTimeField(null=True, verbose_name="sent")),
                ("error", models.CharField(blank=True, db_default="", default="", max_length=300)),
                ("created_at", models.DateTimeField(verbose_name="created")),
            ],
            options={
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="AlertRecipient",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "address",
                    models.EmailField(
                        max_length=254,
                        validators=[budgets.models.alert.validate_address],
                        verbose_name="e-mail address",
                    ),
                ),
                ("kinds", models.CharField(max_length=200, verbose_name="is told when")),
                (
                    "is_restricted",
                    models.BooleanField(db_default=False, default=False, verbose_name="is told of"),
                ),
                (
                    "is_enabled",
                    models.BooleanField(db_default=True, default=True, verbose_name="enabled"),
                ),
                ("created_at", models.DateTimeField(editable=False, verbose_name="created")),
            ],
        ),
        migrations.AddField(
            model_name="brand",
            name="alert_silence_hours",
            field=models.PositiveSmallIntegerField(
                blank=True,
                db_default=24,
                default=24,
                help_text="Hours that a campaign runs and nothing is spent. Empty: no alerts.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(168),
                ],
                verbose_name="alert when silent for",
            ),
        ),
        migrations.AddField(
            model_name="brand",
            name="alert_thresholds",
            field=models.CharField(
                blank=True,
                db_default="50 80 90 100",
                default="50 80 90 100",
                help_text="Percent of a budget, such as 50 80 90 100. Empty: no alerts.",
                max_length=60,
                validators=[budgets.models.brand.validate_thresholds],
                verbose_name="alert at",
            ),
        ),
        migrations.AlterField(
            model_name="webhookdelivery",
            name="event",
            field=models.CharField(
                choices=[
                    ("campaign.paused", "campaign.paused: it must stop"),
                    ("campaign.resumed", "campaign.resumed: it may run again"),
                    (
                        "campaign.hold_changed",
                        "campaign.hold_changed: still stopped, for another reason",
                    ),
                    (
                        "budget.threshold_reached",
                        "budget.threshold_reached: so much of a budget is spent",
                    ),
                    ("campaign.silent", "campaign.silent: it runs, and nothing is spent"),
                    ("reports.stale", "reports.stale: no campaign of a brand reports spend"),
                    ("passes.stale", "passes.stale: passes do not come to their end"),
                    ("webhook.test", "webhook.test: sent by the test button, chosen or not"),
                ],
                max_length=40,
            ),
        ),
        migrations.AddIndex(
            model_name="campaign",
            index=models.Index(
                condition=models.Q(
                    ("daily_budget__isnull", False),
                    ("monthly_budget__isnull", False),
                    _connector="OR",
                ),
                fields=["id"],
                name="campaign_with_budget",
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="brand",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="alerts",
                to="budgets.brand",
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="campaign",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="alerts",
                to="budgets.campaign",
            ),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="alert",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="deliveries",
                to="budgets.alert",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(
                condition=models.Q(("alert__isnull", False)),
                fields=("alert", "endpoint"),
                name="webhook_delivery_once_per_alert",
            ),
        ),
        migrations.AddField(
            model_name="alertmessage",
            name="alert",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="messages",
                to="budgets.alert",
            ),
        ),
        migrations.AddField(
            model_name="alertrecipient",
            name="brands",
            field=models.ManyToManyField(
                blank=True, related_name="alert_recipients", to="budgets.brand"
            ),
        ),
        migrations.AddField(
            model_name="alertrecipient",
            name="user",
            field=models.ForeignKey(
                blank=True,
                help_text="Told of nothing that this person may not see. Empty: as chosen below.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="alert_recipients",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="alertmessage",
            name="recipient",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="messages",
                to="budgets.alertrecipient",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["brand", "id"], name="alert_of_brand"),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("campaign__isnull", False)),
                fields=["campaign"],
                name="alert_of_campaign",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["kind", "id"], name="alert_of_kind"),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                fields=("kind", "budget", "period", "subject", "threshold"), name="alert_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        (
                            "budget__in",
                            [
                                "brand_daily_budget",
                                "brand_monthly_budget",
                                "campaign_daily_budget",
                                "campaign_monthly_budget",
                            ],
                        ),
                        ("kind", "budget_threshold"),
                        ("threshold__gt", 0),
                    ),
                    models.Q(
                        models.Q(("kind", "budget_threshold"), _negated=True),
                        ("budget", ""),
                        ("threshold", 0),
                    ),
                    _connector="OR",
                ),
                name="alert_threshold_iff_of_a_budget",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertrecipient",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("address"),
                name="alert_recipient_address_unique",
                violation_error_message="This address is a recipient already; edit that one.",
            ),
        ),
        migrations.AddIndex(
            model_name="alertmessage",
            index=models.Index(
                condition=models.Q(("state", "pending")),
                fields=["due_at"],
                name="alert_message_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="alertmessage",
            constraint=models.UniqueConstraint(
                fields=("alert", "address"), name="alert_message_once"
            ),
        ),
        migrations.RunPython(create_entries, remove_entries),
    ]
