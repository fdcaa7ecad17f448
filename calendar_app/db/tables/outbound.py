"""What has to happen at providers and in mailboxes because of a booking, and how far each of it is.

``next_attempt_at`` is not waited for where ``tried_at``, when the row was put off until then, lies in the future
(:mod:`calendar_app.db.due`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, UniqueConstraint, false
from sqlmodel import Field, SQLModel

from calendar_app.db.tables.columns import json, ref, row_id, text, when
from calendar_app.db.types import NullableJson


class CalendarWrite(SQLModel, table=True):
    """What must stand in one calendar for one booking, and how far the calendar has been brought: also the receipt.

    Desired state, not a log: a worker brings ``applied_version`` up to ``desired_version``; ``present`` says whether
    the event should exist at all. ``fence`` rises with each claim; only the latest claim may record a result.
    ``state``: ``queued``, ``written``, ``verified``, ``failed`` (dead letter), ``removed``.

    ``meeting``: the kind of online meeting that this calendar makes for the booking, empty for all calendars but one;
    ``meeting_state`` is how far it is (:class:`calendar_app.domain.meeting.MeetingState`), empty without one.
    """

    __tablename__ = "calendar_write"
    __table_args__ = (
        UniqueConstraint("booking_id", "calendar_id"),
        Index("ix_calendar_write_due", "state", "next_attempt_at"),
        Index("ix_calendar_write_remote", "calendar_id", "remote_id"),
    )
    id: str = row_id()
    booking_id: str = ref("booking.id")
    calendar_id: str = ref("calendar.id", index=False)
    remote_id: str
    present: bool = True
    desired_version: int = 1
    applied_version: int = 0
    state: str = Field(default="queued", max_length=16)
    etag: str = ""
    html_link: str = ""
    attempts: int = 0
    next_attempt_at: datetime | None = when(nullable=True)
    tried_at: datetime | None = when(nullable=True)
    lease_until: datetime | None = when(nullable=True)
    fence: int = 0
    last_error_code: str = ""
    last_error: str = text()
    written_at: datetime | None = when(nullable=True)
    verified_at: datetime | None = when(nullable=True)
    created_at: datetime = when()
    meeting: str = Field(default="", max_length=24, sa_column_kwargs={"server_default": ""})
    meeting_state: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})


class Deviation(SQLModel, table=True):
    """A booking and a calendar that do not say the same, found by a sync or by the drift report, until it is settled.

    ``kind``: ``moved``, ``deleted`` or ``changed`` (somebody did that at the provider), ``missing`` (never arrived),
    ``stray`` (an event of ours whose booking no longer stands), ``orphaned`` (one whose booking is not known).
    ``detail`` holds what was found, ``resolution`` what became of it: ``followed``, ``restored``, ``cancelled``,
    ``taken_in``, ``removed``, ``dismissed`` or ``vanished``. While it is open the latter is empty, ``recheck`` (to be
    looked into again) or ``checking``: only seen by a sync (kind ``sighted``); neither is looked into before
    ``next_attempt_at``, after ``attempts`` that came to nothing.
    """

    __tablename__ = "deviation"
    __table_args__ = (Index("ix_deviation_open", "workspace_id", "resolved_at"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id", index=False)
    booking_id: str | None = ref("booking.id", nullable=True)
    calendar_id: str = ref("calendar.id")
    remote_id: str = ""
    kind: str = Field(max_length=16)
    detail: dict[str, Any] = json(dict)
    found_at: datetime = when()
    resolved_at: datetime | None = when(nullable=True)
    resolution: str = Field(default="", max_length=16)
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_attempt_at: datetime | None = when(nullable=True)
    tried_at: datetime | None = when(nullable=True)


class Disconnection(SQLModel, table=True):
    """The end of a connection as a piece of work: what becomes of the bookings that live there, and how far it is.

    ``bookings``: ``leave``, ``move`` (to the calendar ``move_to``) or ``cancel``. ``state``: ``running``, ``done``.
    """

    __tablename__ = "disconnection"
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    connection_id: str = ref("connection.id")
    person_id: str = ref("person.id")
    bookings: str = Field(max_length=16)
    move_to: str | None = Field(default=None, max_length=26)
    total: int = 0
    done: int = 0
    failed: int = 0
    revoked: bool = False
    state: str = Field(default="running", max_length=16, index=True)
    last_error: str = text()
    lease_until: datetime | None = when(nullable=True)
    created_at: datetime = when()
    finished_at: datetime | None = when(nullable=True)


class Mail(SQLModel, table=True):
    """A message that must go out once, queued in the transaction that made it due; also the sandbox's local mailbox.

    ``dedupe`` is unique (``booking id:kind:sequence:recipient``), so the same occasion can never queue twice.
    ``state``: ``due`` (written when it is sent, from ``facts``), ``queued`` (its text stands in the row), ``sent``,
    ``failed``, ``dropped`` (overtaken, or nothing to tell). ``reply_to``: whom an answer should reach, if not the
    sender. ``fence`` and ``lease_until`` as in :class:`CalendarWrite`.

    ``workspace_id`` is ``None`` for what concerns an account, which may belong to several workspaces or none.

    ``facts``: what an email about a booking tells of it as it was at ``version`` and ``sequence``, the booking's own
    then. ``language``: of a text that stands in the row, as a tag; empty: English. ``may_have_arrived``: a try to send
    it ended in a way that leaves open whether the mail server took it.
    """

    __tablename__ = "mail"
    __table_args__ = (Index("ix_mail_due", "state", "next_attempt_at"),)
    id: str = row_id()
    workspace_id: str | None = ref("workspace.id", nullable=True)
    booking_id: str | None = ref("booking.id", nullable=True)
    kind: str = Field(max_length=32)
    dedupe: str = Field(unique=True)
    recipient: str = Field(max_length=320)
    reply_to: str = Field(default="", max_length=320, sa_column_kwargs={"server_default": ""})
    subject: str = ""
    body: str = text()
    ics: str = text()
    ics_method: str = Field(default="", max_length=16)
    language: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    message_id: str = ""
    facts: dict[str, Any] | None = Field(default=None, sa_column=Column(NullableJson, nullable=True))
    version: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    sequence: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    may_have_arrived: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    state: str = Field(default="queued", max_length=16)
    attempts: int = 0
    next_attempt_at: datetime | None = when(nullable=True)
    tried_at: datetime | None = when(nullable=True)
    lease_until: datetime | None = when(nullable=True)
    fence: int = 0
    last_error: str = text()
    created_at: datetime = when()
    sent_at: datetime | None = when(nullable=True)
