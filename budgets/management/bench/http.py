"""The api end to end: a real web server, and clients in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Self

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from budgets.management.bench import crew, reference, stage
from budgets.management.bench.events import events, in_batches, micros, record
from budgets.management.bench.setting import Setting, judged
from budgets.management.bench.table import Row, Table, median, ratio
from budgets.services import keys, passes
from budgets.services.ingestion import SpendEvent

CLIENTS = 4
"""As many as a web process has threads; each keeps its connection."""
EVENTS = {1: 1_200, 100: 12_000, 1000: 40_000}
"""Events of all clients together, by how many a request has."""
QUESTIONS = 2_000
PROCESSES = 2
PATIENCE = 30.0
NEW_OR_NOT = (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)


def measure(setting: Setting) -> Iterator[Table]:
    """Time `POST /spend` next to the same without HTTP, and `GET /serving` when nothing changed."""
    sent: dict[int, list[float]] = defaultdict(list)
    direct: dict[int, list[float]] = defaultdict(list)
    asked: list[float] = []
    for turn in range(setting.rounds):
        for is_http in (True, False):
            way = "over HTTP" if is_http else "in process"
            setting.say(f"api, round {turn + 1}: {way}")
            with setting.copy(setting.seed(setting.small)) as name:
                now = timezone.now()
                passes.check_and_pause(now)  # the new day's first look at each brand is not timed
                rates = sent if is_http else direct
                with _server(name) if is_http else contextlib.nullcontext("") as port:
                    secret = keys.create("bench", ["spend:write", "read"], now=now)[1]
                    for size, count in EVENTS.items():
                        rates[size].append(_rate(setting, size, count, port, secret, now))
                    if is_http:
                        asked.append(_questions(setting, port, secret))
    table = Table(
        title=f"POST /api/v1/spend, {setting.small:,} campaigns, {CLIENTS} clients",
        ratios=["HTTP/in process"],
        figures=["events/s", "in process events/s"],
        notes=["the server beside its clients on one machine; every sum is exact"],
    )
    for size in EVENTS:
        figures = [median(sent[size]), median(direct[size])]
        table.rows.append(Row(f"{size:,} a request", [ratio(*figures)], figures))
    table.runs = {f"HTTP, {size}, events/s": found for size, found in sent.items()}
    table.runs |= {f"in process, {size}, events/s": found for size, found in direct.items()}
    yield table
    serving = Table(title="GET /api/v1/serving", ratios=[], figures=["requests/s"])
    serving.rows.append(Row("unchanged (304)", [], [median(asked)]))
    serving.runs = {"requests/s": asked}
    yield serving


def _rate(setting: Setting, size: int, count: int, port: str, secret: str, now: datetime) -> float:
    """Return events a second that all clients together got recorded."""
    share = count // CLIENTS // setting.effort
    campaigns = range(1, setting.small + 1)
    source = f"api-{size}"
    shares = [
        events(share, campaigns, label=f"{source}-{client}", day=now.date())
        for client in range(CLIENTS)
    ]
    setting.stage.settle()
    seconds, _ = crew.together(
        [
            partial(_send, found, size, source, port, secret)
            if port
            else partial(record, found, size, source, now)
            for found in shares
        ]
    )
    with judged(f"api, {size} a request", "ours"):
        reference.verify_ledger(source, CLIENTS * share, sum(map(micros, shares)))
    return CLIENTS * share / seconds


def _questions(setting: Setting, port: str, secret: str) -> float:
    count = QUESTIONS // CLIENTS // setting.effort
    seconds, _ = crew.together([partial(_ask, count, port, secret)] * CLIENTS)
    return CLIENTS * count / seconds


def _send(found: Sequence[SpendEvent], size: int, source: str, port: str, secret: str) -> int:
    with _Client(port, secret) as client:
        for batch in in_batches(found, size):
            sent = [
                {
                    "id": event.external_id,
                    "campaign": event.campaign_id,
                    "amount": event.amount,
                    "date": str(event.date),
                }
                for event in batch
            ]
            body = json.dumps({"source": source, "events": sent}).encode()
            said = client.ask("POST", "spend", "Content-Type: application/json", body=body)[1]
            answer = json.loads(said)
            if answer["totals"]["recorded"] != len(batch):
                raise CommandError(f"POST /spend answered {answer['totals']}")
    return len(found)


def _ask(count: int, port: str, secret: str) -> int:
    with _Client(port, secret) as client:
        headers, _ = client.ask("GET", "serving")
        again = 0
        for _ in range(count):
            known = f"If-None-Match: {headers['etag']}"
            headers, listed = client.ask("GET", "serving", known, expected=NEW_OR_NOT)
            again += bool(listed)
    # The version changes once more when transactions of other databases end (see queries.serving).
    if again > count // 10:
        raise CommandError(
            f"GET /serving was listed anew {again} of {count} times, and nothing moved"
        )
    return count


class _Client:
    """A connection that is kept. Python's own client costs a third of what a request costs us."""

    def __init__(self, port: str, secret: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", int(port)), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self._same = f"Host: 127.0.0.1:{port}\r\nAuthorization: Bearer {secret}\r\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

    def ask(
        self,
        method: str,
        path: str,
        *headers: str,
        body: bytes = b"",
        expected: Collection[int] = (HTTPStatus.OK,),
    ) -> tuple[dict[str, str], bytes]:
        """Send a request; return the headers, their names in small letters, and the body."""
        lines = [*headers, f"Content-Length: {len(body)}"]
        head = f"{method} /api/v1/{path} HTTP/1.1\r\n{self._same}" + "\r\n".join(lines)
        self._socket.sendall(head.encode() + b"\r\n\r\n" + body)
        status = int(self._answers.readline().split()[1])
        said: dict[str, str] = {}
        while line := self._answers.readline().rstrip():
            name, _, value = line.decode("latin-1").partition(": ")
            said[name.lower()] = value
        length = 0 if status == HTTPStatus.NOT_MODIFIED else int(said["content-length"])
        content = self._answers.read(length)
        if status not in expected:
            raise CommandError(f"{method} /{path} answered {status}: {content[:300]!r}")
        return said, content


@contextlib.contextmanager
def _server(database: str) -> Iterator[str]:
    """Run the product's web server on a copy; give its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "python:django_celery_budget.web_server"],
        env={
            **os.environ,
            "DATABASE_URL": stage.url_of(database),
            "DJANGO_SETTINGS_MODULE": "django_celery_budget.settings",
            "HOST": "127.0.0.1",
            "PORT": port,
            "WEB_CONCURRENCY": str(PROCESSES),
            "API_REQUESTS_PER_SECOND": "1000000",
        },
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_answering(process, int(port))
        yield port
    finally:
        process.terminate()
        process.wait()


def _until_answering(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise CommandError("the web server does not answer")
