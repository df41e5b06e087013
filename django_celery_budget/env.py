"""Typed readers of the environment. What cannot be meant is refused with its name and remedy.

An empty variable counts as unset: compose files and unit files pass empty ones for "no value".
"""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def text(name: str, default: str = "") -> str:
    """Return the variable, stripped, or `default` when it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def boolean(name: str, *, default: bool = False) -> bool:
    """Return the variable as a truth value."""
    value = text(name).lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(
            f"{name}={value!r} is neither yes nor no: say 1, true, yes or on, "
            "or 0, false, no or off, or unset it."
        )
    return value in TRUE


def integer(name: str, default: int, *, at_least: int, at_most: int) -> int:
    """Return the variable as a whole number within its bounds."""
    value = text(name)
    if not value:
        return default
    # isdecimal alone would take Arabic digits, and int() alone would take "1_000".
    number = int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else None
    if number is None or not at_least <= number <= at_most:
        raise ImproperlyConfigured(
            f"{name}={value!r} must be a whole number from {at_least} to {at_most}; "
            f"unset it for {default}."
        )
    return number


def choice(name: str, options: tuple[str, ...]) -> str:
    """Return the variable, one of `options`; the first is the default."""
    value = text(name, options[0])
    if value not in options:
        raise ImproperlyConfigured(f"{name}={value!r} is unknown: say {' or '.join(options)}.")
    return value


def words(name: str) -> list[str]:
    """Return the parts of a comma-separated variable."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


def secret(name: str) -> str:
    """Return the variable, or the content of the file that `<name>_FILE` names.

    Orchestrators mount secrets as files, which, unlike variables, do not show in process lists.
    """
    value, path = text(name), text(f"{name}_FILE")
    if value and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: unset one of them.")
    if not path:
        return value
    try:
        content = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE={path!r} cannot be read: {error}.") from error
    if not content:
        raise ImproperlyConfigured(f"{name}_FILE={path!r} is empty: write the value into it.")
    return content
