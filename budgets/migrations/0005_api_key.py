import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

import budgets.models.api_key


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0004_index_of_held_campaigns"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="The program's name. The log shows it, so it stays.",
                        max_length=100,
                        validators=[budgets.models.api_key.validate_name],
                    ),
                ),
                ("prefix", models.CharField(editable=False, max_length=12)),
                ("digest", models.CharField(editable=False, max_length=64)),
                (
                    "scopes",
                    models.CharField(
                        help_text="None includes another. Later they can be taken away, not added.",
                        max_length=40,
                    ),
                ),
                (
                    "is_restricted",
                    models.BooleanField(db_default=False, default=False, verbose_name="sees"),
                ),
                ("created_at", models.DateTimeField(editable=False)),
                (
                    "last_used_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="last used"),
                ),
                (
                    "revoked_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="revoked"),
                ),
                (
                    "brands",
                    models.ManyToManyField(blank=True, related_name="api_keys", to="budgets.brand"),
                ),
            ],
            options={
                "verbose_name": "API key",
                "default_permissions": ("add", "change", "view"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("name",),
                        name="api_key_name_unique",
                        violation_error_message="A key of this name exists already; names are not used twice.",
                    ),
                    models.UniqueConstraint(fields=("prefix",), name="api_key_prefix_unique"),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "scopes__in",
                                [
                                    "read",
                                    "spend:write",
                                    "manage",
                                    "read spend:write",
                                    "read manage",
                                    "spend:write manage",
                                    "read spend:write manage",
                                ],
                            )
                        ),
                        name="api_key_scopes_known",
                    ),
                    models.CheckConstraint(
                        condition=django.db.models.lookups.Exact(
                            django.db.models.functions.text.Length("digest"), 64
                        ),
                        name="api_key_digest_is_one",
                    ),
                ],
            },
        ),
    ]
