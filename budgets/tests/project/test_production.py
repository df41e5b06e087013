"""What a browser, a probe and a stranger are answered in production: over a socket, by gunicorn."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest

from budgets.tests.children import environment, manage
from budgets.tests.e2e.test_up import free_port
from budgets.tests.waiting import PATIENCE, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows"),
]

HOST = "budgets.example.com"
SECURE = {"X-Forwarded-Proto": "https"}
"""What the proxy says that ends TLS in front of us."""
TOKEN = "scrape-token-0123456789"
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Message
    text: str

    @property
    def cookies(self) -> SimpleCookie:
        cookies = SimpleCookie()
        for header in self.headers.get_all("Set-Cookie", []):
            cookies.load(header)
        return cookies


class Site:
    """The product in production, behind a proxy that ends TLS."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self,
        path: str,
        headers: dict[str, str] = SECURE,
        *,
        host: str = HOST,
        form: dict[str, str] | None = None,
    ) -> Answer:
        """Ask, over plain HTTP unless `SECURE` is among the headers."""
        body = None if form is None else urlencode(form)
        kind = {} if form is None else {"Content-Type": "application/x-www-form-urlencoded"}
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            method = "GET" if form is None else "POST"
            connection.request(method, path, body, {"Host": host, **kind, **headers})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())

    def is_up(self) -> bool:
        try:
            return self.ask("/health/live").status == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home: Path = tmp_path_factory.mktemp("production")
    port = free_port()
    env = environment(
        home,
        DJANGO_ENV="production",
        SECRET_KEY="0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        ALLOWED_HOSTS=HOST,
        BEHIND_TLS_PROXY="yes",
        METRICS_TOKEN=TOKEN,
        PORT=str(port),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    assert manage("migrate", "-v0", env=env).returncode == 0
    who = ("--username=ana", "--email=ana@example.com", "--noinput")
    assert manage("createsuperuser", *who, env=env).returncode == 0
    serve = ["-m", "gunicorn", "-c", "python:django_celery_budget.web_server", "--workers", "1"]
    with subprocess.Popen([sys.executable, *serve], env=env) as web:
        site = Site(port)
        try:
            until(site.is_up)
            yield site
        finally:
            web.terminate()


def test_plain_http_is_led_to_https(site: Site) -> None:
    for path in ("/", "/admin/login/", "/api/v1/spend", "/brands/1/?day=2026-01-31"):
        answer = site.ask(path, {})

        assert (answer.status, answer.headers["Location"]) == (301, f"https://{HOST}{path}")
        assert not answer.cookies


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/login/", 200),
        ("/", 302),
        ("/health/", 503),
        ("/api/v1/campaigns", 401),
        ("/no", 404),
    ],
)
def test_every_answer_tells_browsers_to_be_careful(site: Site, path: str, status: int) -> None:
    answer = site.ask(path)

    assert answer.status == status
    hsts = answer.headers["Strict-Transport-Security"]
    assert hsts == "max-age=31536000; includeSubDomains; preload"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert ("unsafe" in policy) == path.startswith("/admin/")


def test_who_signs_in_gets_a_cookie_that_travels_with_https_and_no_script_reads(
    site: Site,
) -> None:
    page = site.ask("/admin/login/")
    [token] = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text))
    form_cookie = page.cookies["csrftoken"]
    sent = {
        **SECURE,
        "Cookie": f"csrftoken={form_cookie.value}",
        "Referer": f"https://{HOST}/admin/login/",
    }
    form = {"username": "ana", "password": PASSWORD, "csrfmiddlewaretoken": token}

    answer = site.ask("/admin/login/", sent, form=form)

    assert answer.status == 302
    session = answer.cookies["sessionid"]
    assert (session["secure"], session["httponly"], session["samesite"]) == (True, True, "Lax")
    assert (form_cookie["secure"], form_cookie["samesite"]) == (True, "Lax")
    inside = {**SECURE, "Cookie": f"sessionid={session.value}"}
    assert site.ask("/", inside).status == 200
    # The same from another site, or sent in the clear, opens nothing.
    elsewhere = {**sent, "Referer": "https://evil.example/"}
    assert site.ask("/admin/login/", elsewhere, form=form).status == 403
    assert site.ask("/", {"Cookie": inside["Cookie"]}).status == 301


def test_probes_are_answered_over_plain_http(site: Site) -> None:
    assert site.ask("/health/live", {}).status == 200
    # No pass has run yet.
    health = site.ask("/health/?format=json", {})
    assert (health.status, health.text) == (503, '{"status": "degraded"}')


def test_metrics_want_their_token(site: Site) -> None:
    assert site.ask("/metrics", {}).status == 401
    assert site.ask("/metrics", {"Authorization": f"Bearer {TOKEN}x"}).status == 401
    assert site.ask("/metrics", {"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_another_host_is_refused(site: Site) -> None:
    assert site.ask("/admin/login/", host="evil.example").status == 400
    assert site.ask("/admin/login/", {}, host="evil.example").status == 400
