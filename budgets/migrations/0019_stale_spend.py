import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0018_overspend_indexes"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="campaign",
            name="campaign_hold_known",
        ),
        migrations.AddField(
            model_name="brand",
            name="last_report_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="brand",
            name="stale_after_hours",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Hours without a report after which its spend is stale: more than the longest time in which nothing is reported, nights included. Empty: never.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(720),
                ],
            ),
        ),
        migrations.AddField(
            model_name="brand",
            name="stale_policy",
            field=models.CharField(
                choices=[
                    ("alert", "tell people, go on"),
                    ("hold", "hold its campaigns until spend is reported"),
                ],
                db_default="alert",
                default="alert",
                help_text="A held campaign spends nothing: the hold ends with the next report, also one of nothing spent.",
                max_length=8,
                verbose_name="when stale",
            ),
        ),
        migrations.AlterField(
            model_name="campaign",
            name="hold",
            field=models.CharField(
                blank=True,
                choices=[
                    ("operator", "paused by operator"),
                    ("brand_inactive", "brand inactive"),
                    ("not_started", "not started"),
                    ("ended", "ended"),
                    ("brand_monthly_budget", "brand's monthly budget reached"),
                    ("campaign_monthly_budget", "monthly budget reached"),
                    ("brand_daily_budget", "brand's daily budget reached"),
                    ("campaign_daily_budget", "daily budget reached"),
                    ("stale_spend", "spend not reported"),
                    ("outside_hours", "outside allowed hours"),
                    ("undecided", "not decided yet"),
                ],
                db_default="undecided",
                default="undecided",
                editable=False,
                max_length=32,
            ),
        ),
        migrations.AlterField(
            model_name="statuschange",
            name="hold",
            field=models.CharField(
                blank=True,
                choices=[
                    ("operator", "paused by operator"),
                    ("brand_inactive", "brand inactive"),
                    ("not_started", "not started"),
                    ("ended", "ended"),
                    ("brand_monthly_budget", "brand's monthly budget reached"),
                    ("campaign_monthly_budget", "monthly budget reached"),
                    ("brand_daily_budget", "brand's daily budget reached"),
                    ("campaign_daily_budget", "daily budget reached"),
                    ("stale_spend", "spend not reported"),
                    ("outside_hours", "outside allowed hours"),
                    ("undecided", "not decided yet"),
                ],
                max_length=32,
            ),
        ),
        migrations.AlterField(
            model_name="statuschange",
            name="old_hold",
            field=models.CharField(
                blank=True,
                choices=[
                    ("operator", "paused by operator"),
                    ("brand_inactive", "brand inactive"),
                    ("not_started", "not started"),
                    ("ended", "ended"),
                    ("brand_monthly_budget", "brand's monthly budget reached"),
                    ("campaign_monthly_budget", "monthly budget reached"),
                    ("brand_daily_budget", "brand's daily budget reached"),
                    ("campaign_daily_budget", "daily budget reached"),
                    ("stale_spend", "spend not reported"),
                    ("outside_hours", "outside allowed hours"),
                    ("undecided", "not decided yet"),
                ],
                max_length=32,
            ),
        ),
        migrations.AddConstraint(
            model_name="brand",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("stale_after_hours__isnull", True),
                    ("stale_after_hours__range", (1, 720)),
                    _connector="OR",
                ),
                name="brand_stale_after_hours_in_range",
                violation_error_message="1 to 720 hours; leave it empty for never.",
            ),
        ),
        migrations.AddConstraint(
            model_name="brand",
            constraint=models.CheckConstraint(
                condition=models.Q(("stale_policy__in", ["alert", "hold"])),
                name="brand_stale_policy_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "hold__in",
                        [
                            "",
                            "operator",
                            "brand_inactive",
                            "not_started",
                            "ended",
                            "brand_monthly_budget",
                            "campaign_monthly_budget",
                            "brand_daily_budget",
                            "campaign_daily_budget",
                            "stale_spend",
                            "outside_hours",
                            "undecided",
                        ],
                    )
                ),
                name="campaign_hold_known",
            ),
        ),
    ]
