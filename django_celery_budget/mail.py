"""The mail server that `EMAIL_URL` names, and who mails are from."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

SMTP = "django.core.mail.backends.smtp.EmailBackend"
CONSOLE = "django.core.mail.backends.console.EmailBackend"
NOWHERE = "django.core.mail.backends.dummy.EmailBackend"

PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
LOCAL = ("localhost", "127.0.0.1", "::1")
FORM = (
    "EMAIL_URL must be smtp+tls://user:password@mail.example.com:587 (STARTTLS), smtps://… (TLS from "
    "the start), smtp://host (without), or console:// to write mails to the log; percent-encode "
    "special characters."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How to reach the server."""

    backend: str
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    starttls: bool = False
    tls: bool = False


def parse(url: str) -> Server | None:
    """Return the server that `url` names, ``None`` for an empty one.

    Raises ``ImproperlyConfigured``, never with the URL in it: that holds a password.
    """
    if not url:
        return None
    if url in ("console:", "console://"):
        return Server(backend=CONSOLE)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ImproperlyConfigured(FORM) from None
    is_clean = parts.path in ("", "/") and not parts.query and not parts.fragment
    if parts.scheme not in PORTS or not _is_host(host) or not is_clean or port == 0:
        raise ImproperlyConfigured(FORM)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ImproperlyConfigured(f"EMAIL_URL names a user or a password, not both. {FORM}")
    if password and parts.scheme == "smtp" and host not in LOCAL:
        raise ImproperlyConfigured(
            "EMAIL_URL would send the password in the clear: say smtp+tls:// or smtps://."
        )
    return Server(
        backend=SMTP,
        host=host,
        port=port or PORTS[parts.scheme],
        user=user,
        password=password,
        starttls=parts.scheme == "smtp+tls",
        tls=parts.scheme == "smtps",
    )


def checked_sender(text: str, *, is_needed: bool) -> str:
    """Return who mails are from; refuse what no server would take."""
    if not text and not is_needed:
        return "budget-guardian@localhost"
    try:
        validate_email(parseaddr(text)[1] if text.isprintable() else "")
    except ValidationError:
        raise ImproperlyConfigured(
            f"DEFAULT_FROM_EMAIL={text!r} must be an address that the server of EMAIL_URL sends for: "
            "budgets@example.com, or Budget Guardian <budgets@example.com>."
        ) from None
    return text


def checked_site(text: str) -> str:
    """Return the address of the site without a slash at its end."""
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        is_site = parts.scheme in ("http", "https") and _is_host(parts.hostname or "")
        is_site = is_site and parts.path in ("", "/") and not parts.query and not parts.fragment
    except ValueError:
        is_site = False
    if not is_site or "@" in text:
        raise ImproperlyConfigured(
            f"SITE_URL={text!r} must be the address of the site: https://budgets.example.com."
        )
    return text.rstrip("/")


def _is_host(host: str) -> bool:
    return (
        0 < len(host) < 254
        and host.isascii()
        and all(sign.isalnum() or sign in ".-_:" for sign in host)
        and ".." not in host
        and not host.startswith(".")
    )
