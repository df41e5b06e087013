"""The application as web servers import it, and what `make` starts beside the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from budgets.tests.children import environment, python

WSGI = """
from wsgiref.util import setup_testing_defaults
from django_celery_budget.wsgi import application
asked = {"PATH_INFO": "/health/live", "HTTP_HOST": "localhost"}
setup_testing_defaults(asked)
answer = application(asked, lambda status, headers: print(status))
print(b"".join(answer).decode())
"""
ASGI = """
import asyncio
from asgiref.testing import ApplicationCommunicator
from django_celery_budget.asgi import application
asked = {"type": "http", "method": "GET", "path": "/health/live", "query_string": b""}
async def ask():
    server = ApplicationCommunicator(application, {**asked, "headers": [(b"host", b"localhost")]})
    await server.send_input({"type": "http.request"})
    print((await server.receive_output(10))["status"], "OK")
    print((await server.receive_output(10))["body"].decode())
asyncio.run(ask())
"""


@pytest.mark.parametrize("server", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_servers_of_either_kind_find_the_site(tmp_path: Path, server: str) -> None:
    env = environment(tmp_path)
    del env["DJANGO_SETTINGS_MODULE"]

    ended = python(server, env=env)

    assert ended.stdout == "200 OK\nok\n", ended.stderr


@pytest.mark.parametrize("name", ["chaos.__main__", "screenshots"])
def test_programs_of_the_tests_start_without_pytest(tmp_path: Path, name: str) -> None:
    env = environment(tmp_path)
    del env["DJANGO_SETTINGS_MODULE"]

    ended = python(f"import budgets.tests.{name}", env=env)

    assert ended.returncode == 0, ended.stderr
