"""A Python program on a machine whose clock is wrong: ``python -m tests.support.stepped 7200 uvicorn …``.

The whole process, threads and forked children included, sees the present so many seconds later (or earlier): the clock
is changed where CPython keeps it, as ``libfaketime`` does for programs of any kind, which would have to be installed.
What the interpreter measures with is the monotonic clock, and goes on as on any machine that is set anew.
"""

from __future__ import annotations

import ctypes
import gc
import runpy
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo


def step(seconds: float) -> None:
    """Set the clock of this process ahead by so many seconds, or back; steps add up."""
    real_now, real_time, by = datetime.now, time.time, timedelta(seconds=seconds)

    def now(_type: type[datetime], tz: tzinfo | None = None) -> datetime:
        return real_now(tz) + by

    (attributes,) = (found for found in gc.get_referents(datetime.__dict__) if isinstance(found, dict))
    attributes["now"] = classmethod(now)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))
    time.time = lambda: real_time() + seconds


@contextmanager
def stepped(seconds: float) -> Iterator[None]:
    """This process on a machine whose clock is wrong, for a while."""
    step(seconds)
    try:
        yield
    finally:
        step(-seconds)


if __name__ == "__main__":
    step(float(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
