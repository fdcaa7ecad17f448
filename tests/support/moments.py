"""Things that happen at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from calendar_app.errors import AlmanacError


def at_once(*work: Callable[[], object]) -> list[object]:
    """Do all of it at the same moment; results, or the product's errors, in order."""
    barrier, results = threading.Barrier(len(work)), [None] * len(work)  # type: list[object]

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = work[number]()
        except AlmanacError as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
