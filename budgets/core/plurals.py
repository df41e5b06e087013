"""How many of something, in words."""


def counted(count: int, noun: str) -> str:
    """Return '1 row' or '2,000 rows'."""
    return f"{count:,} {plural(count, noun)}"


def plural(count: int, noun: str) -> str:
    """Return the noun as it stands behind the number."""
    return noun if count == 1 else f"{noun}s"
