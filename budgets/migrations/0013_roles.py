"""The two roles, as groups that people may edit in the admin.

Written once: an edit, a new name or a deletion survives every later `migrate`.
"""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SEES = [
    ("brand", "view_brand", "Can view brand"),
    ("campaign", "view_campaign", "Can view campaign"),
    ("spend", "view_spend", "Can view spend"),
    ("statuschange", "view_statuschange", "Can view status change"),
]
PAUSES = ("campaign", "pause_campaign", "Can pause and resume campaigns")
EDITS = [
    ("brand", "change_brand", "Can change brand"),
    ("campaign", "change_campaign", "Can change campaign"),
]
ROLES = {"Operator": [*SEES, PAUSES], "Manager": [*SEES, PAUSES, *EDITS]}


def permission(apps: Apps, model: str, codename: str, name: str) -> Any:
    """Return a permission, which Django makes only after all migrations, and then leaves as it is."""
    kinds = apps.get_model("contenttypes", "ContentType").objects
    kind, _ = kinds.get_or_create(app_label="budgets", model=model)
    permissions = apps.get_model("auth", "Permission").objects
    found, _ = permissions.get_or_create(
        content_type=kind, codename=codename, defaults={"name": name}
    )
    return found


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the groups; one that somebody made under this name before stays what it is."""
    groups = apps.get_model("auth", "Group").objects
    for role, permissions in ROLES.items():
        group, is_new = groups.get_or_create(name=role)
        if is_new:
            group.permissions.set([permission(apps, *each) for each in permissions])


def keep_pausing(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let those pause who could before: until this migration, to change a campaign was to pause it."""
    pause = permission(apps, *PAUSES)
    change = {"codename": "change_campaign", "content_type__app_label": "budgets"}
    for changing in apps.get_model("auth", "Permission").objects.filter(**change):
        for group in changing.group_set.all():
            group.permissions.add(pause)
        for user in changing.user_set.all():
            user.user_permissions.add(pause)


class Migration(migrations.Migration):
    dependencies = [
        ("budgets", "0012_brand_access"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        # Backwards nothing: who goes forward again finds the groups as they are.
        migrations.RunPython(keep_pausing, migrations.RunPython.noop),
        migrations.RunPython(create, migrations.RunPython.noop),
    ]
