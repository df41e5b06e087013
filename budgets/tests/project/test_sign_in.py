"""Signing in: wrong passwords, places, and sessions that end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from budgets.tests.builders import NOW
from django_celery_budget.sign_in import client_address

pytestmark = pytest.mark.django_db

PASSWORD = "a horse, a battery"
SIGN_IN = "/admin/login/"
HOME, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _people() -> None:
    for name in ("ana", "bo"):
        User.objects.create_superuser(name, password=PASSWORD)


def attempt(
    name: str = "ana",
    password: str = "wrong",  # noqa: S107  # it is
    place: str = HOME,
    headers: dict[str, str] | None = None,
) -> Any:
    """Send the form from a browser that was never here."""
    form = {"username": name, "password": password}
    return Client(REMOTE_ADDR=place).post(SIGN_IN, form, headers=headers)


def gets_in(name: str = "ana", place: str = HOME, headers: dict[str, str] | None = None) -> bool:
    """Tell whether the right password lets somebody in."""
    answer = attempt(name, PASSWORD, place, headers)
    assert answer.status_code in (302, 429)
    return bool(answer.status_code == 302)


def by_way_of(*places: str) -> dict[str, str]:
    """Return what proxies add, or a client that pretends to be some."""
    return {"X-Forwarded-For": ", ".join(places)}


def lock_ana() -> Any:
    for _ in range(4):
        assert attempt().status_code == 200
    return attempt()


class TestWrongPasswords:
    def test_after_five_not_even_the_right_one_is_looked_at(self) -> None:
        answer = lock_ana()

        assert answer.status_code == 429
        assert answer["Retry-After"] == "900"
        assert "After 5 wrong passwords for one user from one place" in answer.text
        assert "axes_reset_username" in answer.text
        assert not gets_in()

    def test_the_log_has_a_line_for_each_and_for_the_lock_and_names_nobody(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(4):
            attempt()
        assert caplog.text.count("login failure") == 4
        assert len([line for line in caplog.records if line.name.startswith("axes")]) == 4

        attempt()
        assert "Locking out" in caplog.text
        assert "ana" not in caplog.text

    def test_four_and_the_right_one_begin_anew(self) -> None:
        for _ in range(2):
            for _ in range(4):
                attempt()
            assert gets_in()

    def test_another_user_and_another_place_are_not_locked(self) -> None:
        lock_ana()

        assert gets_in("bo")
        assert gets_in("ana", ELSEWHERE)

    def test_it_ends_by_itself_and_trying_on_makes_it_no_longer(
        self, clock: time_machine.Traveller
    ) -> None:
        lock_ana()
        clock.shift(timedelta(minutes=14))
        assert attempt().status_code == 429

        clock.shift(timedelta(minutes=1, seconds=1))

        assert gets_in()

    def test_a_command_ends_it(self) -> None:
        lock_ana()

        call_command("axes_reset_username", "ana")

        assert gets_in()

    def test_a_user_that_does_not_exist_is_answered_alike(self) -> None:
        answers = [attempt("nobody") for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200] * 4 + [429]
        assert answers[-1].text == lock_ana().text

    def test_another_browser_is_the_same_place(self) -> None:
        for number in range(5):
            attempt(headers={"User-Agent": f"browser {number}"})

        assert not gets_in()

    @pytest.mark.parametrize(
        "name", ["a" * 200, "a\0b", "<script>", "a\nb", "\u202eana", "' OR 1=1"]
    )
    def test_an_odd_name_breaks_nothing(self, name: str) -> None:
        answers = {
            attempt(name, headers={"User-Agent": "\x07" * 600}).status_code for _ in range(6)
        }

        assert answers <= {200, 429}


class TestPlaces:
    def test_a_header_that_nobody_was_told_to_trust_changes_nothing(self) -> None:
        for number in range(5):
            attempt(headers=by_way_of(f"192.0.2.{number}"))

        assert not gets_in(headers=by_way_of("192.0.2.200"))

    def test_behind_a_proxy_a_client_cannot_choose_its_place(self, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = 1
        for number in range(5):
            attempt(headers=by_way_of(f"192.0.2.{number}", ELSEWHERE))

        assert not gets_in(headers=by_way_of("192.0.2.200", ELSEWHERE))
        assert gets_in(headers=by_way_of(ELSEWHERE, "192.0.2.1"))

    @pytest.mark.parametrize(
        ("proxies", "peer", "header", "place"),
        [
            (0, HOME, None, HOME),
            (0, HOME, ELSEWHERE, HOME),
            (1, HOME, ELSEWHERE, ELSEWHERE),
            (1, HOME, f"192.0.2.1, {ELSEWHERE}", ELSEWHERE),
            (2, HOME, f"192.0.2.1, {ELSEWHERE}, 10.0.0.1", ELSEWHERE),
            # Fewer than there should be, or no address: only the peer is certain.
            (2, HOME, ELSEWHERE, HOME),
            (1, HOME, None, HOME),
            (1, HOME, "unknown", HOME),
            (1, HOME, "192.0.2.1,", HOME),
            # A customer has a network of addresses to choose from.
            (0, "2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::"),
            (0, "::ffff:198.51.100.7", None, HOME),
            (0, "fe80::1%eth0", None, "fe80::"),
            (0, "", None, "0.0.0.0"),  # noqa: S104  # no place to listen at
        ],
    )
    def test_the_place_is_the_one_that_the_outermost_proxy_saw(
        self, settings: Settings, proxies: int, peer: str, header: str | None, place: str
    ) -> None:
        settings.TRUSTED_PROXIES = proxies
        headers = {} if header is None else by_way_of(header)
        request = RequestFactory(REMOTE_ADDR=peer).get("/", headers=headers)

        assert client_address(request) == place


class TestSessions:
    @pytest.fixture
    def ana(self, client: Client) -> Client:
        form = {"username": "ana", "password": PASSWORD}
        assert client.post(SIGN_IN, form).status_code == 302
        assert client.get("/").status_code == 200
        return client

    def test_one_ends_when_the_password_is_changed(self, ana: Client) -> None:
        user = User.objects.get(username="ana")
        user.set_password("another one, longer")
        user.save()

        assert ana.get("/").status_code == 302

    def test_one_ends_when_the_user_is_disabled(self, ana: Client) -> None:
        User.objects.filter(username="ana").update(is_active=False)

        assert ana.get("/").status_code == 302

    def test_one_ends_after_a_working_day(self, ana: Client, clock: time_machine.Traveller) -> None:
        clock.shift(timedelta(hours=12, seconds=1))

        assert ana.get("/").status_code == 302

    def test_the_cookie_is_another_one_after_signing_in(self, client: Client) -> None:
        client.get(SIGN_IN)
        session = client.session
        session["before"] = True
        session.save()
        planted = session.session_key

        client.post(SIGN_IN, {"username": "ana", "password": PASSWORD})

        assert client.session.session_key not in (None, planted)

    def test_no_script_reads_the_cookie_and_no_other_site_sends_it(self, ana: Client) -> None:
        cookie = ana.cookies["sessionid"]

        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
        assert cookie["max-age"] == 12 * 3600
