"""One log for Django, Celery and gunicorn: lines for people, or JSON for machines."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
CONTROL |= {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def escape_control(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write line ends and terminal codes out: the name of a brand must not forge a line."""
    event["event"] = str(event["event"]).translate(CONTROL)
    return event


def for_people(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out what Celery adds for machines: it says every message twice."""
    if str(event.get("logger", "")).startswith("celery."):
        event.pop("data", None)
    return event


OUR_SECRETS = re.compile(r"(bg_[a-z0-9]{12}_)[A-Za-z0-9]{43}|(whsec_)[A-Za-z0-9+/]{20,}=*")
"""Keys of the API and secrets of webhooks, up to where they begin to be secret."""


def hide_secrets(_logger: WrappedLogger, _method: str, line: str) -> str:
    """Write none of our secrets, wherever in a line: somebody puts a key into an address, or a file."""
    return OUR_SECRETS.sub(r"\1\2***", line)


def indented_traceback(output: TextIO, exception: ExcInfo) -> None:
    """Write a traceback of which no line passes for a record: errors quote names, too."""
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exception)
    lines = written.getvalue().strip("\n").split("\n")
    output.writelines(f"\n  {line.translate(CONTROL)}" for line in lines)


def config(form: str) -> dict[str, Any]:
    """Return Django's LOGGING for "console" or "json"."""
    stamp: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if form == "json":
        render += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        render += [
            escape_control,
            for_people,
            structlog.dev.ConsoleRenderer(
                colors=colors,
                exception_formatter=indented_traceback,
                pad_event_to=0,
                repr_native_str=True,
            ),
        ]
    render.append(cast("Processor", hide_secrets))  # what comes last is given the line
    structlog.configure(
        processors=[*stamp, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "one": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": stamp,
                "processors": render,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "one"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # Django's own handlers would print each line a second time.
            "django": {"handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            "gunicorn.error": {"handlers": [], "propagate": True},
            "gunicorn.access": {"handlers": [], "propagate": True},
            # A line for each wrong password, which names nobody, and for a lock; not three for each.
            "axes": {"level": "WARNING"},
        },
    }
