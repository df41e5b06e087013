"""Who sees which brands, and may do what."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from budgets.models import Brand, BrandAccess
from budgets.services import access
from budgets.services.access import EVERYTHING, NOTHING, Person, Sight
from budgets.tests.builders import make_brand, make_campaign

pytestmark = pytest.mark.django_db


def make_user(role: str = "", *, is_staff: bool = False) -> User:
    user = User.objects.create_user(f"user {User.objects.count()}", is_staff=is_staff)
    user.groups.set(Group.objects.filter(name=role))
    return user


def person(user: User) -> Person:
    # Permissions are kept with the object: another request reads another one.
    return access.person(User.objects.get(pk=user.pk))


def may(who: Person) -> tuple[bool, bool]:
    return who.may_pause, who.may_edit


def test_operators_see_all_and_pause_and_managers_edit_as_well() -> None:
    assert may(person(make_user("Operator"))) == (True, False)
    assert may(person(make_user("Manager"))) == (True, True)
    for role in ("Operator", "Manager"):
        who = person(make_user(role))
        assert (who.brand_ids, who.is_restricted) == (None, False)


def test_a_superuser_does_everything() -> None:
    who = person(User.objects.create_superuser("ana"))

    assert may(who) == (True, True)
    assert (who.name, who.brand_ids) == ("ana", None)


def test_who_has_no_role_sees_nothing() -> None:
    make_campaign()

    for user in (make_user(), make_user(is_staff=True), AnonymousUser()):
        who = access.person(user)
        assert may(who) == (False, False)
        assert who.brand_ids == frozenset()
        assert not who.brands().exists()
        assert not who.campaigns().exists()


def test_who_may_no_longer_sign_in_sees_nothing() -> None:
    user = make_user("Manager")
    User.objects.filter(pk=user.pk).update(is_active=False)

    assert person(user).brand_ids == frozenset()


def test_any_permission_of_the_application_is_a_role() -> None:
    user = make_user()
    user.user_permissions.add(Permission.objects.get(codename="add_spend"))

    assert person(user).brand_ids is None


def test_a_restricted_user_sees_the_brands_chosen_until_somebody_shows_them_all() -> None:
    user, own, foreign = make_user("Manager"), make_brand(), make_brand()
    ours, theirs = make_campaign(own), make_campaign(foreign)

    access.restrict(user, [own])
    who = person(user)
    assert who.is_restricted
    assert list(who.brands()) == [own]
    assert list(who.campaigns()) == [ours]
    assert (who.sees_brand(own.pk), who.sees_brand(foreign.pk)) == (True, False)

    access.restrict(user, [own, foreign])
    assert person(user).campaigns().count() == 2

    access.restrict(user, None)
    access.restrict(user, None)
    assert person(user).brand_ids is None
    assert theirs in person(user).campaigns()


def test_a_restricted_user_whose_last_brand_is_gone_sees_none() -> None:
    user, gone = make_user("Operator"), make_brand()
    make_brand()
    access.restrict(user, [gone])
    gone.delete()

    who = person(user)

    assert who.is_restricted
    assert not who.brands().exists()


def test_restricted_to_none_is_not_unrestricted() -> None:
    user = make_user("Operator")
    make_brand()

    access.restrict(user, [])

    assert person(user).brand_ids == frozenset()


def test_a_restriction_shows_nothing_to_who_has_no_role() -> None:
    user, own = make_user(), make_brand()
    access.restrict(user, [own])

    assert person(user).brand_ids == frozenset()


def test_it_goes_with_its_user() -> None:
    user = make_user()
    access.restrict(user, [make_brand()])
    user.delete()

    assert not BrandAccess.objects.exists()
    assert Brand.objects.count() == 1


def test_to_know_somebody_takes_one_question_and_loads_no_brands_of_who_sees_all() -> None:
    user, restricted = make_user("Operator"), make_user("Operator")
    access.restrict(restricted, [make_brand() for _ in range(50)])

    for who in (user, restricted):
        fresh = User.objects.get(pk=who.pk)
        fresh.get_all_permissions()
        with CaptureQueriesContext(
            connection,
        ) as asked:
            access.person(fresh)
        assert len(asked) == 1


def test_a_sight_narrows_what_belongs_to_a_brand_further_off() -> None:
    own, foreign = make_campaign(), make_campaign()
    sight = Sight(brand_ids=frozenset({own.brand_id}))

    assert list(sight.of(type(own).objects.order_by("pk"), "brand_id")) == [own]
    assert list(EVERYTHING.campaigns().order_by("pk")) == [own, foreign]
    assert list(NOTHING.campaigns()) == []
