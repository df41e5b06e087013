"""The trial's own tools, without servers: what it proves is worth no more than they are."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from budgets.tests.chaos import __main__, servers
from budgets.tests.chaos.clients import Journal
from budgets.tests.chaos.clock import START, Clock
from budgets.tests.chaos.faults import GAPS, WEIGHTS, schedule
from budgets.tests.chaos.findings import SHOWN, Findings
from budgets.tests.chaos.servers import Line


def test_a_seed_brings_the_same_faults_again() -> None:
    faults = schedule(Random("7 faults"), 240)

    assert faults == schedule(Random("7 faults"), 240)
    assert faults != schedule(Random("8 faults"), 240)
    assert 240 / GAPS[1] - 1 < len(faults) < 240 / GAPS[0]


def test_a_long_trial_has_every_kind_of_fault() -> None:
    assert {fault.kind for fault in schedule(Random("1 faults"), 1200)} == WEIGHTS.keys()


def test_two_processes_read_one_clock(tmp_path: Path) -> None:
    ours, theirs = Clock(tmp_path / "clock"), Clock(tmp_path / "clock")

    ours.set_to(START)
    ours.jump(timedelta(hours=7))

    assert timedelta(0) <= theirs.now() - (START + timedelta(hours=7)) < timedelta(minutes=1)
    assert theirs.now() != datetime.now(UTC)


@pytest.fixture
def echo() -> Iterator[int]:
    """Yield the port of a server that answers with what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve(one: socket.socket) -> None:
            with one:
                while said := one.recv(100):
                    one.sendall(said)

        def welcome() -> None:
            while True:
                try:
                    one, _ = door.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(one,), daemon=True).start()

        threading.Thread(target=welcome, daemon=True).start()
        yield door.getsockname()[1]


def ask(connection: socket.socket) -> bytes:
    connection.sendall(b"ping")
    return connection.recv(100)


def test_a_frozen_line_is_silent_and_does_not_hang_up_and_a_new_one_works(echo: int) -> None:
    with closing(Line(echo)) as line:
        before = socket.create_connection(("127.0.0.1", line.port), timeout=0.5)
        with before:
            assert ask(before) == b"ping"

            line.freeze()

            with pytest.raises(TimeoutError):
                ask(before)
            with socket.create_connection(("127.0.0.1", line.port), timeout=5) as after:
                assert ask(after) == b"ping"


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    Journal(tmp_path / "a").write([{"id": "1"}, {"id": "2"}])
    Journal(tmp_path / "a").write([{"acknowledged": ["1"]}])

    assert Journal(tmp_path / "a").read() == [{"id": "1"}, {"id": "2"}, {"acknowledged": ["1"]}]


def test_violations_are_counted_and_the_first_are_told() -> None:
    findings = Findings()
    for number in range(SHOWN + 2):
        findings.violate("I1", f"total {number}")
        findings.violate("I1", "total 0")

    assert findings.broken == {"I1"}
    assert f"VIOLATED I1, {SHOWN + 2} times:" in findings.lines()
    assert len(findings.lines()) == 1 + SHOWN


def test_a_machine_without_servers_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers, "POSTGRESQL_HOME", tmp_path)
    monkeypatch.setattr("sys.argv", ["chaos"])

    assert __main__.main() == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("NOT RUN, the chaos trial: no PostgreSQL server")
