"""The one way out: to public addresses alone, over a connection to an address that was looked at."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pytest_django import Settings

from budgets.services import outbound
from budgets.services.outbound import Refused, is_public
from budgets.tests.receiver import Message, receiving

PUBLIC = "93.184.215.14"

INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104  # an address to refuse
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.215.14",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = [PUBLIC, "1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_lies_inside_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_lies_outside_is(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


NOWHERE = [
    "",
    "hook",
    "//127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_",
    "https:127.0.0.1:{port}/",
    "https:///hook",
    "https://",
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "https://localhost:{port}/",
    "https://localhost.:{port}/",
    "https://LOCALHOST:{port}/",
    "https://127.1:{port}/",
    "https://127.0.1:{port}/",
    "https://0x7f000001:{port}/",
    "https://0x7f.0.0.1:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://2130706433:{port}/",
    "https://0:{port}/",
    "https://0.0.0.0:{port}/",
    "https://①②⑦.0.0.1:{port}/",
    "https://127。0。0。1:{port}/",
    "https://[::1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "https://[fe80::1%25lo]:{port}/",
    "https://[::1%lo]:{port}/",
    "https://[::1/",
    "https://[v1.x]:{port}/",
    "https://user@127.0.0.1:{port}/",
    "https://user:word@127.0.0.1:{port}/",
    "https://93.184.215.14@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@93.184.215.14/",
    "https://127.0.0.1:{port}\\@93.184.215.14/",
    "https://127.0.0.1:{port}/\r\nHost: x",
    "https://127.0.0.1 :{port}/",
    "https://127.0.0.1:{port}\t/",
    "https://127.0.0.1%00.example.com:{port}/",
    "https://127.0.0.1:99999/",
    "https://127.0.0.1:-1/",
    "https://93.184.215.14:{port}/",
    "https://93.184.215.14:22/",
    "http://93.184.215.14/",
    "http://93.184.215.14:443/",
    f"https://{'a' * 64}.example/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://10.0.0.1:8443/",
]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Yield somebody on 127.0.0.1 who must not be called."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()
    except BlockingIOError:
        return False
    return True


def numeric(host: str, port: int) -> Sequence[str]:
    """Look up as the system does, for whatever needs no name server; `localhost` is this machine."""
    if host.rstrip(".") == "localhost":
        return ["127.0.0.1"]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(entry[4][0]) for entry in found]


@pytest.mark.parametrize("url", NOWHERE)
def test_nobody_inside_is_called(url: str, listener: socket.socket) -> None:
    url = url.format(port=listener.getsockname()[1]) if "{port}" in url else url

    with pytest.raises(Refused):
        outbound.check(url, resolve=numeric)
    reply = outbound.post(url, [], b"{}", resolve=numeric)

    assert reply.status is None
    assert reply.error
    assert not was_called(listener)


def test_the_table_is_no_shorter_than_it_was() -> None:
    assert len(set(NOWHERE)) >= 40


@pytest.mark.parametrize("url", ["https://93.184.215.14/", "https://[2606:4700::1111]:8443/a?b=c"])
def test_the_outside_is_allowed(url: str) -> None:
    outbound.check(url, resolve=numeric)


def test_one_address_inside_among_several_is_enough_to_refuse() -> None:
    with pytest.raises(Refused, match="not public"):
        outbound.check("https://hooks.example/", resolve=lambda host, port: [PUBLIC, "10.0.0.1"])


def test_a_refusal_does_not_tell_which_address_it_was() -> None:
    reply = outbound.post(
        "https://hooks.example/", [], b"", resolve=lambda host, port: ["10.9.8.7"]
    )

    assert "10.9.8.7" not in reply.error


def test_a_name_that_answers_differently_the_next_time_gains_nothing(
    listener: socket.socket, settings: Settings
) -> None:
    # The first answer is allowed and leads nowhere; whoever asks again is sent to the listener.
    settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.9.9.9/32"]
    answers = iter([["127.9.9.9"], ["127.0.0.1"], ["127.0.0.1"]])
    asked = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    port = listener.getsockname()[1]
    reply = outbound.post(f"http://hooks.example:{port}/", [], b"", resolve=rebinding)

    assert reply.error.startswith("no connection")
    assert asked == ["hooks.example"]
    assert not was_called(listener)
    # The next attempt looks anew, and is refused.
    again = outbound.post(f"http://hooks.example:{port}/", [], b"", resolve=rebinding)
    assert "not public" in again.error
    assert not was_called(listener)


class TestTrusted:
    @pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", "hooks.internal"])
    def test_hosts_and_networks_are_sent_to(self, allowed: str, settings: Settings) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = [allowed]
        with receiving() as receiver:
            url = receiver.url.replace("127.0.0.1", "hooks.internal")

            reply = outbound.post(
                url, [("webhook-id", "x")], b"{}", resolve=lambda host, port: ["127.0.0.1"]
            )

            assert (reply.status, reply.error) == (204, "")
            (message,) = receiver.messages
            assert message.headers["host"] == url.split("/")[2]
            assert message.headers["webhook-id"] == "x"
            assert message.headers["content-type"] == "application/json"

    def test_no_redirect_is_followed(self, settings: Settings, listener: socket.socket) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        port = listener.getsockname()[1]
        for place in ("http://169.254.169.254/latest/", f"http://127.0.0.1:{port}/"):
            with receiving(lambda message, at: 302) as receiver:
                receiver.headers = {"Location": place}

                reply = outbound.post(receiver.url, [], b"{}")

                assert reply.status == 302
                assert not reply.is_success
                assert len(receiver.messages) == 1
        assert not was_called(listener)

    def test_no_proxy_of_the_environment_is_asked(
        self,
        settings: Settings,
        listener: socket.socket,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
            monkeypatch.setenv(name, proxy)
        with receiving() as receiver:
            assert outbound.post(receiver.url, [], b"{}").status == 204
        assert not was_called(listener)

    def test_who_is_not_there_is_told_in_words(self, settings: Settings) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

        reply = outbound.post(f"http://127.0.0.1:{port}/", [], b"{}")

        assert reply.error.startswith("no connection")

    def test_who_says_no_http_is_told_in_words(self, settings: Settings) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        reply = _answered_with(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

        assert reply.status is None
        assert reply.error.startswith("no HTTP answer")
        assert "OpenSSH" not in reply.error

    def test_the_first_ten_seconds_are_all_there_are(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        monkeypatch.setattr(outbound, "TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as server:  # it takes, and says nothing
            port = server.getsockname()[1]
            reply = outbound.post(f"http://127.0.0.1:{port}/", [], b"{}")

        assert reply.error.startswith("no answer within")
        assert 0.2 <= reply.seconds < 5

    def test_an_answer_without_an_end_is_not_read_to_it(self, settings: Settings) -> None:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n"

        reply = _answered_with(head + b"x" * (outbound.READ + 1))

        assert (reply.status, reply.error) == (200, "")
        assert reply.seconds < outbound.TIMEOUT


class TestTls:
    """A receiver whose certificate says `hooks.internal`."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        if (openssl := shutil.which("openssl")) is None:
            pytest.skip("no openssl to make a certificate with")
        path = tmp_path / "both.pem"
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        name = ["-subj", "/CN=hooks.internal", "-addext", "subjectAltName=DNS:hooks.internal"]
        subprocess.run(
            [openssl, *words.split(), *name, "-keyout", path, "-out", tmp_path / "one.pem"],
            check=True,
            capture_output=True,
        )
        path.write_text(path.read_text() + (tmp_path / "one.pem").read_text())
        return path

    @pytest.fixture(autouse=True)
    def _fresh(self, settings: Settings) -> Iterator[None]:
        settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
        outbound._tls.cache_clear()
        yield
        outbound._tls.cache_clear()

    def post(self, certificate: Path, host: str) -> tuple[outbound.Reply, list[Message], list[str]]:
        """Post to `host`, which is that receiver, and return what it saw, the asked names as well."""
        names: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda connection, name, _: names.append(name)
        with receiving(tls=context) as receiver:
            url = receiver.url.replace("http://127.0.0.1", f"https://{host}")
            reply = outbound.post(url, [], b"{}", resolve=lambda host, port: ["127.0.0.1"])
        return reply, receiver.messages, names

    def test_the_name_is_asked_for_and_proved_though_the_address_is_called(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

        reply, [message], names = self.post(certificate, "hooks.internal")

        assert (reply.status, reply.error) == (204, "")
        assert names == ["hooks.internal"]
        assert message.headers["host"].startswith("hooks.internal:")

    def test_a_certificate_of_another_name_is_refused(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

        reply, messages, _ = self.post(certificate, "other.internal")

        assert "certificate verify failed" in reply.error
        assert messages == []

    def test_a_certificate_of_nobody_is_refused(self, certificate: Path) -> None:
        reply, messages, _ = self.post(certificate, "hooks.internal")

        assert "certificate verify failed" in reply.error
        assert messages == []


def _answered_with(said: bytes) -> outbound.Reply:
    """Post to somebody who says this and then nothing, without hanging up."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(said)
                done.wait(30)

        thread = threading.Thread(target=say)
        thread.start()
        reply = outbound.post(f"http://127.0.0.1:{server.getsockname()[1]}/", [], b"{}")
        done.set()
        thread.join()
    return reply
