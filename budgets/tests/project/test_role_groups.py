"""The two groups: made once by `migrate`, then people's."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connection

from budgets.models import BrandAccess

migration = import_module("budgets.migrations.0013_roles")

OPERATOR = {"view_brand", "view_campaign", "view_spend", "view_statuschange", "pause_campaign"}
MANAGER = OPERATOR | {"change_brand", "change_campaign"}


def migrate_again() -> None:
    editor = connection.schema_editor(atomic=False)
    migration.keep_pausing(apps, editor)
    migration.create(apps, editor)


def may(role: str) -> set[str]:
    found = Group.objects.get(name=role).permissions.filter(content_type__app_label="budgets")
    return set(found.values_list("codename", flat=True))


@pytest.mark.django_db
class TestOnce:
    def test_they_are_complete_after_the_first_migrate(self) -> None:
        assert (may("Operator"), may("Manager")) == (OPERATOR, MANAGER)
        assert Group.objects.count() == 2

    def test_each_permission_bears_the_name_that_django_gives_it(self) -> None:
        roles = {codename: name for _, codename, name in migration.ROLES["Manager"]}
        models = [model._meta for model in apps.get_app_config("budgets").get_models()]
        given = {
            f"{action}_{meta.model_name}": f"Can {action} {meta.verbose_name}"
            for meta in models
            for action in meta.default_permissions
        } | {codename: name for meta in models for codename, name in meta.permissions}

        assert roles == {codename: given[codename] for codename in roles}
        for codename, name in roles.items():
            assert Permission.objects.get(codename=codename).name == name

    def test_written_twice_there_are_no_more(self) -> None:
        permissions = Permission.objects.count()

        migrate_again()
        call_command("migrate", verbosity=0)

        assert (may("Operator"), may("Manager")) == (OPERATOR, MANAGER)
        assert (Group.objects.count(), Permission.objects.count()) == (2, permissions)

    def test_what_people_took_away_added_or_deleted_stays_so(self) -> None:
        operator = Group.objects.get(name="Operator")
        operator.permissions.remove(Permission.objects.get(codename="pause_campaign"))
        operator.permissions.add(Permission.objects.get(codename="add_spend"))
        Group.objects.get(name="Manager").delete()

        call_command("migrate", verbosity=0)

        assert may("Operator") == OPERATOR - {"pause_campaign"} | {"add_spend"}
        assert not Group.objects.filter(name="Manager").exists()

    def test_a_group_that_was_called_so_before_gains_nothing(self) -> None:
        Group.objects.all().delete()
        Group.objects.create(name="Operator")

        migrate_again()

        assert (may("Operator"), may("Manager")) == (set(), MANAGER)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_an_upgrade_makes_them_and_lets_those_pause_who_could() -> None:
    call_command("migrate", "budgets", "0009", verbosity=0)
    try:
        Group.objects.all().delete()
        Permission.objects.filter(codename="pause_campaign").delete()
        change = Permission.objects.get(codename="change_campaign")
        bo, cai = (User.objects.create_user(name) for name in ("bo", "cai"))
        bo.user_permissions.add(change)
        editors = Group.objects.create(name="Editors")
        editors.permissions.add(change)
    finally:
        call_command("migrate", verbosity=0)

    assert (may("Operator"), may("Manager")) == (OPERATOR, MANAGER)
    assert may("Editors") == {"change_campaign", "pause_campaign"}
    assert User.objects.get(pk=bo.pk).has_perm("budgets.pause_campaign")
    assert not User.objects.get(pk=cai.pk).has_perm("budgets.pause_campaign")
    assert Permission.objects.filter(codename="pause_campaign").count() == 1
    assert not BrandAccess.objects.exists()
