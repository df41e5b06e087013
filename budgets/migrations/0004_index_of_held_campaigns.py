from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0003_room_for_updates"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="campaign",
            index=models.Index(
                condition=models.Q(("hold", ""), _negated=True),
                fields=["hold", "id"],
                name="campaign_held",
            ),
        ),
    ]
