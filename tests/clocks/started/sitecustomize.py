"""Read by every Python program that starts under another clock (``tests/clocks``): sleeping works there, too.

libfaketime 0.9.10 takes the end of a sleep on the monotonic clock, which it leaves alone, for one on the clock that it
changes, and Python 3.11 sleeps that way (https://github.com/wolfcw/libfaketime/issues/426). Waiting for nothing in
``select`` is the same to whoever sleeps.
"""

import select
import time


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    end = time.monotonic() + seconds
    select.select((), (), (), seconds)
    while (left := end - time.monotonic()) > 0:
        select.select((), (), (), left)


time.sleep = _sleep
