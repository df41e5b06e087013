"""Which numbers can be a row's primary key: what a database's 64-bit integer holds."""

LARGEST_KEY = 2**63 - 1

LONGEST_KEY = len(str(LARGEST_KEY)) - 1
"""Digits that surely fit, whatever they are."""


def is_key(text: str) -> bool:
    """Tell whether `text` can be a primary key; nobody wrote the sign and the spaces that `int` takes."""
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_KEY
