"""Lists by pages: every list takes ``limit`` and ``after``, and answers ``{items, next}``.

Lists that grow without end are paged by their queries. The others, of which a workspace has dozens, are read as a whole
and cut here. A cursor names the place of the last item by what the list is ordered by, and so it holds when that item,
or another, is gone when the next page is asked for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, TypeVar

import orjson
from fastapi import Query

from calendar_app.errors import InvalidInput

Item = TypeVar("Item")
Place = tuple[str | int, ...]
"""Where an item stands in its list."""

MOST = 500
Limit = Annotated[int, Query(ge=1, le=MOST, description="Items on a page, at most")]
After = Annotated[str | None, Query(max_length=500, description="`next` of the page before")]


IdAfter = Annotated[
    str | None, Query(pattern=r"^[0-9a-z]{26}$", max_length=26, description="`next` of the page before")
]
"""The cursor of lists that are ordered by their ids."""


def cut(
    items: Iterable[Item],
    limit: int,
    after: str | None,
    place: Callable[[Item], Place],
    *,
    newest_first: bool = False,
) -> tuple[list[Item], str | None]:
    """One page of ``items`` in the order of ``place``, and the cursor of the next one, ``None`` on the last.

    :raises InvalidInput: ``after`` is no cursor of this list.
    """
    ordered = sorted(items, key=place, reverse=newest_first)
    if after is not None:
        last = _read(after)
        if ordered and len(last) != len(place(ordered[0])):
            raise _not_ours()
        try:
            ordered = [one for one in ordered if (place(one) < last if newest_first else place(one) > last)]
        except TypeError:
            raise _not_ours() from None
    page = ordered[:limit]
    return page, _written(place(page[-1])) if len(ordered) > limit else None


def at(moment: datetime | None) -> int:
    """A moment as a part of a place, to the microsecond; ``None`` comes first."""
    return -1 if moment is None else round(moment.timestamp() * 1_000_000)


def _written(place: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _read(cursor: str) -> Place:
    try:
        found = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise _not_ours() from None
    if not isinstance(found, list) or not all(isinstance(part, str | int) for part in found):
        raise _not_ours()
    return tuple(found)


def _not_ours() -> InvalidInput:
    return InvalidInput("This is not the `next` of a page of this list.", field="after")
