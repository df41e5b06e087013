"""A child that ends with its parent, even when the parent was killed and can say nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
# Looked up here and not in the child: between fork and exec little is safe to do.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def die_with_parent(how: signal.Signals) -> None:
    """Have Linux send this process `how` when its parent ends. Elsewhere: nothing."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, int(how), 0, 0, 0)


def tied_to_this_process(how: signal.Signals) -> Callable[[], None] | None:
    """Return the `preexec_fn` of a child that shall end with the process that starts it.

    The tie is to the thread that starts the child: start it from the main one.
    """
    if _prctl is None:
        return None
    parent = os.getpid()

    def tie() -> None:
        die_with_parent(how)
        if os.getppid() != parent:  # It ended between fork and prctl.
            os._exit(1)

    return tie
