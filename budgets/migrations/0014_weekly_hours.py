import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

import budgets.models.fields


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0013_roles"),
    ]

    operations = [
        migrations.AddField(
            model_name="campaign",
            name="weekly_hours",
            field=budgets.models.fields.WeeklyHoursField(
                blank=True,
                help_text="Local hours by weekday, as Mon-Fri 9-18; Sat 22-6. Decides instead of the two hours above, which mean every day. Empty: they decide.",
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("weekly_hours__isnull", True),
                    models.Q(
                        django.db.models.lookups.Exact(
                            django.db.models.functions.text.Length("weekly_hours"), 42
                        ),
                        django.db.models.lookups.Exact(
                            models.Func(
                                models.F("weekly_hours"),
                                models.Value("0123456789abcdef"),
                                function="TRIM",
                                output_field=models.CharField(),
                            ),
                            "",
                        ),
                        models.Q(
                            django.db.models.lookups.Exact(
                                models.Func(
                                    models.F("weekly_hours"),
                                    models.Value("0"),
                                    function="TRIM",
                                    output_field=models.CharField(),
                                ),
                                "",
                            ),
                            _negated=True,
                        ),
                    ),
                    _connector="OR",
                ),
                name="campaign_weekly_hours_are_a_week",
                violation_error_message="The weekly hours are no calendar, or open no hour.",
            ),
        ),
    ]
