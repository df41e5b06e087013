"""Everything a newcomer needs, in one process group."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connections
from django.utils import timezone

from budgets.management.processes import Log, Part, Supervisor
from budgets.services import passes
from django_celery_budget import broker, env

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]
CELERY = [sys.executable, "-m", "celery", "-A", "django_celery_budget"]


class Command(BaseCommand):
    """Starts database, broker, web, worker and beat together; Ctrl-C stops them."""

    help = (
        "Prepares the database, then runs web, worker, beat and, when REDIS_URL is not set, a "
        "private broker, in one log. Ctrl-C stops all of it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Each option has an environment variable, which `make run` passes on."""
        parser.add_argument("--host", help="Address to listen on (HOST; default 127.0.0.1).")
        parser.add_argument("--port", help="Port to listen on (PORT; default 8000).")
        parser.add_argument(
            "--no-demo", action="store_true", help="Start empty, without demo data (DEMO=0)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until asked to stop."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A frame or a name that the terminal cannot show is no reason to stop.
            sys.stdout.reconfigure(errors="replace")
        os.environ["HOST"] = options["host"] or env.text("HOST", "127.0.0.1")
        if options["port"]:
            os.environ["PORT"] = options["port"]
        try:
            port = env.integer("PORT", 8000, at_least=1, at_most=65_535)
            demo = not options["no_demo"] and env.boolean("DEMO", default=True)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        host = os.environ["HOST"]
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        with only_one(settings.DATA_DIR):
            refuse_taken_port(host, port)
            try:
                self.run(host, port, demo=demo)
            except KeyboardInterrupt:
                self.say("Stopped before everything was up.")

    def run(self, host: str, port: int, *, demo: bool) -> None:
        """Prepare, start, watch, stop."""
        self.say("Preparing the database …")
        call_command("migrate", verbosity=0, interactive=False)
        sign_in = first_administrator()
        supervisor = Supervisor(Log(sys.stdout), child_environment(port))
        try:
            if not settings.REDIS_URL:
                self.say("Starting the embedded broker …")
                start_broker(supervisor)
            self.say("Starting the web server …")
            supervisor.start(web(host, port))
            if demo:
                self.say("Loading the demo, if the database is empty …")
                call_command("seed_demo", if_empty=True, stdout=self.stdout)
            # So that health is green before beat's first tick, a minute from now.
            call_command("enforce_budgets", stdout=self.stdout)
            passes.reset(timezone.now())
            connections.close_all()
            for part in background(demo=demo):
                supervisor.start(part)
            wait_for_port(host, port)
            self.say(box(f"Open     http://{shown(host)}:{port}/", *sign_in, "Stop     Ctrl-C"))
            supervisor.run()
            self.say("Stopping …")
        finally:
            supervisor.stop()
        self.say("Stopped.")

    def say(self, text: str) -> None:
        """Print at once, also into a pipe."""
        self.stdout.write(text)
        self.stdout.flush()


def child_environment(port: int) -> dict[str, str]:
    """Return the children's environment: the same port, the same broker, no buffered lines."""
    environment = {**os.environ, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    if not settings.REDIS_URL:
        # Named, so that no child starts a broker of its own while ours is being restarted.
        environment["REDIS_URL"] = broker.embedded_url(settings.DATA_DIR)
        environment.pop("REDIS_URL_FILE", None)
    return environment


def start_broker(supervisor: Supervisor) -> None:
    """Start the broker, first to come and last to go, and wait until it answers."""
    data = settings.DATA_DIR
    try:
        with broker.starting_alone(data):
            if broker.is_answering(data):
                raise CommandError(
                    "A worker or beat that was started by hand runs the broker of this data "
                    "directory: stop it first, or set REDIS_URL."
                )
            command = broker.command(data)
            supervisor.start(
                Part(name="broker", command=command, patience=10, serves_the_others=True)
            )
            deadline = time.monotonic() + broker.START_SECONDS
            while not broker.is_answering(data):
                if time.monotonic() > deadline:
                    raise CommandError("The embedded broker does not answer; its log is above.")
                time.sleep(0.02)
    except broker.BrokerUnavailable as error:
        raise CommandError(str(error)) from error


def web(host: str, port: int) -> Part:
    """Return the web server: gunicorn, and Django's own where gunicorn cannot run."""
    command = [sys.executable, "-m", "gunicorn", "-c", "python:django_celery_budget.web_server"]
    if sys.platform == "win32":
        command = [*MANAGE, "runserver", "--noreload", f"{host}:{port}"]
    return Part(name="web", command=command, patience=8)


def background(*, demo: bool) -> Iterator[Part]:
    """Yield what works behind the pages."""
    # Only one worker talks to this broker: nobody to mingle or gossip with at start.
    worker = ["worker", "-l", "info", "--without-mingle", "--without-gossip"]
    if sys.platform == "win32":
        worker += ["--pool", "solo"]
    yield Part(
        name="worker",
        command=[*CELERY, *worker],
        patience=settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT + 5,
    )
    # No pid file: a stale one, left by a power cut, keeps beat from starting.
    yield Part(name="beat", command=[*CELERY, "beat", "-l", "info", "--pidfile="], patience=8)
    if demo:
        yield Part(
            name="platform", command=[*MANAGE, "simulate_platform"], patience=5, may_finish=True
        )


def first_administrator() -> list[str]:
    """Return the lines that say how to sign in, creating the administrator when there is none."""
    users = get_user_model()._default_manager
    known = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if known is not None:
        name = known.get_username()
        return [
            f"Sign in  as {name}, with the password shown on first start",
            f"         (a new one: manage.py changepassword {name})",
        ]
    # 96 bits, never a fixed one: a demo left on a public address must not be open to all.
    password = secrets.token_urlsafe(12)
    get_user_model().objects.create_superuser("admin", "", password)
    return ["Sign in  as admin", f"Password {password}   (shown this once)"]


def box(*lines: str) -> str:
    """Return the lines in a frame that stands out of a log."""
    width = max(map(len, lines))
    rule = "─" * (width + 4)
    body = "\n".join(f"│  {line:<{width}}  │" for line in lines)
    return f"\n┌{rule}┐\n{body}\n└{rule}┘\n"


def shown(host: str) -> str:
    """Return the host as one types it into a browser."""
    if host in ("0.0.0.0", "::", "127.0.0.1", ""):  # noqa: S104  # compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def refuse_taken_port(host: str, port: int) -> None:
    """Say that the port is taken before anything starts."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Choose another "
            f"with PORT: `make run PORT={port + 1}`, or `manage.py up --port {port + 1}`."
        ) from error


def wait_for_port(host: str, port: int) -> None:
    """Return when the web server listens; its log says why when it does not within 15 s."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((name, port), timeout=1):
            return
        time.sleep(0.05)


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Refuse a second `up` on the same data: two beats would do everything twice."""
    with (data_dir / "up.lock").open("a") as lock:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CommandError(
                f"Another `up` is running on {data_dir}. Stop it first, or give this one a data "
                "directory of its own with BUDGETS_DATA_DIR."
            ) from error
        yield
