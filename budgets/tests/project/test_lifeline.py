"""A child that ends with its parent."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from budgets.tests.children import ON_LINUX, environment, evict, inhabitants, python, until_deserted
from django_celery_budget import lifeline

PARENT = """
import signal, subprocess, sys
from django_celery_budget import lifeline
child = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
tie = lifeline.tied_to_this_process(signal.Signals[sys.argv[1]])
process = subprocess.Popen(child, preexec_fn=tie, start_new_session=True)
process.wait()
"""


@pytest.fixture
def parent(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Start a process that has started a child, which has said so."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, request.param],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    evict(tmp_path)
    process.communicate()


@ON_LINUX
@pytest.mark.parametrize("parent", ["SIGTERM", "SIGKILL"], indirect=True)
def test_a_child_ends_when_its_parent_is_killed(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert len(inhabitants(tmp_path)) == 2

    parent.kill()

    parent.wait()
    until_deserted(tmp_path)


@ON_LINUX
def test_a_child_whose_parent_ended_before_it_was_tied_does_not_begin(tmp_path: Path) -> None:
    ended = python(
        "import os, signal\n"
        "from django_celery_budget import lifeline\n"
        "tie = lifeline.tied_to_this_process(signal.SIGTERM)\n"
        "if os.fork() == 0:  # somebody else's child from here on\n"
        "    if os.fork() == 0:\n"
        "        tie()\n"
        "        os._exit(0)\n"
        "    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]))\n",
        env=environment(tmp_path),
    )

    assert ended.stdout == "1\n", ended.stderr


@pytest.mark.skipif(sys.platform == "linux", reason="Linux can tie a child to its parent")
def test_where_no_tie_is_known_children_start_without() -> None:
    assert lifeline.tied_to_this_process(signal.SIGTERM) is None
