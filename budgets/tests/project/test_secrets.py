"""Whatever goes right or wrong, and however much is logged: no secret is in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from budgets import tasks
from budgets.models import WebhookEndpoint
from budgets.services import signatures
from budgets.tests.builders import make_campaign, make_key, make_webhook
from budgets.tests.children import environment, manage
from budgets.tests.overhearing import Heard, overhearing
from budgets.tests.receiver import receiving
from budgets.tests.waiting import until
from django_celery_budget.celery import app

PASSWORD = "correct-horse-battery-staple"
TYPO = "correct-horse-battery-stable"
IN_URLS = "pass-word-of-a-server"


@pytest.fixture
def heard() -> Iterator[Heard]:
    with overhearing() as heard:
        yield heard


def api(client: Client, key: str, path: str, body: Any = None) -> Any:
    headers = {"authorization": f"Bearer {key}"}
    if body is None:
        return client.get(f"/api/v1/{path}", headers=headers)
    return client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)


@pytest.mark.django_db
class TestInThisProcess:
    def test_keys_of_the_api(self, client: Client, heard: Heard) -> None:
        key = make_key(scopes=["read"])
        wrong = f"{key[:-4]}AAAA"

        assert api(client, key, "campaigns").status_code == 200
        assert api(client, key, "campaigns/0").status_code == 404
        assert api(client, key, "spend", {}).status_code in {403, 422}
        assert api(client, wrong, "campaigns").status_code == 401
        assert client.get(f"/api/v1/campaigns?key={key}").status_code == 401

        assert "Unauthorized: /api/v1/campaigns" in heard.getvalue()
        assert key not in heard.getvalue()
        assert wrong not in heard.getvalue()

    def test_secrets_of_webhooks(self, client: Client, heard: Heard, settings: Any) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        key = make_key(scopes=["manage"])
        with receiving() as receiver:
            made = api(
                client, key, "webhooks", {"url": receiver.url, "events": ["campaign.resumed"]}
            )
            assert made.status_code == 201, made.text
            make_webhook("http://127.0.0.1:1/nobody")
            make_campaign()
            tasks.check_and_pause_campaigns()
            tasks.deliver_webhooks()
            assert len(receiver.messages) == 1

        text = heard.getvalue()
        assert made.json()["secret"] not in text
        for endpoint in WebhookEndpoint.objects.all():
            assert signatures.shown(endpoint.sealed_secret) not in text

    def test_passwords_of_people(self, client: Client, heard: Heard) -> None:
        User.objects.create_superuser("ana", password=PASSWORD)

        for password in (TYPO, PASSWORD):
            client.post("/admin/login/", {"username": "ana", "password": password})
        client.post("/admin/password_change/", {"old_password": TYPO})

        assert client.session["_auth_user_id"]
        assert PASSWORD not in heard.getvalue()
        assert TYPO not in heard.getvalue()
        assert str(client.session.session_key) not in heard.getvalue()

    def test_the_token_of_metrics(self, client: Client, heard: Heard, settings: Any) -> None:
        settings.METRICS_TOKEN = "scrape-token-0123456789"

        assert client.get("/metrics", headers={"authorization": "Bearer no"}).status_code == 401

        assert "/metrics" in heard.getvalue()
        assert settings.METRICS_TOKEN not in heard.getvalue()

    def test_the_password_of_a_broker_that_is_gone(
        self, client: Client, heard: Heard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(app.conf, "broker_url", f"redis://:{IN_URLS}@127.0.0.1:1/0")
        app.close()

        client.get("/health/")

        assert "the broker does not answer" in heard.getvalue()
        assert IN_URLS not in heard.getvalue()


class TestInProcessesThatFail:
    @pytest.mark.parametrize(
        "url",
        [
            f"postgres://budgets:{IN_URLS}@127.0.0.1:1/budgets",
            f"postgres://budgets:{IN_URLS}@[127.0.0.1:5432/budgets",
            f"mysql://budgets:{IN_URLS}@127.0.0.1/budgets",
        ],
    )
    def test_the_password_of_a_database(self, tmp_path: Path, url: str) -> None:
        ended = manage("migrate", env=environment(tmp_path, DATABASE_URL=url, LOG_FORMAT="json"))

        assert ended.returncode != 0
        assert IN_URLS not in ended.stdout + ended.stderr

    @pytest.mark.slow
    def test_the_password_of_a_broker(self, tmp_path: Path) -> None:
        env = environment(tmp_path, REDIS_URL=f"redis://:{IN_URLS}@127.0.0.1:1/0")
        command = ["-m", "celery", "-A", "django_celery_budget", "worker", "-l", "debug"]
        output = tmp_path / "output"
        with output.open("w") as file:
            worker = subprocess.Popen(
                [sys.executable, *command], env=env, stdout=file, stderr=subprocess.STDOUT
            )
            try:
                until(lambda: "Cannot connect to" in output.read_text(), output.read_text)
            finally:
                worker.kill()
                worker.wait()

        assert "127.0.0.1:1" in output.read_text()
        assert IN_URLS not in output.read_text()
