"""Durations in words."""

from datetime import timedelta

import pytest

from budgets.core.durations import in_words, stopwatch


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=0), "0 s"),
        (timedelta(seconds=59, microseconds=999_999), "59 s"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=12, hours=5), "12 days"),
    ],
)
def test_a_duration_is_told_in_its_largest_unit_rounded_down(
    duration: timedelta, words: str
) -> None:
    assert in_words(duration) == words


def test_a_stopwatch_tells_whole_milliseconds_by_the_clock_it_is_given() -> None:
    seconds = iter([100.0, 100.0, 101.2504])
    elapsed = stopwatch(lambda: next(seconds))

    assert elapsed() == 0
    assert elapsed() == 1250
