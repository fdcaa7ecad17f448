"""Appointments, and the claims on people's time that go with them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from calendar_app.db.tables.columns import json, ref, row_id, text, when


class CustomerOrder(SQLModel, table=True):
    """Several appointments bought together; confirming it makes all of them or none.

    ``status``: ``draft``, ``confirmed``, ``cancelled``. ``taken_by``: the id of who took it for the customer.
    ``language`` as in :class:`Booking`.
    """

    __tablename__ = "customer_order"
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    status: str = Field(default="draft", max_length=16)
    name: str
    email: str = Field(max_length=320)
    timezone: str = "UTC"
    language: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    taken_by: str | None = Field(default=None, max_length=26)
    created_at: datetime = when()
    confirmed_at: datetime | None = when(nullable=True)


class OrderLine(SQLModel, table=True):
    """One appointment of an order: what, when, how long (minutes), the answers to the event type's questions, what else
    was entered (by the names of :class:`calendar_app.domain.booking_form.GivenDetails`), and the booking it became."""

    __tablename__ = "order_line"
    id: str = row_id()
    order_id: str = ref("customer_order.id")
    event_type_id: str = ref("event_type.id", ondelete="RESTRICT")
    position: int = 0
    start_at: datetime = when()
    duration: int = 30
    answers: dict[str, Any] = json(dict)
    details: dict[str, Any] = json(dict, stored="{}")
    booking_id: str | None = Field(default=None, max_length=26)


class Booking(SQLModel, table=True):
    """An appointment. ``version`` rises with each change that calendars must learn of; ``sequence`` is iTIP's.

    ``status``: ``pending``, ``confirmed``, ``declined``, ``cancelled``, ``completed``, ``no_show``. ``timezone`` is the
    customer's, and so is ``language``, a tag like ``de-AT``; empty: the workspace's. ``uid`` is the iCalendar UID, the
    same in every calendar and mail. ``changed_at`` is when its time or status last changed, ``None`` as long as neither
    has. ``campaign``: what the link said of where the customer came from (``{"utm_source": …}``).

    ``location`` is where it takes place: an address, a link or a phone number, as ``place_kind`` says
    (:class:`calendar_app.domain.meeting_place.PlaceKind`; empty for bookings from before there were kinds).
    Where a calendar makes the online meeting, it is empty until the link is there; ``meeting_error`` says why there is
    none. ``name`` and ``email`` are of the customer who comes, ``booked_by_name`` and ``booked_by_email`` of somebody
    who booked for them. ``guests`` are e-mail addresses; ``phone`` is E.164.
    """

    __tablename__ = "booking"
    __table_args__ = (Index("ix_booking_workspace_start", "workspace_id", "start_at"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id", index=False)
    event_type_id: str = ref("event_type.id", ondelete="RESTRICT")
    status: str = Field(default="confirmed", max_length=16)
    start_at: datetime = when()
    end_at: datetime = when()
    timezone: str = "UTC"
    language: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    name: str
    email: str = Field(max_length=320, index=True)
    answers: dict[str, Any] = json(dict)
    location: str = ""
    place_kind: str = Field(default="", max_length=24, sa_column_kwargs={"server_default": ""})
    place_label: str = Field(default="", sa_column_kwargs={"server_default": ""})
    phone: str = Field(default="", max_length=32, sa_column_kwargs={"server_default": ""})
    guests: list[str] = json(list, stored="[]")
    booked_by_name: str = Field(default="", sa_column_kwargs={"server_default": ""})
    booked_by_email: str = Field(default="", max_length=320, sa_column_kwargs={"server_default": ""})
    notes: str = text(stored="")
    color: str = ""
    order_id: str | None = ref("customer_order.id", nullable=True, ondelete="SET NULL")
    uid: str = Field(unique=True)
    version: int = 1
    sequence: int = 0
    created_at: datetime = when()
    changed_at: datetime | None = when(nullable=True)
    cancelled_at: datetime | None = when(nullable=True)
    cancelled_by: str = ""
    cancel_reason: str = text()
    campaign: dict[str, str] = json(dict)
    meeting_error: str = text(stored="")


class Hold(SQLModel, table=True):
    """A slot kept for one visitor while they fill in the form; its reservations are in state ``held``.

    ``visitor`` is the SHA-256 of a secret: only who has it may book or drop the hold. ``booking_id`` is the booking
    that was made with it.
    """

    __tablename__ = "hold"
    id: str = row_id()
    event_type_id: str = ref("event_type.id")
    visitor: str = Field(max_length=64, index=True)
    start_at: datetime = when()
    end_at: datetime = when()
    created_at: datetime = when()
    expires_at: datetime = when(index=True)
    booking_id: str | None = Field(default=None, max_length=26)


class HostReservation(SQLModel, table=True):
    """The claim on a person's time, buffers included: no two rows of one host may overlap (the database sees to it).

    PostgreSQL: ``EXCLUDE USING gist``; SQLite: triggers; see the first migration. A row exists only while it holds
    time: releasing it deletes it. ``state``: ``held`` (until ``expires``), ``pending`` or ``confirmed``.
    """

    __tablename__ = "host_reservation"
    __table_args__ = (
        CheckConstraint("starts < ends", name="ordered"),
        Index("ix_host_reservation_span", "host_id", "starts", "ends"),
        Index("ix_host_reservation_expires", "expires"),
    )
    id: str = row_id()
    host_id: str = ref("person.id", index=False)
    event_type_id: str = ref("event_type.id", index=False)
    starts: int = Field(sa_column=Column(BigInteger, nullable=False))
    ends: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str = Field(max_length=16)
    hold_id: str | None = ref("hold.id", nullable=True)
    expires: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class BookingHost(SQLModel, table=True):
    """A host of a booking. Several bookings of a group event share one reservation; a released one is ``None``."""

    __tablename__ = "booking_host"
    __table_args__ = (UniqueConstraint("booking_id", "person_id"),)
    id: str = row_id()
    booking_id: str = ref("booking.id")
    person_id: str = ref("person.id")
    reservation_id: str | None = ref("host_reservation.id", nullable=True, ondelete="SET NULL")
