"""A receiver of webhooks on this machine, as somebody else would write one."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

DROP = 0
"""A status that is none: hang up without an answer."""


@dataclass(slots=True)
class Message:
    """What came in: the headers in lower case, and the bytes of the body."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def is_signed_with(self, secret: str) -> bool:
        """Ask the official library, which knows the time by the machine's clock."""
        return verifies(secret, self.headers, self.body)


@dataclass(slots=True)
class Receiver:
    """What came in so far, and what to answer: `answer` gets the message and its number from 0."""

    url: str = ""
    messages: list[Message] = field(default_factory=list)
    answer: Callable[[Message, int], int] = lambda message, at: 204
    headers: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def verifies(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Tell whether the official library takes a message."""
    try:
        Webhook(secret).verify(body, headers)
    except Exception:  # noqa: BLE001  # whatever it raises, it does not take it
        return False
    return True


@contextmanager
def receiving(
    answer: Callable[[Message, int], int] | None = None, *, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Listen on 127.0.0.1 until the test is over."""
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = Message({name.lower(): text for name, text in self.headers.items()}, body)
            with receiver.lock:
                number = len(receiver.messages)
                receiver.messages.append(message)
            status = receiver.answer(message, number)
            if status == DROP:
                return
            self.send_response(status)
            for name, text in receiver.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, *args: Any) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Keep quiet about whoever hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
