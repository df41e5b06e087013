"""`POST /spend` as a stream: an event a line, of any length."""

from __future__ import annotations

import http.client
import io
import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.test import RequestFactory

from budgets.api import streams
from budgets.api.urls import urlpatterns
from budgets.models import Brand, Campaign, Spend
from budgets.tests.api.programs import ROOT, Answer, Program, event
from budgets.tests.builders import NOW, spend, state, totals
from budgets.tests.children import environment, manage, python
from budgets.tests.waiting import until


def lines(*events: object) -> bytes:
    return b"".join(json.dumps(it).encode() + b"\n" for it in events)


def statuses(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.content
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [line["status"] for line in answer.lines[:-1]]


def test_each_line_is_answered_in_its_order_and_the_last_one_sums_up(
    program: Program, tents: Campaign
) -> None:
    spend(tents, 5, external_id="before", date=NOW.date())

    answer = program.stream(
        lines(
            event(tents.pk, "1.5", id="new"),
            event(tents.pk, "5", id="before"),
            event(tents.pk, "6", id="before"),
            event(999, id="nowhere"),
            event(tents.pk, "100", id="crossing"),
        )
    )

    assert statuses(answer) == ["recorded", "duplicate", "conflict", "rejected", "recorded"]
    assert [line["id"] for line in answer.lines[:-1]] == [
        "new",
        "before",
        "before",
        "nowhere",
        "crossing",
    ]
    assert answer.lines[-1] == {
        "totals": {"recorded": 2, "duplicate": 1, "conflict": 1, "rejected": 1},
        "paused": [tents.pk],
        "resumed": [],
    }
    assert state(tents) == "brand_daily_budget"


MALFORMED = {
    "no json": (b"{", "malformed_json"),
    "not UTF-8": (b'{"id": "\xff"}', "malformed_json"),
    "NaN": (b'{"id": "1", "amount": NaN}', "malformed_json"),
    "beyond numbers": (b'{"amount": 1e99999999999999999999}', "malformed_json"),
    "a key twice": (b'{"id": "1", "id": "1"}', "malformed_json"),
    "deep": (b"[" * 60_000, "malformed_json"),
    "a list": (b"[]", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "a field missing": (b'{"id": "1", "campaign": 1}', "missing"),
    "a field unknown": (b'{"id": "1", "campaign": 1, "amount": "1", "a": 1}', "unknown_field"),
    "half a pair": (b'{"\\ud800": 1}', "invalid"),
    "NUL": (b"\x00", "malformed_json"),
    "70 kB": (b'{"id": "' + b"x" * 70_000 + b'"}', "too_large"),
    "200 kB": (b'{"id": "' + b"x" * 200_000 + b'"}', "too_large"),
}


@pytest.mark.parametrize(("line", "code"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_line_is_rejected_alone(
    program: Program, tents: Campaign, line: bytes, code: str
) -> None:
    body = lines(event(tents.pk, "1")) + line + b"\n" + lines(event(tents.pk, "2"))

    answer = program.stream(body)

    assert statuses(answer) == ["recorded", "rejected", "recorded"]
    assert answer.lines[1]["code"] == code
    assert answer.lines[1]["message"]
    assert totals(tents)[0] == 3


def test_a_line_may_be_as_long_as_it_says(program: Program, tents: Campaign) -> None:
    def padded(length: int) -> bytes:
        line = json.dumps(event(tents.pk, "1")).encode()
        return line + b" " * (length - len(line)) + b"\n"

    body = padded(streams.LONGEST_LINE) + padded(streams.LONGEST_LINE + 1)

    assert statuses(program.stream(body)) == ["recorded", "rejected"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n\r\n  \n"])
def test_empty_lines_are_no_events(program: Program, tents: Campaign, end: bytes) -> None:
    body = end + json.dumps(event(tents.pk)).encode() + end + json.dumps(event(tents.pk)).encode()
    assert statuses(program.stream(body)) == ["recorded", "recorded"]


@pytest.mark.parametrize("body", [b"", b"\n", b"  \r\n\n"])
def test_nothing_is_answered_with_totals_alone(
    program: Program, unchanged: Any, body: bytes
) -> None:
    unchanged()
    answer = program.stream(body)
    assert statuses(answer) == []
    assert answer.lines == [
        {
            "totals": {"recorded": 0, "duplicate": 0, "conflict": 0, "rejected": 0},
            "paused": [],
            "resumed": [],
        }
    ]


def test_a_cut_last_line_is_never_another_amount(program: Program, tents: Campaign) -> None:
    whole = json.dumps(event(tents.pk, 12.5)).encode()
    for end in range(1, len(whole)):
        assert statuses(program.stream(whole[:end])) == ["rejected"]
    assert Spend.objects.count() == 0


@pytest.mark.parametrize("cut", [1, 7, 64 * 1024])
def test_lines_may_be_cut_anywhere_on_their_way(
    tents: Campaign, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(streams, "CHUNK", cut)
    body = lines(*(event(tents.pk) for _ in range(20)))
    assert [json.loads(it) for it in streams._lines(io.BytesIO(body))] == [
        json.loads(it) for it in body.splitlines()
    ]


def test_it_is_recorded_batch_by_batch(
    program: Program, tents: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BATCH", 2)
    body = lines(
        event(tents.pk, "100"),
        event(tents.pk, "1"),
        "",
        event(tents.pk, "-50"),
        event(tents.pk, "1"),
    )

    answer = program.stream(body)

    assert statuses(answer) == ["recorded", "recorded", "rejected", "recorded", "recorded"]
    # The first batch paused it, the second one resumed it: in the end neither happened.
    assert (answer.lines[-1]["paused"], answer.lines[-1]["resumed"]) == ([], [])
    assert state(tents) == ""


def test_who_is_paused_in_the_end_is_told_once(
    program: Program, aurora: Brand, tents: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BATCH", 1)
    amounts = ["100", "-1", "1", "-1", "1"]
    answer = program.stream(lines(*(event(tents.pk, it) for it in amounts)))
    assert (answer.lines[-1]["paused"], answer.lines[-1]["resumed"]) == ([tents.pk], [])


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "missing"), ("source=", "invalid_source"), ("source=a%00", "invalid_source"),
     ("source=" + "x" * 101, "invalid_source"), ("source=%E2%80%AEa", "invalid_source"),
     ("sorce=a", "missing")],
)  # fmt: skip
def test_a_stream_says_its_source_in_the_address(
    program: Program, tents: Campaign, unchanged: Any, query: str, code: str
) -> None:
    unchanged()
    assert program.stream(lines(event(tents.pk)), query).wrong() == {"source": code}


def test_a_stream_goes_to_spend_alone(program: Program, tents: Campaign, unchanged: Any) -> None:
    unchanged()
    for path in ("/spend/to-date", f"/brands/{tents.brand_id}"):
        method = "POST" if "spend" in path else "PATCH"
        answer = program.ask(method, path, b"{}\n", content_type="application/x-ndjson")
        answer.problem(415, "unsupported_media_type")


def test_a_compressed_stream_is_refused(program: Program, unchanged: Any) -> None:
    unchanged()
    answer = program.stream(b"\x1f\x8b", **{"Content-Encoding": "gzip"})
    answer.problem(415, "unsupported_encoding")


def test_a_stream_may_be_sent_again(program: Program, tents: Campaign) -> None:
    body = lines(*(event(tents.pk) for _ in range(3)))
    assert statuses(program.stream(body)) == ["recorded"] * 3
    assert statuses(program.stream(body)) == ["duplicate"] * 3
    assert totals(tents)[0] == 3


class Broken(io.BytesIO):
    """A body whose sender hangs up when all of it was read."""

    def read(self, size: int | None = -1) -> bytes:
        if chunk := super().read(size):
            return chunk
        raise OSError("connection reset by peer")


def test_what_came_before_a_broken_connection_is_recorded(
    program: Program, tents: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BATCH", 2)
    [view] = [it.callback for it in urlpatterns if it.name == "post_spend"]
    body = lines(*(event(tents.pk) for _ in range(5)))
    request = RequestFactory().post(
        f"{ROOT}/spend?source=s",
        content_type="application/x-ndjson",
        headers={"Authorization": f"Bearer {program.secret}", "Transfer-Encoding": "chunked"},
        **{"wsgi.input": Broken(body), "wsgi.input_terminated": True},  # type: ignore[arg-type]  # wsgi's own
    )

    response = view(request)

    assert response.status_code == 400
    assert json.loads(response.getvalue())["code"] == "stream_broken"
    assert Spend.objects.count() == 4


def test_a_server_that_does_not_know_the_end_of_a_chunked_body_says_so(
    program: Program, unchanged: Any
) -> None:
    """Python's own would have us read until the caller hangs up."""
    unchanged()
    answer = program.stream(b"", **{"Transfer-Encoding": "chunked"})
    answer.problem(411, "length_required")


MEMORY = """
import io
import django
django.setup()
from django.test import RequestFactory
from django.utils import timezone
from budgets.api.urls import urlpatterns
from budgets.models import Brand, Campaign, Spend
from budgets.services import keys
now = timezone.now()
campaign = Campaign.objects.create(brand=Brand.objects.create(name="B"), name="C")
_, secret = keys.create("program", ["spend:write"], now=now)
[view] = [it.callback for it in urlpatterns if it.name == "post_spend"]
today = now.date().isoformat()

class Body(io.RawIOBase):
    def __init__(self, start, count):
        self.lines = (
            b'{"id": "%d", "campaign": %d, "amount": "0.01", "date": "%s"}\\n'
            % (number, campaign.pk, today.encode()) for number in range(start, start + count)
        )
        self.rest = b""
    def read(self, size=-1):
        while len(self.rest) < size and (line := next(self.lines, b"")):
            self.rest += line
        chunk, self.rest = self.rest[:size], self.rest[size:]
        return chunk

def post(start, count):
    request = RequestFactory().post(
        "/api/v1/spend?source=s", content_type="application/x-ndjson",
        headers={"Authorization": f"Bearer {secret}", "Transfer-Encoding": "chunked"},
        **{"wsgi.input": Body(start, count), "wsgi.input_terminated": True})
    response = view(request)
    answered = sum(chunk.count(b"\\n") for chunk in response)
    response.close()
    assert answered == count + 1, answered

def peak():
    # Not getrusage: there a child begins with the peak of its parent.
    [line] = [it for it in open("/proc/self/status") if it.startswith("VmHWM")]
    return int(line.split()[1])

post(0, 5_000)
before = peak()
post(5_000, 200_000)
print(Spend.objects.count(), (peak() - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_two_hundred_thousand_lines_need_no_more_memory_than_five(tmp_path: Path) -> None:
    env = environment(tmp_path)
    assert manage("migrate", env=env).returncode == 0
    ended = subprocess.run(
        [sys.executable, "-c", MEMORY],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    rows, grown_mb = map(int, ended.stdout.split()[-2:])
    assert rows == 205_000
    # The body alone has 14 MB, the answers 20; kept as objects they would be ten times that.
    assert grown_mb < 10


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, int, str]]:
    """Serve the product as in production, yield its data directory, its port and a key."""
    env = environment(tmp_path, ALLOWED_HOSTS="localhost")
    assert manage("migrate", env=env).returncode == 0
    made = python(
        "import django; django.setup()\n"
        "from django.utils import timezone\n"
        "from budgets.models import Brand, Campaign\n"
        "from budgets.services import keys\n"
        "Campaign.objects.create(brand=Brand.objects.create(name='B'), name='C')\n"
        "print(keys.create('p', ['spend:write'], now=timezone.now())[1])\n",
        env=env,
    )
    assert made.returncode == 0, made.stderr
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:django_celery_budget.web_server",
             f"--bind=fd://{listening.fileno()}"],
            env=env, pass_fds=[listening.fileno()], cwd=project.BASE_DIR,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield tmp_path, port, made.stdout.strip()
        finally:
            process.terminate()
            process.wait(30)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")
def test_a_real_server_takes_a_chunked_stream_and_a_broken_one(
    served: tuple[Path, int, str],
) -> None:
    home, port, secret = served
    today = datetime.now(UTC).date().isoformat()
    sent = [
        lines({"id": str(number), "campaign": 1, "amount": "0.01", "date": today})
        for number in range(2500)
    ]
    headers = {
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/x-ndjson",
        "Host": "localhost",
    }
    address = f"{ROOT}/spend?source=s"

    # Chunks of http.client are framed as in any other client.
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as whole:
        whole.request("POST", address, iter(sent), headers, encode_chunked=True)
        response = whole.getresponse()
        answered = response.read().splitlines()
    assert response.status == 200, answered
    assert json.loads(answered[-1])["totals"]["recorded"] == 2500

    def recorded(source: str) -> int:
        with closing(sqlite3.connect(home / "db.sqlite3")) as database:
            question = "SELECT count(*) FROM budgets_spend WHERE source = ?"
            return int(database.execute(question, [source]).fetchone()[0])

    # The caller hangs up after 2,500 lines more; how much of the last ones came in is the server's.
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as broken:
        broken.putrequest("POST", f"{address}2", skip_host=True)
        for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
            broken.putheader(name, value)
        broken.endheaders()
        for line in sent:
            broken.send(b"%x\r\n%b\r\n" % (len(line), line))

    until(lambda: recorded("s2") >= streams.BATCH)

    # Sent again it is completed, and nothing is counted twice.
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        client.request("POST", f"{address}2", b"".join(sent), headers)
        counts = json.loads(client.getresponse().read().splitlines()[-1])["totals"]
    assert counts["duplicate"] >= streams.BATCH
    assert counts["duplicate"] + counts["recorded"] == recorded("s2") == 2500

    # Chunks that are none are the caller's mistake.
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as raw:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw.sendall(
            f"POST {address} HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\nnonsense\r\n".encode()
        )
        assert raw.recv(4096).startswith(b"HTTP/1.1 400 ")
