"""How long something took or is ago, in words that fit a line."""

from collections.abc import Callable
from datetime import timedelta

_UNITS = (
    (timedelta(days=1), "day", "days"),
    (timedelta(hours=1), "h", "h"),
    (timedelta(minutes=1), "min", "min"),
)


def in_words(duration: timedelta) -> str:
    """Return `duration` in its largest unit, rounded down: '8 s', '3 min', '2 h', '5 days'.

    A negative one (clocks differ a little) counts as none.
    """
    for unit, one, many in _UNITS:
        if count := max(duration, timedelta(0)) // unit:
            return f"{count} {one if count == 1 else many}"
    return f"{max(duration, timedelta(0)) // timedelta(seconds=1)} s"


def stopwatch(clock: Callable[[], float]) -> Callable[[], int]:
    """Return what tells the whole milliseconds since now, by `clock`, in seconds.

    Doors give the monotonic clock: the wall clock may be set meanwhile.
    """
    began = clock()
    return lambda: round((clock() - began) * 1000)
