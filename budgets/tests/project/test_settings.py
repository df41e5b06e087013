"""The settings that a process has which starts in a given environment."""

from __future__ import annotations

import json
import secrets
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from budgets.tests.children import environment, manage, python
from django_celery_budget import mail
from django_celery_budget import settings as project

SHOW = """
import json, sys
from django.conf import settings
settings.INSTALLED_APPS
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))
"""
KEY = "vVq0YB4bN3p8Zt1xWc6mKd9sLf2hJg5rTyUoIeAaQwSxEdCrFv"
PRODUCTION = {
    "DJANGO_ENV": "production",
    "SECRET_KEY": KEY,
    "ALLOWED_HOSTS": "budgets.example.com",
}


def shown(data_dir: Path, *names: str, **variables: str) -> dict[str, Any]:
    """Return these settings of a process with these variables."""
    ended = python(SHOW, *names, env=environment(data_dir, **variables))
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def refusal(data_dir: Path, **variables: str) -> str:
    """Return all that a process with these variables says before it ends."""
    ended = python(SHOW, env=environment(data_dir, **variables))
    assert ended.returncode == 1, ended.stdout
    assert "ImproperlyConfigured: " in ended.stderr
    return ended.stderr


class TestWithNothingSet:
    def test_there_are_a_database_file_and_a_broker_of_our_own(self, short_path: Path) -> None:
        home = short_path / "not" / "there yet"

        found = shown(home, "DATABASES", "CELERY_BROKER_URL", "REDIS_URL", "DEBUG", "ALLOWED_HOSTS")

        assert found["DATABASES"]["default"]["ENGINE"] == "django.db.backends.sqlite3"
        assert found["DATABASES"]["default"]["NAME"] == str(home / "db.sqlite3")
        broker = f"redis+socket://{short_path}/not/there%20yet/broker/redis.sock?virtual_host=0"
        assert found["CELERY_BROKER_URL"] == broker
        assert found["REDIS_URL"] == ""
        assert found["DEBUG"] is False
        assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]", ".localhost"]

    def test_empty_variables_are_the_same_as_none(self, tmp_path: Path) -> None:
        names = ("DATABASES", "CELERY_BROKER_URL", "SECRET_KEY", "ALLOWED_HOSTS", "DEBUG")
        variables = (
            "DJANGO_ENV DEBUG SECRET_KEY SECRET_KEY_FILE ALLOWED_HOSTS DATABASE_URL REDIS_URL"
        )
        empty = dict.fromkeys([*variables.split(), "LOG_FORMAT", "SPEND_MAX_AGE_DAYS"], "")

        assert shown(tmp_path, *names, **empty) == shown(tmp_path, *names)

    def test_writers_of_the_database_file_queue_and_commits_are_on_disk(
        self, tmp_path: Path
    ) -> None:
        ended = python(
            "import django; django.setup()\n"
            "from django.db import connection\n"
            "with connection.cursor() as cursor:\n"
            "    for name in ('journal_mode', 'synchronous', 'busy_timeout'):\n"
            "        print(cursor.execute(f'PRAGMA {name}').fetchone()[0])\n"
            "print(connection.transaction_mode)",
            env=environment(tmp_path),
        )

        assert ended.stdout.split() == ["wal", "2", "20000", "IMMEDIATE"], ended.stderr

    def test_the_data_are_private_to_their_owner(self, tmp_path: Path) -> None:
        home = tmp_path / "home"

        shown(home)

        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "secret_key").stat().st_mode) == 0o600


class TestSecretKey:
    def test_it_is_made_once_and_differs_between_installations(self, tmp_path: Path) -> None:
        first, again, other = (
            shown(tmp_path / home, "SECRET_KEY")["SECRET_KEY"] for home in ("a", "a", "b")
        )

        assert len(first) >= 50
        assert first == again != other

    def test_first_starts_at_once_agree(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(project, "DATA_DIR", tmp_path)
        first: list[str] = []

        def overtaken(length: int) -> str:
            """Make a key, while somebody else makes and keeps one."""
            monkeypatch.setattr(secrets, "token_urlsafe", lambda length: "the first one's")
            first.append(project.own_secret_key())
            return "the second one's"

        monkeypatch.setattr(secrets, "token_urlsafe", overtaken)

        second = project.own_secret_key()

        assert [second] == first == ["the first one's"]
        assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]

    def test_one_that_is_given_is_taken_and_none_is_made(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text(f"{KEY}\n")
        home = tmp_path / "home"

        assert shown(home, "SECRET_KEY", SECRET_KEY_FILE=str(path)) == {"SECRET_KEY": KEY}
        assert not (home / "secret_key").exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"DJANGO_ENV": "staging"}, "DJANGO_ENV='staging' is unknown: say development or produ"),
        ({"DEBUG": "maybe"}, "DEBUG='maybe' is neither yes nor no"),
        ({"LOG_FORMAT": "yaml"}, "LOG_FORMAT='yaml' is unknown: say console or json"),
        ({"SPEND_MAX_AGE_DAYS": "0"}, "SPEND_MAX_AGE_DAYS='0' must be a whole number from 1 to"),
        ({"WEBHOOK_KEEP_DAYS": "3"}, "WEBHOOK_KEEP_DAYS='3' must be a whole number from 4 to"),
        ({"CSRF_TRUSTED_ORIGINS": "a.example"}, "CSRF_TRUSTED_ORIGINS: 'a.example' lacks its sch"),
        ({"ALLOWED_HOSTS": "https://a.example"}, "'https://a.example' is no bare host name"),
        ({"ALLOWED_HOSTS": "a.example:8000"}, "without scheme, port or path"),
        ({"DATABASE_URL": "sqlite://:memory:"}, "each process would have a database in memory"),
        ({"DATABASE_URL": "postgres://user@host"}, "DATABASE_URL must be postgres://user:password"),
        ({"BEHIND_TLS_PROXY": "nginx"}, "BEHIND_TLS_PROXY='nginx' is neither yes nor no"),
        ({"SECRET_KEY": KEY, "SECRET_KEY_FILE": "/key"}, "SECRET_KEY_FILE are both set: unset one"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_name_and_a_remedy(
    tmp_path: Path, variables: dict[str, str], words: str
) -> None:
    assert words in refusal(tmp_path, **variables)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://user:hidden-word@host:port/name"),
        ("DATABASE_URL", "mysql://user:hidden-word@host/name"),
        ("REDIS_URL", "redis://user:1/hidden-word@host/0"),
        ("REDIS_URL", "redis://[:hidden-word@host/0"),
    ],
)
def test_a_bad_address_is_refused_without_repeating_its_password(
    tmp_path: Path, name: str, value: str
) -> None:
    said = refusal(tmp_path, **{name: value})

    assert f"ImproperlyConfigured: {name} must be " in said
    assert "special characters percent-encoded" in said
    assert "hidden-word" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:tell/nobody@host/name",
        "postgres://user:tell#nobody@host/name",
        "postgres://user:[nobody@host/name",
        "postgres://user:nobody@host:65536/name",
        "oracle://user:nobody@host/name",
        "nobody",
    ],
)
def test_other_databases_than_postgresql_and_sqlite_are_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must be postgres://") as refused:
        project.database(url)

    assert "nobody" not in str(refused.value)
    assert refused.value.__context__ is None


class TestPostgreSQL:
    URL = "postgres://bea:p%40ss@db.example:5433/budgets"

    def test_no_statement_and_no_lock_lasts_for_ever(self, tmp_path: Path) -> None:
        [database] = shown(tmp_path, "DATABASES", DATABASE_URL=self.URL)["DATABASES"].values()

        assert database["ENGINE"] == "django.db.backends.postgresql"
        assert (database["USER"], database["PASSWORD"]) == ("bea", "p@ss")
        assert (database["HOST"], database["PORT"]) == ("db.example", 5433)
        assert database["OPTIONS"]["connect_timeout"] == 5
        assert database["OPTIONS"]["options"].split("-c ")[1:] == [
            "statement_timeout=30s ",
            "lock_timeout=5s ",
            "idle_in_transaction_session_timeout=30s ",
            "random_page_cost=1.1",
        ]
        assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (60, True)

    def test_the_query_of_the_address_wins(self, tmp_path: Path) -> None:
        url = f"{self.URL}?options=-c%20statement_timeout%3D0&sslmode=require"

        [database] = shown(tmp_path, "DATABASES", DATABASE_URL=url)["DATABASES"].values()

        assert database["OPTIONS"] == {
            "connect_timeout": 5,
            "options": "-c statement_timeout=0",
            "prepare_threshold": 5,
            "server_side_binding": True,
            "sslmode": "require",
        }


class TestOtherValues:
    def test_a_relative_database_file_is_the_same_one_wherever_a_process_starts(
        self, tmp_path: Path
    ) -> None:
        found = shown(tmp_path, "DATABASES", "BASE_DIR", DATABASE_URL="sqlite:///some.sqlite3")

        assert found["DATABASES"]["default"]["NAME"] == f"{found['BASE_DIR']}/some.sqlite3"
        assert found["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"

    def test_values_that_can_be_meant_are_taken(self, tmp_path: Path) -> None:
        found = shown(
            tmp_path,
            *("CELERY_BROKER_URL", "SPEND_MAX_AGE_DAYS", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS"),
            *("SECURE_PROXY_SSL_HEADER", "DEBUG"),
            REDIS_URL="unix:///run/redis.sock?db=3",
            SPEND_MAX_AGE_DAYS="30",
            ALLOWED_HOSTS="a.example, b.example",
            CSRF_TRUSTED_ORIGINS="https://a.example",
            BEHIND_TLS_PROXY="yes",
            DEBUG="1",
        )

        assert found == {
            "CELERY_BROKER_URL": "redis+socket:///run/redis.sock?virtual_host=3",
            "SPEND_MAX_AGE_DAYS": 30,
            "ALLOWED_HOSTS": ["a.example", "b.example"],
            "CSRF_TRUSTED_ORIGINS": ["https://a.example"],
            "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
            "DEBUG": True,
        }


class TestProduction:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"SECRET_KEY": ""}, "SECRET_KEY must have at least 50 random characters"),
            ({"SECRET_KEY": "short"}, "Make one with: python3 -c"),
            ({"SECRET_KEY": "abcd" * 20}, "or in a file named by SECRET_KEY_FILE"),
            ({"SECRET_KEY": f"django-insecure-{KEY}"}, "SECRET_KEY must have at least 50 random"),
            ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS must name the hosts of the site"),
            ({"ALLOWED_HOSTS": "a.example,*"}, "without '*': ALLOWED_HOSTS=budgets.example.com"),
            ({"DEBUG": "1"}, "DEBUG shows settings and source to every visitor: unset it"),
        ],
    )
    def test_it_does_not_start_unsafe(
        self, tmp_path: Path, change: dict[str, str], words: str
    ) -> None:
        said = refusal(tmp_path, **{**PRODUCTION, **change})

        assert words in said
        assert f"django-insecure-{KEY}" not in said

    def test_it_passes_every_deployment_check(self, tmp_path: Path) -> None:
        env = environment(tmp_path, **PRODUCTION)

        ended = manage("check", "--deploy", "--fail-level", "WARNING", env=env)

        assert ended.returncode == 0, ended.stderr
        assert "no issues" in ended.stdout

    def test_it_trusts_no_proxy_that_nobody_named(self, tmp_path: Path) -> None:
        found = shown(tmp_path, "SECURE_PROXY_SSL_HEADER", "SECURE_SSL_REDIRECT", **PRODUCTION)

        assert found == {"SECURE_PROXY_SSL_HEADER": None, "SECURE_SSL_REDIRECT": True}

    def test_with_servers_of_its_own_it_needs_no_place_on_disk(self, tmp_path: Path) -> None:
        home = tmp_path / "home"

        shown(
            home,
            DATABASE_URL=TestPostgreSQL.URL,
            REDIS_URL="redis://redis.example:6379/0",
            **PRODUCTION,
        )

        assert not home.exists()


class TestWebhooks:
    def test_private_hosts_and_networks_are_none_unless_named(self, tmp_path: Path) -> None:
        name = "WEBHOOK_ALLOWED_PRIVATE_HOSTS"
        assert shown(tmp_path, name) == {name: []}

        named = "hooks.internal, 10.1.2.0/24,fd00::/8, 127.0.0.1"
        assert shown(tmp_path, name, **{name: named})[name] == [
            "hooks.internal",
            "10.1.2.0/24",
            "fd00::/8",
            "127.0.0.1",
        ]

    @pytest.mark.parametrize("value", ["10.1.2.3/24", "https://hooks.internal", "10.1.2", "*"])
    def test_what_allows_nothing_or_something_else_is_refused(
        self, tmp_path: Path, value: str
    ) -> None:
        said = refusal(tmp_path, WEBHOOK_ALLOWED_PRIVATE_HOSTS=value)

        assert f"WEBHOOK_ALLOWED_PRIVATE_HOSTS: {value!r} is neither a host name" in said

    def test_keys_before_this_one_can_be_named(self, tmp_path: Path) -> None:
        found = shown(tmp_path, "SECRET_KEY_FALLBACKS", SECRET_KEY_FALLBACKS=f"{KEY}, old")

        assert found == {"SECRET_KEY_FALLBACKS": [KEY, "old"]}


class TestMail:
    SHOWN = (
        "MAIL_IS_CONFIGURED",
        "EMAIL_BACKEND",
        "EMAIL_HOST",
        "EMAIL_PORT",
        "EMAIL_HOST_USER",
        "EMAIL_HOST_PASSWORD",
        "EMAIL_USE_TLS",
        "EMAIL_USE_SSL",
        "DEFAULT_FROM_EMAIL",
        "SITE_URL",
    )
    FROM = "Budget Guardian <budgets@example.com>"

    def test_nothing_is_sent_anywhere_unless_a_server_is_named(self, tmp_path: Path) -> None:
        found = shown(tmp_path, *self.SHOWN)

        assert found["MAIL_IS_CONFIGURED"] is False
        assert found["EMAIL_BACKEND"].endswith("dummy.EmailBackend")

    def test_a_server_can_be_named_in_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "mail"
        path.write_text("smtp+tls://bo%40x:p%3Aw%2F@mail.example.com\n")

        found = shown(
            tmp_path,
            *self.SHOWN,
            EMAIL_URL_FILE=str(path),
            DEFAULT_FROM_EMAIL=self.FROM,
            SITE_URL="https://budgets.example.com/",
        )

        assert found == {
            "MAIL_IS_CONFIGURED": True,
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": "mail.example.com",
            "EMAIL_PORT": 587,
            "EMAIL_HOST_USER": "bo@x",
            "EMAIL_HOST_PASSWORD": "p:w/",
            "EMAIL_USE_TLS": True,
            "EMAIL_USE_SSL": False,
            "DEFAULT_FROM_EMAIL": self.FROM,
            "SITE_URL": "https://budgets.example.com",
        }

    @pytest.mark.parametrize(
        ("url", "server"),
        [
            ("console://", mail.Server(backend=mail.CONSOLE)),
            ("smtp://localhost", mail.Server(backend=mail.SMTP, host="localhost")),
            (
                "smtp://a:b@127.0.0.1:1025",
                mail.Server(backend=mail.SMTP, host="127.0.0.1", port=1025, user="a", password="b"),
            ),
            (
                "smtps://a:b@mail.example.com/",
                mail.Server(
                    backend=mail.SMTP,
                    host="mail.example.com",
                    port=465,
                    user="a",
                    password="b",
                    tls=True,
                ),
            ),
            ("", None),
        ],
    )
    def test_a_url_says_how_a_server_is_reached(self, url: str, server: mail.Server | None) -> None:
        assert mail.parse(url) == server

    @pytest.mark.parametrize(
        "url",
        [
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://mail.example.com:x",
            "smtp://mail.example.com:0",
            "smtp://mail.example.com:99999",
            "smtp://mail..example.com",
            "smtp://mail.example.com/path",
            "smtp://mail.example.com?tls=1",
            "smtps://user@mail.example.com",
            "smtp://user:hunter2@mail.example.com",
            "smtp://[::1",
        ],
    )
    def test_what_cannot_be_meant_is_refused_and_its_password_not_said(self, url: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="EMAIL_URL") as refused:
            mail.parse(url)

        assert "hunter2" not in str(refused.value)

    @pytest.mark.parametrize("sender", ["", "nobody", "a@example.com\nBcc: b@example.com"])
    def test_with_a_server_there_must_be_a_sender(self, sender: str) -> None:
        assert mail.checked_sender("", is_needed=False)
        with pytest.raises(ImproperlyConfigured, match="DEFAULT_FROM_EMAIL"):
            mail.checked_sender(sender, is_needed=True)

    @pytest.mark.parametrize(
        "site", ["budgets.example.com", "https://", "https://x/path", "https://a@x", "ftp://x"]
    )
    def test_a_site_that_no_link_leads_to_is_refused(self, site: str) -> None:
        with pytest.raises(ImproperlyConfigured, match="SITE_URL"):
            mail.checked_site(site)
