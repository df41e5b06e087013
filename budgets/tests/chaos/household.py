"""The product's processes, as the README's "In production" starts them, restarted when they end."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from budgets.tests.chaos.findings import Findings
from django_celery_budget import lifeline

BASE_DIR = Path(__file__).resolve().parents[3]
HOST = "budgets.example.com"
RESTART_AFTER = 0.5
"""Seconds until what ended is started again, as a service manager does."""
STOPPING = 60.0
"""Seconds to end on request: the README's."""

OF_THE_MACHINE = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR")


@dataclass
class Part:
    """A program that is kept running as long as it `is_wanted`."""

    name: str
    command: list[str]
    is_wanted: bool = True
    process: subprocess.Popen[bytes] | None = None
    was_killed: bool = False
    ended_at: float = 0.0

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.process is not None and self.process.poll() is None

    def children(self) -> list[int]:
        """Return the processes that it started."""
        if self.process is None:
            return []
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError):
            return [int(pid) for pid in listed.read_text().split()]
        return []


@dataclass
class Household:
    """The product on a database and a broker. Starting is the main thread's: see `lifeline`."""

    home: Path
    findings: Findings
    environment: dict[str, str]
    port: int
    parts: dict[str, Part] = field(default_factory=dict)

    @classmethod
    def on(
        cls, home: Path, findings: Findings, *, port: int, database: str, redis: str, bug: str
    ) -> Household:
        """Describe one; nothing runs yet."""
        environment = {
            **{name: os.environ[name] for name in OF_THE_MACHINE if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "budgets.tests.chaos.settings",
            "PYTHONPATH": str(BASE_DIR),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_ENV": "production",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "ALLOWED_HOSTS": HOST,
            "BEHIND_TLS_PROXY": "yes",
            "BUDGETS_DATA_DIR": str(home / "data"),
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "WEBHOOK_ALLOWED_PRIVATE_HOSTS": "127.0.0.1",
            # Else the deliveries that a long trial counts at its end would be forgotten by then.
            "WEBHOOK_KEEP_DAYS": "3650",
            "CHAOS_CLOCK": str(home / "clock"),
            "CHAOS_BUG": bug,
        }
        celery = ["celery", "-A", "django_celery_budget"]
        web = ["gunicorn", "-c", "python:django_celery_budget.web_server", "--workers", "2"]
        commands = {
            "web": [*web, "--bind", f"127.0.0.1:{port}"],
            "worker 1": [*celery, "worker", "-l", "info", "-n", "one@%h"],
            "worker 2": [*celery, "worker", "-l", "info", "-n", "two@%h"],
            "beat": [*celery, "beat", "-l", "info", "--pidfile="],
        }
        parts = {name: Part(name, command) for name, command in commands.items()}
        return cls(home, findings, environment, port, parts)

    def manage(self, *words: str) -> str:
        """Run a management command to its end, and return what it printed."""
        done = subprocess.run(
            [sys.executable, str(BASE_DIR / "manage.py"), *words],
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {' '.join(words)}: {done.stdout}{done.stderr[-2000:]}")
        return done.stdout.strip()

    def start(self, part: Part) -> None:
        """Start one part."""
        with (self.home / f"{part.name.replace(' ', '')}.log").open("ab") as log:
            part.process = subprocess.Popen(
                [sys.executable, "-m", *part.command],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lifeline.tied_to_this_process(signal.SIGKILL),  # noqa: PLW1509  # one call
            )
        part.was_killed, part.ended_at = False, 0.0
        self.findings.count("process starts")

    def look_after(self) -> None:
        """Start what is wanted and does not run; what ended a moment ago waits a little."""
        for part in self.parts.values():
            if part.is_running or not part.is_wanted:
                continue
            if part.process is not None and not part.ended_at:
                part.ended_at = time.monotonic()
                if not part.was_killed:
                    self.findings.count(f"{part.name} ended by itself ({part.process.returncode})")
            if time.monotonic() - part.ended_at >= RESTART_AFTER:
                self.start(part)

    def kill(self, name: str, *, whole_group: bool = True) -> None:
        """Kill a part; a service manager clears away its children as well, a lone SIGKILL does not."""
        part = self.parts[name]
        if part.process is None or not part.is_running:
            return
        part.was_killed = True
        if whole_group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(part.process.pid, signal.SIGKILL)
        part.process.kill()
        part.process.wait()
        self.findings.count("kills")

    def stop(self, *names: str) -> None:
        """Ask parts to end, and see that they do."""
        parts = [self.parts[name] for name in names]
        for part in parts:
            part.is_wanted = False
            if part.process is not None and part.is_running:
                part.was_killed = True
                part.process.terminate()
        for part in parts:
            if part.process is None:
                continue
            try:
                part.process.wait(STOPPING)
            except subprocess.TimeoutExpired:
                self.findings.violate("stop", f"{part.name} did not end within {STOPPING:.0f} s")
                self.kill(part.name)

    def end(self) -> None:
        """Leave nothing behind."""
        for part in self.parts.values():
            part.is_wanted = False
            if part.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(part.process.pid, signal.SIGKILL)
                part.process.wait()
