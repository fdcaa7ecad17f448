"""What providers' calendars hold, as last read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from calendar_app.db.tables.columns import BIG_KEY, json, ref, row_id, text, when
from calendar_app.db.types import NullableJson


class Event(SQLModel, table=True):
    """An event, recurring master or changed occurrence, as last read from its provider.

    ``payload`` is the whole :class:`calendar_app.domain.event.CalendarEvent` as JSON (see ``db.mirror``); the other
    columns are what queries need. ``master_id`` is the provider's id of the recurring master. ``booking_id`` marks
    an event that we wrote ourselves. ``unread`` holds sentences about what of it was not understood, ``None`` for
    nothing.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("calendar_id", "remote_id"),
        Index("ix_event_master", "calendar_id", "master_id"),
    )
    id: int | None = Field(default=None, sa_column=Column(BIG_KEY, primary_key=True, autoincrement=True))
    calendar_id: str = ref("calendar.id", index=False)
    remote_id: str
    master_id: str | None = None
    is_recurring: bool = False
    booking_id: str | None = Field(default=None, max_length=26, index=True)
    summary: str = text()
    etag: str = ""
    payload: dict[str, Any] = json(dict)
    unread: list[str] | None = Field(default=None, sa_column=Column(NullableJson, nullable=True))


class PlacedEvent(SQLModel, table=True):
    """An event that somebody put into a calendar through us, so that it is found again by the id that it was given.

    ``id`` follows from the calendar and from what tells the request from others, so that a repetition has the same.
    ``own_id`` is the caller's own name of the event, empty for none; ``remote_id`` the provider's.
    """

    __tablename__ = "placed_event"
    __table_args__ = (Index("ix_placed_event_remote", "calendar_id", "remote_id"),)
    id: str = row_id()
    calendar_id: str = ref("calendar.id", index=False)
    own_id: str = ""
    remote_id: str
    created_at: datetime = when()


class Occurrence(SQLModel, table=True):
    """One occurrence of a mirrored event inside the mirror's window, expanded from recurrence.

    ``starts``/``ends`` are instants. ``busy`` is whether it blocks its owner's time. ``original`` is the instant of its
    RECURRENCE-ID. The availability engine and the calendar views both read this table.
    """

    __tablename__ = "occurrence"
    __table_args__ = (
        Index("ix_occurrence_span", "calendar_id", "ends", "starts", "busy"),
        Index("ix_occurrence_event", "event_id"),
    )
    id: int | None = Field(default=None, sa_column=Column(BIG_KEY, primary_key=True, autoincrement=True))
    calendar_id: str = ref("calendar.id", index=False)
    event_id: int = Field(
        sa_column=Column(BIG_KEY, ForeignKey("event.id", ondelete="CASCADE"), nullable=False)
    )
    starts: int = Field(sa_column=Column(BigInteger, nullable=False))
    ends: int = Field(sa_column=Column(BigInteger, nullable=False))
    original: int = Field(sa_column=Column(BigInteger, nullable=False))
    all_day: bool = False
    busy: bool = True
