"""API keys in the admin: the secret is on one page, once, and nowhere else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from budgets.models import ApiKey, Brand
from budgets.services import keys
from budgets.tests.admin.conftest import HOSTILE, errors, html, told
from budgets.tests.builders import (
    NOW,
    everything_stored,
    is_accepted,
    make_brand,
    make_key,
    who_shows,
)

pytestmark = pytest.mark.django_db

LIST = "/admin/budgets/apikey/"
FORM: dict[str, Any] = {
    "name": "ad server",
    "scopes": ["spend:write", "read"],
    "is_restricted": "False",
}


def change(key: ApiKey) -> str:
    return f"{LIST}{key.pk}/change/"


def key_named(name: str = "ad server") -> ApiKey:
    return ApiKey.objects.get(name=name)


def secrets_in(text: str) -> set[str]:
    return set(re.findall(r"bg_[a-z0-9]{12}_[A-Za-z0-9]{43}", text))


def revoke(client: Client, *chosen: ApiKey, **more: str) -> Any:
    ids = [key.pk for key in chosen]
    return client.post(LIST, {"action": "revoke", "_selected_action": ids, **more})


def staff(client: Client, *permissions: str) -> None:
    user = User.objects.create_user("bo", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


# --- Adding one ---------------------------------------------------------------------------------


def test_adding_one_shows_its_secret_once_and_it_works(ana: Client) -> None:
    response = ana.post(f"{LIST}add/", FORM)

    page = html(response)
    (secret,) = secrets_in(page)
    assert "it is not shown again" in page
    who = who_shows(secret)
    assert (who.name, who.scopes, who.brand_ids) == (
        "ad server",
        frozenset({"read", "spend:write"}),
        None,
    )
    assert key_named().created_at == NOW
    for path in (LIST, change(key_named()), f"{LIST}{who.key_id}/history/", "/admin/", "/"):
        assert not secrets_in(html(ana.get(path))), path


def test_the_secret_is_kept_by_nobody_between(ana: Client) -> None:
    response = ana.post(f"{LIST}add/", FORM)

    (secret,) = secrets_in(html(response))
    random = secret.rpartition("_")[2]
    assert "no-store" in response["Cache-Control"]
    assert random not in "".join(f"{name}: {value}" for name, value in response.items())
    assert random not in response.cookies.output()
    assert told(response) == []
    # Sessions and the admin's own log are tables as well.
    assert random not in everything_stored()
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.get_change_message()) == ("ad server", "Added.")


def test_sending_the_form_again_shows_no_secret(ana: Client) -> None:
    ana.post(f"{LIST}add/", FORM)

    again = ana.post(f"{LIST}add/", FORM)

    assert "A key of this name exists already" in " ".join(errors(again)["__all__"])
    assert not secrets_in(html(again))
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("extra", ["_continue", "_addanother", "_popup", "_saveasnew"])
def test_no_button_leads_past_the_secret(ana: Client, extra: str) -> None:
    response = ana.post(f"{LIST}add/", {**FORM, extra: "1"})

    assert secrets_in(html(response))


def test_one_for_some_brands_sees_only_them(ana: Client) -> None:
    brand, _ = make_brand(), make_brand()

    response = ana.post(f"{LIST}add/", {**FORM, "is_restricted": "True", "brands": [brand.pk]})

    (secret,) = secrets_in(html(response))
    assert who_shows(secret).brand_ids == frozenset({brand.pk})


@pytest.mark.parametrize(
    ("field", "form", "words"),
    [
        ("name", {"name": ""}, "This field is required."),
        ("name", {"name": "a\x00b"}, "Null characters are not allowed."),
        ("name", {"name": "a\x1bb"}, "without control or invisible characters"),
        ("name", {"name": "bg_abc"}, "what secrets begin with"),
        ("scopes", {"scopes": []}, "This field is required."),
        ("scopes", {"scopes": ["read", "root"]}, "root is not one of the available choices"),
        ("is_restricted", {"is_restricted": ""}, "This field is required."),
        ("is_restricted", {"is_restricted": "1"}, "1 is not one of the available choices"),
        ("is_restricted", {"brands": ["{brand}"]}, "take them away, or see only them"),
        ("brands", {"is_restricted": "True"}, "Choose at least one, or let the key see all"),
        ("brands", {"is_restricted": "True", "brands": ["xyz"]}, "xyz” is not a valid value"),
        ("brands", {"is_restricted": "True", "brands": ["9" * 25]}, "is not a valid value"),
        ("brands", {"is_restricted": "True", "brands": ["1\x00"]}, "is not a valid value"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    ana: Client, field: str, form: dict[str, Any], words: str
) -> None:
    if "brands" in form:
        form = {**form, "brands": [key.format(brand=make_brand().pk) for key in form["brands"]]}

    response = ana.post(f"{LIST}add/", {**FORM, **form})

    assert words in " ".join(errors(response)[field])
    assert not ApiKey.objects.exists()


def test_a_hostile_name_is_only_text(ana: Client) -> None:
    made = html(ana.post(f"{LIST}add/", {**FORM, "name": HOSTILE[:100]}))
    key = ApiKey.objects.get()
    asked = html(revoke(ana, key))

    for page in (made, asked, html(ana.get(LIST)), html(ana.get(change(key)))):
        assert "alert(1)" in page
        assert "<script>alert(1)" not in page
        assert "<img src=x" not in page


# --- Editing one --------------------------------------------------------------------------------


def test_the_page_of_one_shows_what_it_is(ana: Client) -> None:
    make_key(make_brand(name="Acme"), scopes=("read", "manage"))

    page = html(ana.get(change(key_named())))

    assert f"bg_{key_named().prefix}_…" in page
    boxes = re.findall(r"<input[^>]*>", page)
    checked = [re.findall(r'value="([^"]+)"', box)[0] for box in boxes if " checked>" in box]
    assert checked == ["read", "manage", "True"]
    assert ">Acme</option>" in page
    assert "never" in page


def test_brands_change_and_scopes_shrink_from_the_next_request_on(ana: Client) -> None:
    secret, brand = make_key(scopes=("read", "manage")), make_brand()
    key = key_named()

    response = ana.post(
        change(key), {"scopes": ["read"], "is_restricted": "True", "brands": [brand.pk]}
    )

    assert response.status_code == 302
    who = who_shows(secret)
    assert (who.scopes, who.brand_ids) == (frozenset({"read"}), frozenset({brand.pk}))
    words = LogEntry.objects.get().get_change_message()
    assert words == "Changed Scopes, Sees and Brands."


def test_saving_without_a_change_changes_nothing(ana: Client) -> None:
    brand = make_brand()
    secret = make_key(brand, scopes=("manage", "read"))
    before = who_shows(secret)

    ana.post(
        change(key_named()),
        {"scopes": ["read", "manage"], "is_restricted": "True", "brands": [brand.pk]},
    )

    assert who_shows(secret) == before
    assert LogEntry.objects.get().get_change_message() == "No fields changed."


def test_its_name_stays_and_its_scopes_do_not_grow(ana: Client) -> None:
    secret = make_key()

    renamed = ana.post(change(key_named()), {**FORM, "name": "other", "scopes": ["read"]})
    grown = ana.post(change(key_named()), {**FORM, "scopes": ["read", "manage"]})

    assert renamed.status_code == 302
    assert "create another key for manage" in errors(grown)["scopes"][0]
    assert (who_shows(secret).name, who_shows(secret).scopes) == ("ad server", frozenset({"read"}))


def test_a_key_whose_brands_are_gone_does_not_widen_by_saving_its_form(ana: Client) -> None:
    brand = make_brand()
    secret = make_key(brand)
    brand.delete()

    page = html(ana.get(change(key_named())))
    response = ana.post(change(key_named()), {"scopes": ["read"], "is_restricted": "True"})

    assert 'value="True"' in page
    assert "Choose at least one" in errors(response)["brands"][0]
    assert who_shows(secret).brand_ids == frozenset()
    assert "nothing: its brands are gone" in html(ana.get(LIST))


def test_what_somebody_else_did_meanwhile_is_told(
    ana: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key()
    keys.revoke(key_named(), now=NOW)
    # The form was let through a moment before.
    monkeypatch.setattr(
        "budgets.admin.api_key.ApiKeyAdmin.has_change_permission", lambda *_, **__: True
    )

    response = ana.post(change(key_named()), {**FORM, "scopes": ["read"]})

    assert response.status_code == 302
    assert "The key is revoked" in told(response)[0]


# --- Revoking -----------------------------------------------------------------------------------


def test_revoking_asks_first_and_ends_it_at_once(ana: Client) -> None:
    secret = make_key()

    asked = html(revoke(ana, key_named()))
    assert "is refused, for good" in asked
    assert is_accepted(secret)

    response = revoke(ana, key_named(), confirmed="yes")
    assert not is_accepted(secret)
    assert told(response) == ["1 key revoked, refused from the next request on."]
    assert LogEntry.objects.get().get_change_message() == "Revoked."
    assert told(revoke(ana, key_named(), confirmed="yes"))[-1].startswith("Nothing to revoke")


def test_a_look_revokes_nothing(ana: Client) -> None:
    secret = make_key()

    ana.get(f"{LIST}?action=revoke&_selected_action={key_named().pk}&confirmed=yes")

    assert is_accepted(secret)


def test_revoking_needs_the_token_of_our_own_page(ana: Client) -> None:
    secret = make_key()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get())

    assert revoke(strict, key_named(), confirmed="yes").status_code == 403
    assert is_accepted(secret)


def test_the_page_of_one_leads_to_the_question(ana: Client) -> None:
    make_key()

    page = html(ana.get(change(key_named())))

    assert f'name="_selected_action" value="{key_named().pk}"' in page
    assert 'name="action" value="revoke"' in page


def test_a_revoked_one_can_only_be_read(ana: Client) -> None:
    make_key()
    keys.revoke(key_named(), now=NOW)

    page = html(ana.get(change(key_named())))

    assert "24 Nov 2026, 15:00 UTC" in page
    assert 'name="scopes"' not in page
    assert 'name="action" value="revoke"' not in page
    assert ana.post(change(key_named()), FORM).status_code == 403


# --- The list, and who may ----------------------------------------------------------------------


def test_the_list_tells_them_apart(ana: Client) -> None:
    acme, bolt = make_brand(name="Acme"), make_brand(name="Bolt")
    make_key(acme, bolt, name="two")
    make_key(acme, name="one")
    who_shows(make_key(name="used"))
    make_key(name="old")
    keys.revoke(key_named("old"), now=NOW)

    page = html(ana.get(LIST))
    for words in ("Acme and 1 more", ">Acme<", "all brands", "24 Nov 2026, 15:00 UTC", "never"):
        assert words in page, words
    assert "bg_" + key_named("two").prefix in page
    usable, revoked = (html(ana.get(LIST, {"state": state})) for state in ("usable", "revoked"))
    assert change(key_named("old")) in revoked
    assert change(key_named("old")) not in usable
    assert change(key_named("two")) in usable
    assert change(key_named("two")) not in revoked


def test_nobody_deletes_one(ana: Client) -> None:
    make_key()
    key = key_named()

    assert ana.get(f"{LIST}{key.pk}/delete/").status_code == 403
    assert ana.post(f"{LIST}{key.pk}/delete/", {"post": "yes"}).status_code == 403
    ana.post(LIST, {"action": "delete_selected", "_selected_action": [key.pk], "post": "yes"})
    assert key_named() == key
    assert not Permission.objects.filter(codename="delete_apikey").exists()


def test_a_brand_with_keys_alone_can_be_deleted(ana: Client) -> None:
    brand = make_brand()
    secret = make_key(brand)

    ana.post(f"/admin/budgets/brand/{brand.pk}/delete/", {"post": "yes"})

    assert not Brand.objects.exists()
    assert who_shows(secret).brand_ids == frozenset()


def test_without_the_permission_there_is_nothing(client: Client) -> None:
    secret = make_key()
    staff(client, "view_brand", "change_brand")
    key = key_named()

    for path in (LIST, f"{LIST}add/", change(key)):
        assert client.get(path).status_code == 403, path
    assert client.post(f"{LIST}add/", {**FORM, "name": "mine"}).status_code == 403
    assert revoke(client, key, confirmed="yes").status_code == 403
    assert is_accepted(secret)
    assert ApiKey.objects.count() == 1
    assert "API keys" not in html(client.get("/admin/"))


def test_who_may_look_may_neither_add_nor_change_nor_revoke(client: Client) -> None:
    secret = make_key(scopes=("read", "manage"))
    staff(client, "view_apikey")
    key = key_named()

    assert f"bg_{key.prefix}_…" in html(client.get(change(key)))
    assert client.post(change(key), FORM).status_code == 403
    assert client.post(f"{LIST}add/", {**FORM, "name": "mine"}).status_code == 403
    revoke(client, key, confirmed="yes")
    assert who_shows(secret).scopes == {"read", "manage"}
    assert ApiKey.objects.count() == 1


def test_who_may_add_gets_a_secret(client: Client) -> None:
    staff(client, "add_apikey")

    assert secrets_in(html(client.post(f"{LIST}add/", FORM)))
