"""What every file of spend has in common: what is no text, lines, quotes, complaints by line."""

from __future__ import annotations

import bisect
import codecs
import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO, Protocol

from budgets.core.plurals import counted

LONGEST_LINE = 65_536
"""Bytes: no line of spend is longer, and one without an end must not fill the memory."""

SHOWN = 20
"""Complaints that are written out; all are counted."""

NOT_TEXT = {
    b"PK\x03\x04": "is a workbook or an archive; save the sheet as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "is a workbook; save the sheet as CSV UTF-8",
    b"\x1f\x8b": "is compressed; unpack it first",
    b"%PDF": "is a PDF; download it as CSV",
}
"""How files begin that are no CSV."""

HEAD = 65_536
"""Bytes from which a file is recognised."""

_WEB_PAGE = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE)

Complain = Callable[[int, str], None]
"""Takes the line of the file (0: the file itself) and what is wrong with it."""


class Unreadable(Exception):
    """The file, or the rest of it from `line` on, cannot be read; `line` 0: none of it."""

    def __init__(self, words: str, line: int = 0) -> None:
        super().__init__(words)
        self.line = line


class Malformed(ValueError):
    """A value that is not written as its column wants it."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(slots=True)
class Complaints:
    """What is wrong with a file: the first few by line, and how many there are."""

    count: int = 0
    shown: list[tuple[int, str]] = field(default_factory=list)

    def shows(self, line: int) -> bool:
        """Tell whether one of this line would be written out, as far as is known now."""
        return len(self.shown) < SHOWN or line < self.shown[-1][0]

    def add(self, line: int, words: str) -> None:
        """Take one in; `line` 0 is the file itself."""
        self.count += 1
        bisect.insort(self.shown, (line, words))
        del self.shown[SHOWN:]

    def text(self) -> str:
        """Return a line for each that is shown, and how many more there are."""
        lines = [f"  line {line}: {words}" if line else f"  {words}" for line, words in self.shown]
        if self.count > len(self.shown):
            lines.append(f"  … and {self.count - len(self.shown):,} more")
        return "\n".join(lines)


def refuse_no_text(head: bytes) -> None:
    """Raise `Unreadable` when what begins with `head` is no table of text at all."""
    if not head:
        raise Unreadable("is empty; the first line names the columns")
    for magic, words in NOT_TEXT.items():
        if head.startswith(magic):
            raise Unreadable(words)
    if _WEB_PAGE.match(head.removeprefix(codecs.BOM_UTF8)):
        raise Unreadable(
            "is a web page, such as that of a failed download or a sign-in; download the file again"
        )


def is_utf16(head: bytes) -> bool:
    """Tell whether the byte order mark says so."""
    return head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


class Lines:
    """The lines of UTF-8 text, decoded one by one; the iteration raises `Unreadable`."""

    def __init__(self, file: BinaryIO) -> None:
        self.number = 0
        """That of the line read last, from 1, as an editor counts."""
        self.position = 0
        """Bytes read."""
        self.cut: tuple[int, str] | None = None
        """Number and end of a last line that has no line break."""
        self._file = file

    def __iter__(self) -> Iterator[str]:
        while raw := self._file.readline(LONGEST_LINE):
            self.number += 1
            self.position += len(raw)
            if not raw.endswith((b"\n", b"\r")):
                if len(raw) == LONGEST_LINE:
                    raise Unreadable(f"is longer than {LONGEST_LINE} bytes", self.number)
                self.cut = (self.number, raw[-60:].decode("utf-8", "replace"))
            if b"\0" in raw:
                raise Unreadable(
                    "contains a NUL character (UTF-16, or a damaged file); save it as CSV UTF-8",
                    self.number,
                )
            try:
                # A byte order mark may precede the first line.
                yield raw.decode("utf-8-sig" if self.number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise Unreadable(
                    f"is not UTF-8: byte 0x{raw[error.start]:02X} at its position "
                    f"{error.start + 1} (Latin-1 or Windows-1252, or a cut file); "
                    "save it as CSV UTF-8",
                    self.number,
                ) from None


def records(
    lines: Lines, complain: Complain, *, separator: str = ","
) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of each record and the line it begins at; a blank line has no fields.

    What is badly quoted goes to `complain`; raises `Unreadable` where nothing more makes sense.
    """
    read: list[str] = []

    def noted() -> Iterator[str]:
        for text in lines:
            read.append(text)
            yield text

    reader = csv.reader(noted(), delimiter=separator, strict=True)
    while True:
        read.clear()
        first = lines.number + 1
        try:
            fields = next(reader, None)
        except csv.Error:
            complain(first, _bent("".join(read)))
            if lines.number > first:
                # Where the quote was meant to end nobody can tell.
                raise Unreadable("what follows was not read", lines.number) from None
            continue
        if fields is None:
            return
        if any('"' in text for text in read):
            # Python's reader takes `12" screen` as it stands, and so would move commas.
            text = "".join(read)
            if not _well_quoted(separator).fullmatch(text):
                complain(first, _bent(text))
                continue
        yield first, fields


def misfit(count: int, expected: int) -> str:
    """Say what is wrong with a row of `count` fields below a header of `expected`."""
    hint = "write an empty field as nothing between two commas"
    if count > expected:
        hint = 'quote a field that contains a comma, and write amounts without any: "a, b",1234.56'
    return f"has {count} fields, the header has {expected}; {hint}"


class Ending(Protocol):
    """What a file that was read says of its end."""

    @property
    def count(self) -> int:
        """Rows below the header."""

    @property
    def cut(self) -> tuple[int, str] | None:
        """Number and end of a last line that may have been cut."""


def check_end(file: Ending, rows: int | None, complaints: Complaints) -> None:
    """Refuse a file that may have been cut: what is left of an amount reads as another amount."""
    if rows is not None and rows != file.count:
        complaints.add(0, f"has {counted(file.count, 'row')} below the header, --rows says {rows}")
    elif rows is None and not file.count:
        complaints.add(0, "has no rows below the header; say --rows 0 if that is right")
    elif rows is None and file.cut is not None:
        line, end = file.cut
        complaints.add(
            line,
            "has no line break at its end, so the file may have been cut, and 99.99 reads as "
            f"99.9: it ends with {end!r}. If that is whole, end it with a line break, or confirm "
            f"with --rows {file.count}",
        )


@lru_cache
def _well_quoted(separator: str) -> re.Pattern[str]:
    mark = re.escape(separator)
    one = rf'(?:"(?:[^"]|"")*"|[^"{mark}\r\n]*)'
    return re.compile(rf"{one}(?:{mark}{one})*(?:\r?\n|\r)?")


def _bent(text: str) -> str:
    if "\r" in text.rstrip("\r\n").replace("\r\n", "\n"):
        return "has a carriage return inside; end lines with LF or CRLF"
    return (
        "has a stray quote, or one that is not closed; quote the whole field and write a quote "
        'inside it twice: "12"" screens"'
    )
