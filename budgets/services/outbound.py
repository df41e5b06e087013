"""The one way out: a POST to an address that others chose, without lending them our place in the network.

A URL is looked up once, every address it has must be public, and the connection goes to an address
that was looked at: a name that answers differently the next time gains nothing. No redirect is
followed, no proxy of the environment is asked, and nothing of the answer but its status is told.
WEBHOOK_ALLOWED_PRIVATE_HOSTS names hosts and networks that are trusted all the same.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpcore
from django.conf import settings

TIMEOUT = 10.0
"""Seconds for connecting, sending and the answer, all together; looking up the name comes before."""
READ = 64 * 1024
"""Bytes of an answer that are read, so that the receiver need not see a broken connection."""

PORTS = (443, 8443)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*)", re.ASCII)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All that IANA has given out of IPv6; what embeds IPv4 otherwise (mapped, NAT64) lies outside."""
_NOT_PUBLIC = [
    ipaddress.ip_network(text)
    for text in (
        # `is_global` of Python 3.11 says yes to all of these.
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # Azure's services for its machines
        "2001::/23",  # Teredo and other protocol assignments
        "2002::/16",  # 6to4: 2002:7f00:1:: is 127.0.0.1
        "3fff::/20",  # documentation
    )
]


class Refused(ValueError):
    """A URL that we do not connect to; the text says why, and names no address."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of an attempt: the answer's status, or in words why there is none.

    `seconds` is how long it took, `retry_after` how many more the receiver asks us to wait.
    """

    status: int | None
    error: str = ""
    seconds: float = 0.0
    retry_after: int = 0

    @property
    def is_success(self) -> bool:
        """Whether the receiver took it: 2xx and nothing else, no redirect."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class _Place:
    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port == {"https": 443, "http": 80}[self.scheme]
        return host if is_default else f"{host}:{self.port}"


def is_public(address: Address) -> bool:
    """Tell whether `address` is one of the internet's, and of nobody's inside."""
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _NOT_PUBLIC)
    )


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host. How long it may take, the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check(url: str, *, resolve: Resolve = look_up) -> None:
    """Raise `Refused`, in words, unless we would send to `url` now."""
    _addresses(_parsed(url), resolve)


def post(
    url: str, headers: Iterable[tuple[str, str]], body: bytes, *, resolve: Resolve = look_up
) -> Reply:
    """Send `body` to `url`, once. Whatever goes wrong is in the reply."""
    begun = perf_counter()
    status, retry_after, error = None, 0, ""
    try:
        place = _parsed(url)
        addresses = _addresses(place, resolve)
        status, retry_after = _exchange(place, addresses, headers, body)
    except Refused as refusal:
        error = str(refusal)
    except (httpcore.TimeoutException, TimeoutError):
        error = f"no answer within {TIMEOUT:.0f} s"
    except (httpcore.NetworkError, ssl.SSLError, OSError) as failure:
        error = f"no connection: {failure}"[:300]
    except (httpcore.ProtocolError, ValueError):
        error = "no HTTP answer"  # The exception repeats what was answered, which we tell nobody.
    return Reply(status, error, perf_counter() - begun, retry_after)


def _parsed(url: str) -> _Place:
    """Take a URL apart; what parsers read differently is refused rather than guessed at."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise Refused("write it in ASCII without spaces and backslashes: names as xn--…")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"it is no URL: {error}") from None
    if parts.scheme not in ("https", "http"):
        raise Refused("it must begin with https://")
    if "@" in parts.netloc:
        raise Refused("leave out user and password; the signature proves who sends")
    if parts.fragment or "#" in url:
        raise Refused("leave out the fragment, #…: it is never sent")
    host = parts.hostname or ""
    if not (_HOST.fullmatch(host) or _is_ipv6(host)):
        raise Refused("it names no host")
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return _Place(parts.scheme, host.lower(), port, target)


def _addresses(place: _Place, resolve: Resolve) -> list[Address]:
    """Look a host up and return all its addresses; raise `Refused` unless we may connect to each."""
    names, networks = _trusted(tuple(settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS))
    try:
        found = [ipaddress.ip_address(text) for text in resolve(place.host, place.port)]
    except (OSError, ValueError):  # UnicodeError is one: a label of more than 63 characters
        raise Refused("its host cannot be found") from None
    if not found:
        raise Refused("its host has no address")
    inside = [place.host in names or any(it in net for net in networks) for it in found]
    if all(inside):
        return found
    if not all(is_known or is_public(it) for it, is_known in zip(found, inside, strict=True)):
        raise Refused(
            "its host has an address that is not public; WEBHOOK_ALLOWED_PRIVATE_HOSTS can allow it"
        )
    if place.scheme != "https":
        raise Refused("it must begin with https://")
    if place.port not in PORTS:
        raise Refused(f"its port must be {' or '.join(map(str, PORTS))}")
    return found


@cache
def _trusted(entries: tuple[str, ...]) -> tuple[frozenset[str], tuple[Network, ...]]:
    names, networks = set(), []
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry))
        except ValueError:
            names.add(entry.lower())
    return frozenset(names), tuple(networks)


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


@cache
def _tls() -> ssl.SSLContext:
    # The system's certificates, where a private one is added, and those of certifi, where the
    # system, as in a slim image, has none. Reading them takes 20 ms, once a process.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _exchange(
    place: _Place, addresses: Sequence[Address], headers: Iterable[tuple[str, str]], body: bytes
) -> tuple[int, int]:
    url = httpcore.URL(
        scheme=place.scheme.encode(),
        host=place.host.encode(),
        port=place.port,
        target=place.target.encode(),
    )
    sent = [("Host", place.authority), ("Content-Type", "application/json"), *headers]
    sent += [("User-Agent", "budget-guardian"), ("Connection", "close")]
    # A connection of its own: nothing that one receiver does can reach another.
    backend = _Checked(addresses, perf_counter() + TIMEOUT)
    with (
        httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool,
        pool.stream("POST", url, headers=sent, content=body) as response,
    ):
        status = int(response.status)
        # It has answered; what comes after the status decides nothing.
        with contextlib.suppress(httpcore.NetworkError, httpcore.TimeoutException, OSError):
            _read_some(response.iter_stream())
    asked = dict(response.headers).get(b"retry-after", b"")
    return status, int(asked) if re.fullmatch(rb"\d{1,6}", asked) else 0


def _read_some(parts: Iterable[bytes]) -> None:
    size = 0
    for part in parts:
        size += len(part)
        if size >= READ:
            return


class _Checked(httpcore.NetworkBackend):
    """Connects to the addresses that were looked at, whatever the name says by now."""

    def __init__(self, addresses: Sequence[Address], deadline: float) -> None:
        self._addresses, self._deadline = addresses, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to the first address that gives one."""
        backend = httpcore.SyncBackend()
        *others, last = self._addresses
        for address in others:
            with contextlib.suppress(httpcore.ConnectError):
                stream = backend.connect_tcp(str(address), port, _left(self._deadline))
                return _Timed(stream, self._deadline)
        stream = backend.connect_tcp(str(last), port, _left(self._deadline))
        return _Timed(stream, self._deadline)


class _Timed(httpcore.NetworkStream):
    """A connection that ends at its deadline, also for whoever sends a byte every nine seconds."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Timed(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - perf_counter()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
