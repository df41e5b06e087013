"""Secrets of webhooks, and what they sign, as the Standard Webhooks specification has it.

A secret must be at hand whenever something is sent, so a digest will not do as it does for API keys.
It is not stored either: it is derived (HMAC-SHA256) from SECRET_KEY and 256 random bits, and these
are in the database, with the SHA-256 of the secret. A copy of the database alone signs nothing.

After a change of SECRET_KEY the one before belongs into SECRET_KEY_FALLBACKS until every endpoint has
been rotated; the digest tells which of them it was.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.utils.crypto import salted_hmac

PREFIX = "whsec_"
_PURPOSE = "budgets.services.signatures"


class SecretLost(RuntimeError):
    """SECRET_KEY has changed, and the one that the secret came from is not at hand."""

    def __init__(self) -> None:
        super().__init__(
            "SECRET_KEY has changed: rotate the secret, or put the key before into SECRET_KEY_FALLBACKS"
        )


def seal() -> str:
    """Return what is stored of a new secret."""
    salt = secrets.token_hex(32)
    return f"{salt}:{_digest(_derive(salt, settings.SECRET_KEY))}"


def secret_of(sealed: str) -> bytes:
    """Return the secret of which this is stored; raise `SecretLost` if that cannot be."""
    if (secret := _found(sealed)) is None:
        raise SecretLost
    return secret


def shown(sealed: str) -> str:
    """Return the secret as receivers are told it: `whsec_` and base64 of 32 bytes."""
    return PREFIX + base64.b64encode(secret_of(sealed)).decode()


def headers(
    message_id: str, at: datetime, body: bytes, sealed: Iterable[str]
) -> list[tuple[str, str]]:
    """Return the headers of an attempt made at `at`, with a signature by each secret.

    Of two secrets one may be lost; raises `SecretLost` when all are.
    """
    known = [secret for one in sealed if (secret := _found(one)) is not None]
    if not known:
        raise SecretLost
    timestamp = str(int(at.timestamp()))
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    signed = (hmac.new(secret, content, hashlib.sha256).digest() for secret in known)
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", " ".join(f"v1,{base64.b64encode(it).decode()}" for it in signed)),
    ]


def _found(sealed: str) -> bytes | None:
    salt, _, digest = sealed.partition(":")
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        secret = _derive(salt, key)
        if hmac.compare_digest(_digest(secret), digest):
            return secret
    return None


def _derive(salt: str, key: str) -> bytes:
    return salted_hmac(_PURPOSE, salt, secret=key, algorithm="sha256").digest()


def _digest(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()
