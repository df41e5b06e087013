"""gunicorn listens where HOST and PORT say, and writes our log."""

from __future__ import annotations

import contextlib
import json
import runpy
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from budgets.tests.children import environment, manage, python
from budgets.tests.e2e.test_up import free_port
from budgets.tests.waiting import until

MODULE = "django_celery_budget.web_server"


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    def read(**variables: str) -> dict[str, Any]:
        for name in ("HOST", "PORT"):
            monkeypatch.setenv(name, variables.get(name, ""))
        return runpy.run_module(MODULE)

    return read


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "127.0.0.1:8000"),
        ({"PORT": "8123"}, "127.0.0.1:8123"),
        ({"HOST": "192.0.2.1", "PORT": "80"}, "192.0.2.1:80"),
        ({"HOST": "::1"}, "[::1]:8000"),
    ],
)
def test_it_listens_where_it_is_told(
    settings_of: Any, variables: dict[str, str], address: str
) -> None:
    assert settings_of(**variables)["bind"] == address


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")
def test_gunicorn_takes_the_settings_and_an_option_wins(tmp_path: Path) -> None:
    ended = python(
        "import sys\n"
        "from gunicorn.app.wsgiapp import run\n"
        f"sys.argv = ['gunicorn', '-c', 'python:{MODULE}', '--threads=7', '--print-config']\n"
        "run()",
        env=environment(tmp_path, PORT="8124"),
    )

    assert ended.returncode == 0, ended.stderr
    settings = dict(line.split("= ", 1) for line in ended.stdout.splitlines() if "= " in line)
    found = {name.strip(): value for name, value in settings.items()}
    assert found["bind"] == "['127.0.0.1:8124']"
    assert found["threads"] == "7"
    assert found["wsgi_app"] == "django_celery_budget.wsgi"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")
def test_every_process_tells_what_all_of_them_counted(tmp_path: Path) -> None:
    port, token = free_port(), "scrape-token-0123456789"
    spool = tmp_path / "spool"
    spool.mkdir()
    variables = {"PORT": str(port), "METRICS_TOKEN": token, "TMPDIR": str(spool)}
    env = environment(tmp_path, **variables)
    assert manage("migrate", "-v0", env=env).returncode == 0
    key = manage("create_api_key", "ads", "--scope", "spend:write", env=env).stdout.strip()
    serve = ["-m", "gunicorn", "-c", f"python:{MODULE}", "--workers", "2"]

    def ask(path: str, secret: str, body: bytes | None = None) -> str:
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        # Each on a connection of its own, which any of the processes may take.
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)  # ours
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return str(answer.read().decode())

    def both_answered() -> bool:
        with contextlib.suppress(OSError):
            ask("/health/live", "")
        return len(list(spool.rglob("counter_*.db"))) == 2  # of each process its own

    event = {"id": "1", "campaign": 1, "amount": "1", "date": "2026-01-31"}
    batch = json.dumps({"source": "ads", "events": [event]}).encode()
    with subprocess.Popen([sys.executable, *serve], env=env) as web:
        try:
            until(both_answered)
            for _ in range(12):
                ask("/api/v1/spend", key, batch)
            told = [ask("/metrics", token) for _ in range(8)]
        finally:
            web.terminate()

    for text in told:
        assert 'budget_guardian_spend_events_total{outcome="rejected"} 12.0' in text
    assert list(spool.glob("budget-guardian-metrics-*")) == []
