"""gunicorn listens where HOST and PORT say, and writes our log."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from budgets.tests.children import environment, python

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
