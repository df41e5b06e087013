"""Choices of a fixed list, stored as one text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.core.exceptions import ValidationError


def words_in_order(chosen: Iterable[str], known: Sequence[str], noun: str) -> str:
    """Write what is chosen of `known` in its order, with spaces between.

    Raises ``ValidationError`` when there is none, or one that is not known; `noun` is what they are.
    """
    wanted, all_known = set(chosen), ", ".join(known)
    if unknown := sorted(wanted - set(known)):
        words = f"{unknown[0][:60]!r} is no {noun}; the {noun}s are {all_known}."
        raise ValidationError(words, code=f"unknown_{noun}")
    if not wanted:
        raise ValidationError(f"Choose at least one of {all_known}.", code="required")
    return " ".join(word for word in known if word in wanted)
