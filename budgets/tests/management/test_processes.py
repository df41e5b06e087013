"""Several processes as one: their log, their restarts and their end."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from budgets.management import processes
from budgets.management.processes import Log, Part, StopAsked, Supervisor
from budgets.tests.children import ON_LINUX, environment, evict, inhabitants, until_deserted
from budgets.tests.waiting import until

# Says that it runs, and goes on until it is asked to end.
WAIT = "import signal; print('ready', flush=True); signal.pause()"
# Takes no notice of being asked.
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, lambda *_: None)
print('ready', flush=True)
while True:
    signal.pause()
"""
# Does something of its own when it is asked; `%s` is indented by four.
WHEN_ASKED = """
import pathlib, signal, time
def end(*_):
    %s
    raise SystemExit
signal.signal(signal.SIGTERM, end)
print('ready', flush=True)
signal.pause()
"""


def part(
    name: str,
    code: str,
    *,
    patience: float = 30,
    may_finish: bool = False,
    serves_the_others: bool = False,
) -> Part:
    """Return a part that runs this Python."""
    return Part(
        name=name,
        command=[sys.executable, "-c", code],
        patience=patience,
        may_finish=may_finish,
        serves_the_others=serves_the_others,
    )


class Group:
    """A supervisor with a log that a test reads while it runs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.output = io.StringIO()
        self.supervisor = Supervisor(Log(self.output), environment(home))

    def said(self) -> str:
        return self.output.getvalue()

    def lines(self, name: str) -> list[str]:
        """Return what this part said."""
        said = (line.partition("| ") for line in self.said().splitlines())
        return [words for speaker, _, words in said if speaker.strip() == name]

    def until_said(self, words: str, times: int = 1) -> None:
        until(lambda: self.said().count(words) >= times, self.said)

    def run(self, *parts: Part, meanwhile: Callable[[], object]) -> None:
        """Keep the parts alive until `meanwhile` has come to its end; do not stop them."""
        for one in parts:
            self.supervisor.start(one)
        self._beside(self.supervisor.run, meanwhile)

    def stop(self, meanwhile: Callable[[], object] | None = None) -> None:
        """Stop the parts; where `meanwhile` is given, ask again when it has come to its end."""
        if meanwhile is None:
            self.supervisor.stop()
        else:
            self._beside(self.supervisor.stop, meanwhile)

    def is_listening(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self.supervisor._on_signal

    def _beside(self, job: Callable[[], None], meanwhile: Callable[[], object]) -> None:
        def then_ask() -> None:
            until(self.is_listening)
            try:
                meanwhile()
            finally:
                os.kill(os.getpid(), signal.SIGINT)

        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(then_ask)
            job()
            asked.result()


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    """Return a group; Ctrl-C that comes late does not end the tests."""
    before = {
        name: signal.signal(name, lambda *_: None) for name in (signal.SIGINT, signal.SIGTERM)
    }
    found = Group(tmp_path)
    yield found
    evict(tmp_path)
    found.supervisor.stop()
    for name, handler in before.items():
        signal.signal(name, handler)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestLog:
    def test_each_line_says_who_speaks(self) -> None:
        output = io.StringIO()
        log = Log(output)

        log.write("web", "listening\n")
        log.write("platform", "6 reports\r\n")

        assert output.getvalue() == "web      | listening\nplatform | 6 reports\n"

    def test_on_a_terminal_each_speaker_has_a_colour(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NO_COLOR", raising=False)
        output = Terminal()
        log = Log(output)

        for name in ("web", "beat", "web"):
            log.write(name, "words")

        first, second, third = output.getvalue().splitlines()
        assert first == third == "\x1b[36mweb      |\x1b[0m words"
        assert second == "\x1b[32mbeat     |\x1b[0m words"

    def test_colours_can_be_declined(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        output = Terminal()

        Log(output).write("web", "words")

        assert output.getvalue() == "web      | words\n"

    def test_a_reader_who_is_gone_is_no_reason_to_stop(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        output = os.fdopen(writing, "w", buffering=1)
        log = Log(output)

        log.write("web", "to nobody")
        log.write("web", "again")

        with pytest.raises(BrokenPipeError):
            output.close()

    def test_a_part_cannot_speak_for_another(self, group: Group) -> None:
        forged = "print('fine\\rweb      | forged\\nup       | forged', flush=True)"

        group.run(
            part("platform", f"{forged}; {WAIT}"), meanwhile=lambda: group.until_said("ready")
        )

        assert group.lines("platform") == [
            "fine",
            "web      | forged",
            "up       | forged",
            "ready",
        ]
        assert group.lines("web") == group.lines("up") == []

    def test_bytes_that_are_no_text_do_not_silence_a_part(self, group: Group) -> None:
        strange = "import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush()"

        group.run(part("web", f"{strange}; {WAIT}"), meanwhile=lambda: group.until_said("ready"))

        assert group.lines("web") == ["\ufffd\ufffd", "ready"]

    def test_the_last_words_of_a_part_are_heard(
        self, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A terminal slower than the part that ends.
        monkeypatch.setattr(group.output, "flush", lambda: threading.Event().wait(0.01))
        talkative = WHEN_ASKED % "[print('words', n) for n in range(30)]; exit('the reason')"

        group.run(part("worker", talkative), meanwhile=lambda: group.until_said("ready"))
        group.stop()

        assert group.lines("worker")[-2:] == ["words 29", "the reason"]


class TestRestarts:
    def test_a_part_that_dies_is_started_again_after_growing_waits(self, group: Group) -> None:
        mortal = part("beat", "print('born'); raise SystemExit(3)")

        group.run(mortal, meanwhile=lambda: group.until_said("again in 2 s"))
        group.stop()

        assert group.lines("up") == [
            "beat ended with 3; starting it again in 1 s",
            "beat ended with 3; starting it again in 2 s",
        ]
        assert group.lines("beat") == ["born", "born"]

    def test_no_wait_is_longer_than_the_longest(
        self, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "LONGEST_WAIT", 0.01)
        mortal = part("beat", "raise SystemExit(3)")

        group.run(mortal, meanwhile=lambda: group.until_said("beat ended with 3", times=4))

        assert set(group.lines("up")) == {"beat ended with 3; starting it again in 0 s"}

    def test_a_part_that_died_all_night_is_started_again_all_the_same(self, group: Group) -> None:
        group.supervisor._failures["beat"] = 1024

        group.run(
            part("beat", "raise SystemExit(3)"), meanwhile=lambda: group.until_said("again in 30 s")
        )

    def test_a_part_that_was_well_for_long_is_forgiven_its_past(
        self, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "HEALTHY_AFTER", 0.0)
        mortal = part("beat", "raise SystemExit(3)")

        group.run(mortal, meanwhile=lambda: group.until_said("beat ended", times=2))

        assert set(group.lines("up")) == {"beat ended with 3; starting it again in 1 s"}

    def test_a_part_that_was_killed_is_started_again(self, group: Group) -> None:
        mortal = part("worker", "import os; os.kill(os.getpid(), 9)")

        group.run(mortal, meanwhile=lambda: group.until_said("again in"))

        assert group.lines("up") == ["worker was killed by SIGKILL; starting it again in 1 s"]

    def test_the_others_go_on_meanwhile(self, group: Group) -> None:
        def meanwhile() -> None:
            group.until_said("ready", times=2)
            group.until_said("again in 2 s")

        parts = [part(name, WAIT) for name in ("web", "worker")]
        group.run(part("beat", "raise SystemExit(3)"), *parts, meanwhile=meanwhile)

        assert group.lines("web") == group.lines("worker") == ["ready"]

    def test_a_part_that_may_finish_is_left_alone_when_it_has(self, group: Group) -> None:
        # Whatever is started again is started again after a second.
        finishing = part("platform", "print('nothing to do')", may_finish=True)
        ending = part("beat", "print('nothing to do')")

        group.run(finishing, ending, meanwhile=lambda: group.until_said("again in 2 s"))

        assert group.lines("platform") == ["nothing to do"]
        assert group.lines("beat") == ["nothing to do"] * 2

    def test_a_part_that_may_finish_but_fails_is_started_again(self, group: Group) -> None:
        failing = part("platform", "raise SystemExit(1)", may_finish=True)

        group.run(failing, meanwhile=lambda: group.until_said("again in 1 s"))

        assert group.lines("up") == ["platform ended with 1; starting it again in 1 s"]

    @ON_LINUX
    def test_a_grandchild_that_lives_on_does_not_hide_an_end(
        self, group: Group, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "LAST_WORDS", 0.1)
        leaving = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WAIT!r}])"

        group.run(
            part("web", f"{leaving}; raise SystemExit(3)"),
            meanwhile=lambda: group.until_said("web ended with 3"),
        )

        assert inhabitants(group.home)


class TestEnd:
    @pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
    def test_ctrl_c_and_sigterm_ask_to_stop_and_are_given_back(
        self, group: Group, name: str
    ) -> None:
        asked = signal.Signals[name]
        before = signal.getsignal(asked)

        group.run(part("web", WAIT), meanwhile=lambda: os.kill(os.getpid(), asked))

        assert signal.getsignal(asked) is before

    @ON_LINUX  # Elsewhere Python forks in a way that calls nobody.
    def test_ctrl_c_while_a_part_is_started_is_heard(self, group: Group) -> None:
        to_come = [signal.SIGINT]

        def press_once() -> None:
            while to_come:
                signal.raise_signal(to_come.pop())

        os.register_at_fork(after_in_parent=press_once)
        signal.signal(signal.SIGINT, signal.default_int_handler)

        group.supervisor.start(part("web", WAIT))

        assert to_come == []
        assert group.supervisor._next_event() == StopAsked()
        group.stop()
        assert group.lines("up") == []

    def test_a_signal_that_another_thread_takes_is_heard(self, group: Group) -> None:
        def ask_this_thread() -> None:
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            until(lambda: not group.is_listening())

        group.run(part("web", WAIT), meanwhile=ask_this_thread)

    def test_clients_have_ended_before_what_serves_them_is_asked(self, group: Group) -> None:
        ended = f"pathlib.Path({str(group.home / 'ended')!r})"
        # The client finishes what it does.
        client = part("worker", WHEN_ASKED % f"time.sleep(0.3); {ended}.touch()")
        server = part(
            "broker",
            WHEN_ASKED % f"print('client has ended:', {ended}.exists())",
            serves_the_others=True,
        )

        group.run(server, client, meanwhile=lambda: group.until_said("ready", times=2))
        group.stop()

        assert group.lines("broker") == ["ready", "client has ended: True"]

    def test_clients_are_asked_together(self, group: Group) -> None:
        def client(name: str, other: str) -> Part:
            """Return a part that ends when the other one was asked, too."""
            own_mark, other_mark = (
                f"pathlib.Path({str(group.home / whose)!r})" for whose in (name, other)
            )
            asked = f"{own_mark}.touch()\n    while not {other_mark}.exists(): time.sleep(0.01)"
            return part(name, WHEN_ASKED % asked)

        group.run(
            client("web", "worker"),
            client("worker", "web"),
            meanwhile=lambda: group.until_said("ready", times=2),
        )
        group.stop()

        assert group.lines("up") == []

    def test_a_part_that_does_not_end_in_time_is_killed(self, group: Group) -> None:
        stubborn = part("worker", STUBBORN, patience=0.1)

        group.run(stubborn, part("web", WAIT), meanwhile=lambda: group.until_said("ready", 2))
        group.stop()

        assert group.lines("up") == ["worker did not end in time; killing it"]

    @ON_LINUX
    def test_the_children_of_a_part_that_is_killed_are_killed_with_it(self, group: Group) -> None:
        child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])"

        group.run(
            part("worker", child + STUBBORN, patience=0.1),
            meanwhile=lambda: group.until_said("ready", times=2),
        )
        assert len(inhabitants(group.home)) == 2
        group.stop()

        until_deserted(group.home)

    def test_a_second_ctrl_c_kills_what_is_left(self, group: Group) -> None:
        group.run(part("worker", STUBBORN), meanwhile=lambda: group.until_said("ready"))

        group.stop(meanwhile=lambda: None)

        assert group.lines("up") == ["killing what has not ended yet"]


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (40, "signal 40")])
def test_every_signal_has_a_name(number: int, name: str) -> None:
    assert processes.signal_name(number) == name
