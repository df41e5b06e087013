"""Users and groups in the admin: roles, and the brands that somebody sees."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from budgets.models import Brand, BrandAccess
from budgets.services import access
from budgets.tests.admin.conftest import HOSTILE, errors, html
from budgets.tests.builders import make_brand

pytestmark = pytest.mark.django_db

LIST = "/admin/auth/user/"
ALL, SOME = "False", "True"


@pytest.fixture
def bo(db: None) -> User:
    user = User.objects.create_user("bo")
    user.groups.add(Group.objects.get(name="Operator"))
    return user


def change(user: User) -> str:
    return f"{LIST}{user.pk}/change/"


def save(client: Client, user: User, sees: str, *brands: Brand, **more: Any) -> Any:
    form = {
        "username": user.username,
        "is_active": "on",
        "date_joined_0": "2026-11-24",
        "date_joined_1": "15:00:00",
        "groups": [group.pk for group in user.groups.all()],
        "is_restricted": sees,
        "brands": [brand.pk for brand in brands],
        **more,
    }
    return client.post(change(user), form)


def seen_by(user: User) -> list[Brand]:
    return list(access.person(User.objects.get(pk=user.pk)).brands().order_by("pk"))


def test_brands_are_chosen_and_all_are_shown_again(ana: Client, bo: User) -> None:
    own, foreign = make_brand(name="Acme"), make_brand(name="Bolt")
    assert seen_by(bo) == [own, foreign]

    assert save(ana, bo, SOME, own).status_code == 302
    assert seen_by(bo) == [own]
    page = html(ana.get(change(bo)))
    assert f'<option value="{own.pk}" selected>Acme</option>' in page
    assert "Bolt" not in page

    assert save(ana, bo, ALL).status_code == 302
    assert seen_by(bo) == [own, foreign]
    assert not BrandAccess.objects.exists()


def test_saving_something_else_leaves_the_brands(ana: Client, bo: User) -> None:
    own = make_brand()
    access.restrict(bo, [own])

    assert save(ana, bo, SOME, own, first_name="Bo").status_code == 302

    assert User.objects.get(pk=bo.pk).first_name == "Bo"
    assert seen_by(bo) == [own]


def test_the_list_says_who_sees_what(ana: Client, bo: User) -> None:
    make_brand()
    access.restrict(bo, [make_brand(name=HOSTILE), make_brand(name="Acme")])
    gone = User.objects.create_user("cai")
    access.restrict(gone, [])

    page = html(ana.get(LIST))

    assert "and 1 more" in page
    assert "<script>alert(1)" not in page
    assert "nothing: its brands are gone" in page
    assert "all brands" not in page  # of nobody: who has no role sees none
    assert "Operator" in page


def test_statements_of_the_list_do_not_grow_with_users(ana: Client) -> None:
    counts = []
    for number in (5, 40):
        for at in range(number):
            user = User.objects.create_user(f"user {number} {at}")
            user.groups.set(Group.objects.all())
            access.restrict(user, [make_brand()])
        with CaptureQueriesContext(connection) as asked:
            html(ana.get(LIST))
        counts.append(len(asked))

    assert counts[0] == counts[1]


def test_what_contradicts_itself_is_refused(ana: Client, bo: User) -> None:
    brand = make_brand()

    assert "Choose at least one" in errors(save(ana, bo, SOME))["brands"][0]
    assert "Brands are chosen" in errors(save(ana, bo, ALL, brand))["is_restricted"][0]
    both = errors(save(ana, bo, SOME, brand, is_superuser="on"))["is_restricted"]
    assert both == ["A superuser sees and does everything: take one of the two away."]
    assert not BrandAccess.objects.exists()


@pytest.mark.parametrize("key", ["xyz", "9" * 25, "1\x00", "-1", "987654"])
def test_a_key_that_is_no_brand_is_refused(ana: Client, bo: User, key: str) -> None:
    response = save(ana, bo, SOME, brands=[key])

    assert "is not " in errors(response)["brands"][0]
    assert not BrandAccess.objects.exists()


def test_who_sees_some_brands_opens_no_people(client: Client, bo: User) -> None:
    bo.is_staff = True
    bo.save()
    bo.user_permissions.set(Permission.objects.all())
    access.restrict(bo, [make_brand()])
    client.force_login(bo)

    for path in (LIST, change(bo), f"{LIST}add/", "/admin/auth/group/", f"{LIST}{bo.pk}/password/"):
        assert client.get(path).status_code == 403, path
        assert client.post(path, {"is_superuser": "on"}).status_code == 403, path
    assert "/admin/auth/" not in html(client.get("/admin/"))


def test_who_may_only_look_is_told_in_words(client: Client, bo: User) -> None:
    access.restrict(bo, [make_brand(name="Acme")])
    looker = User.objects.create_user("cai", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_user"))
    client.force_login(looker)

    page = html(client.get(change(bo)))
    assert "Acme" in page
    assert 'name="is_restricted"' not in page
    assert save(client, bo, ALL).status_code == 403


def test_who_administers_people_without_a_role_changes_no_sight(client: Client, bo: User) -> None:
    own = make_brand()
    access.restrict(bo, [own])
    clerk = User.objects.create_user("cai", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "change_user"]))
    client.force_login(clerk)

    assert 'name="is_restricted"' not in html(client.get(change(bo)))
    assert save(client, bo, ALL, first_name="Bo").status_code == 302
    assert User.objects.get(pk=bo.pk).first_name == "Bo"
    assert seen_by(bo) == [own]
