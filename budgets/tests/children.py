"""Processes of the product whose environment the test alone decides."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from budgets.tests.waiting import PATIENCE, until

OF_THE_MACHINE = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR")

ON_LINUX = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ends children with their parent and has /proc"
)


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """Return an environment in which no variable of the product is set but these."""
    kept = {name: os.environ[name] for name in OF_THE_MACHINE if name in os.environ}
    return {
        **kept,
        "BUDGETS_DATA_DIR": str(data_dir),
        "DJANGO_SETTINGS_MODULE": "django_celery_budget.settings",
        "PYTHONPATH": str(settings.BASE_DIR),
        "PYTHONUNBUFFERED": "1",
        **variables,
    }


def python(code: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever that is."""
    return _run("-c", code, *arguments, env=env)


def manage(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end, whatever that is."""
    return _run(str(settings.BASE_DIR / "manage.py"), *words, env=env)


def _run(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=2 * PATIENCE,
        check=False,
    )


def inhabitants(data_dir: Path) -> dict[int, str]:
    """Return the command lines of the living processes on this data directory, by pid.

    The broker writes its socket's path where its environment was.
    """
    setting, inside = f"BUDGETS_DATA_DIR={data_dir}".encode(), f"{data_dir}/".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        # It may end meanwhile, or be somebody else's.
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if setting in (process / "environ").read_bytes().split(b"\0") or inside in command:
                found[int(process.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def parent_of(pid: int) -> int:
    """Return the pid of the process that started this one, or took it over; 0: it has ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def until_deserted(data_dir: Path) -> None:
    """Return when no process is left on this data directory."""
    until(lambda: not inhabitants(data_dir), lambda: f"left: {inhabitants(data_dir)}")


def evict(data_dir: Path) -> None:
    """Kill what is left on this data directory: the end of a test, also of one that failed."""
    for pid in inhabitants(data_dir):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
