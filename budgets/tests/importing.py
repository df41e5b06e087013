"""Importing a file by command, as somebody at a terminal does."""

from __future__ import annotations

import io
from pathlib import Path

from django.core.management import call_command


def run(path: Path, content: str | bytes, *options: str) -> str:
    """Import `content` as a file; return what the command says."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = io.StringIO()
    call_command("import_spend", str(path), *options, stdout=said, stderr=io.StringIO())
    return said.getvalue().strip()
