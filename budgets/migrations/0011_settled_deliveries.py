from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0010_spend_archive"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "pending"), _negated=True),
                fields=["due_at"],
                name="webhook_delivery_settled",
            ),
        ),
    ]
