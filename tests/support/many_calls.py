"""A process that asks one account for its calendars from many threads at once.

``python -m tests.support.many_calls <connection> <threads> <calls of each>`` prints how many calls were answered.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from calendar_app.services.connections import tokens as connection_tokens


def main(connection_id: str, threads: int, calls: int) -> int:
    def ask(_: int) -> bool:
        return bool(connection_tokens.call(connection_id, lambda provider: provider.list_calendars()))

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(ask, range(threads * calls)))


if __name__ == "__main__":
    sys.stdout.write(str(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
