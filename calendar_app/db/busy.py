"""Busy spans of calendars out of the mirror, in as few objects as can be.

Slots of a month read thousands of spans each time. Fetched as rows they cost several times what the engine needs to
think about them, so the database hands each calendar's starts and ends over as two arrays.
"""

from __future__ import annotations

from collections.abc import Collection

import orjson
from sqlalchemy import Text, bindparam, func, select
from sqlmodel import Session, SQLModel

import calendar_app.db.tables  # noqa: F401  # registers the tables
from calendar_app.domain.timespan import Span

_O = SQLModel.metadata.tables["occurrence"].c
_OF = (
    _O.calendar_id.in_(bindparam("calendars", expanding=True)),
    _O.ends > bindparam("low"),
    _O.starts < bindparam("high"),
    _O.busy,
    _O.starts < _O.ends,
)
_POSTGRESQL = (
    select(_O.calendar_id, func.array_agg(_O.starts), func.array_agg(_O.ends))
    .where(*_OF)
    .group_by(_O.calendar_id)
)
_SQLITE = (
    select(
        _O.calendar_id,
        func.json_group_array(_O.starts, type_=Text),
        func.json_group_array(_O.ends, type_=Text),
    )
    .where(*_OF)
    .group_by(_O.calendar_id)
)


def spans_by_calendar(
    session: Session, calendar_ids: Collection[str], span: Span
) -> dict[str, list[tuple[int, int]]]:
    """When each calendar blocks its owner's time within ``span``: spans that overlap it, uncut, in no order.

    A calendar that blocks nothing then is missing. The zero-length events that some calendars hold block nothing.
    """
    parameters = {"calendars": list(calendar_ids), "low": span.start, "high": span.end}
    if session.get_bind().dialect.name == "postgresql":
        rows = session.execute(_POSTGRESQL, parameters)
        return {calendar_id: list(zip(starts, ends, strict=True)) for calendar_id, starts, ends in rows}
    rows = session.execute(_SQLITE, parameters)
    return {
        calendar_id: list(zip(orjson.loads(starts), orjson.loads(ends), strict=True))
        for calendar_id, starts, ends in rows
    }
