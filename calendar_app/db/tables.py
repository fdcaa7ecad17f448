"""Every table, in the order a newcomer meets them: people, connections, mirror, scheduling, bookings, bookkeeping.

All datetimes are aware UTC. The hot interval tables, ``occurrence`` and ``host_reservation``, hold *instants* (epoch
seconds, see :mod:`calendar_app.domain.timespan`), which is what the engine computes with. Rows never leave
``services``: pages and the API get small dataclasses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from calendar_app.db.ids import new_id
from calendar_app.db.types import EncryptedText, Json, UtcDateTime

_NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = _NAMING
_BIG_KEY = BigInteger().with_variant(Integer(), "sqlite")


def _now() -> datetime:
    return datetime.now(UTC)


def _id() -> Any:
    return Field(default_factory=new_id, primary_key=True, max_length=26)


def _ref(target: str, *, nullable: bool = False, index: bool = True, ondelete: str = "CASCADE") -> Any:
    column: Column[str] = Column(ForeignKey(target, ondelete=ondelete), nullable=nullable, index=index)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def _when(*, nullable: bool = False, index: bool = False) -> Any:
    if nullable:
        return Field(default=None, sa_column=Column(UtcDateTime, nullable=True, index=index))
    return Field(default_factory=_now, sa_column=Column(UtcDateTime, nullable=False, index=index))


def _json(default: Any) -> Any:
    return Field(default_factory=default, sa_column=Column(Json, nullable=False))


def _text() -> Any:
    return Field(default="", sa_column=Column(Text, nullable=False))


# --- people and workspaces -------------------------------------------------------------------------------------------


class Person(SQLModel, table=True):
    """Somebody with an account; ``email`` is lower-case. ``password_hash`` is Argon2id."""

    __tablename__ = "person"
    id: str = _id()
    email: str = Field(unique=True, max_length=320)
    name: str = ""
    timezone: str = "UTC"
    password_hash: str = ""
    calendar_sync_enabled: bool = True
    created_at: datetime = _when()


class AuthSession(SQLModel, table=True):
    """A signed-in browser; the cookie holds the secret, the row its SHA-256."""

    __tablename__ = "auth_session"
    id: str = _id()
    person_id: str = _ref("person.id")
    token_hash: str = Field(unique=True, max_length=64)
    user_agent: str = ""
    created_at: datetime = _when()
    last_seen_at: datetime = _when()
    expires_at: datetime = _when()


class ApiToken(SQLModel, table=True):
    """A bearer token for the HTTP API; only its SHA-256 is kept. ``scopes``: list of strings, ``["*"]`` for all."""

    __tablename__ = "api_token"
    id: str = _id()
    person_id: str = _ref("person.id")
    name: str = ""
    token_hash: str = Field(unique=True, max_length=64)
    scopes: list[str] = _json(list)
    created_at: datetime = _when()
    expires_at: datetime | None = _when(nullable=True)
    last_used_at: datetime | None = _when(nullable=True)


class Workspace(SQLModel, table=True):
    """A business. ``slug`` is its address under ``/book/``.

    What follows when somebody changes a booking's event at the provider: ``outside_moves`` is ``flag``,
    ``reschedule`` (the booking follows) or ``restore`` (the event is put back); ``outside_deletes`` is ``flag``,
    ``cancel`` or ``restore``.
    """

    __tablename__ = "workspace"
    id: str = _id()
    slug: str = Field(unique=True, max_length=64)
    name: str
    timezone: str = "UTC"
    auto_sync_bookings: bool = True
    outside_moves: str = Field(default="flag", max_length=16)
    outside_deletes: str = Field(default="flag", max_length=16)
    created_at: datetime = _when()


class Membership(SQLModel, table=True):
    """``role``: ``owner``, ``admin``, ``manager``, ``staff`` or ``customer``."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("workspace_id", "person_id"),)
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    person_id: str = _ref("person.id")
    role: str = Field(max_length=16)
    created_at: datetime = _when()


class Invitation(SQLModel, table=True):
    """Somebody asked to join a workspace by e-mail; ``token_hash`` is the SHA-256 of the link's secret."""

    __tablename__ = "invitation"
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    email: str = Field(max_length=320)
    role: str = Field(max_length=16)
    token_hash: str = Field(unique=True, max_length=64)
    invited_by: str = _ref("person.id")
    created_at: datetime = _when()
    expires_at: datetime = _when(index=True)
    accepted_at: datetime | None = _when(nullable=True)


# --- connections ------------------------------------------------------------------------------------------------------


class OAuthAttempt(SQLModel, table=True):
    """One press of "Connect": the row behind an OAuth ``state``. Single use, expiring, bound to one browser session.

    ``state_hash`` is the SHA-256 of the state, ``binding`` that of the browser session or API token that started it.
    """

    __tablename__ = "oauth_attempt"
    id: str = _id()
    state_hash: str = Field(unique=True, max_length=64)
    binding: str = Field(max_length=64)
    provider: str = Field(max_length=32)
    workspace_id: str = _ref("workspace.id")
    person_id: str = _ref("person.id")
    connection_id: str | None = Field(default=None, max_length=26)
    code_verifier: str = Field(sa_column=Column(EncryptedText, nullable=False))
    next_path: str = ""
    created_at: datetime = _when()
    expires_at: datetime = _when(index=True)
    used_at: datetime | None = _when(nullable=True)


class Connection(SQLModel, table=True):
    """One grant of one account at one provider.

    ``status``: ``connected``, ``error``, ``needs_reconnect`` or ``disconnected`` (``syncing`` is derived from its
    calendars). Tokens are encrypted; ``token_version`` rises with each saved refresh. After repeated failure nothing is
    asked of the provider before ``retry_at``.
    """

    __tablename__ = "connection"
    __table_args__ = (UniqueConstraint("workspace_id", "person_id", "provider", "account_id"),)
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    person_id: str = _ref("person.id")
    provider: str = Field(max_length=32)
    account_id: str
    account_email: str = ""
    status: str = Field(default="connected", max_length=16, index=True)
    scopes: list[str] = _json(list)
    access_token: str | None = Field(default=None, sa_column=Column(EncryptedText, nullable=True))
    refresh_token: str | None = Field(default=None, sa_column=Column(EncryptedText, nullable=True))
    access_expires_at: datetime | None = _when(nullable=True, index=True)
    token_version: int = 0
    refresh_lease_until: datetime | None = _when(nullable=True)
    last_sync_at: datetime | None = _when(nullable=True)
    last_error_code: str = ""
    last_error: str = _text()
    last_error_at: datetime | None = _when(nullable=True)
    failures: int = 0
    retry_at: datetime | None = _when(nullable=True)
    created_at: datetime = _when()
    disconnected_at: datetime | None = _when(nullable=True)


class Calendar(SQLModel, table=True):
    """One calendar of a connection, with its mirror's cursor.

    ``sync_fence`` rises with each sync that starts; a sync may only commit while the fence is still its own.
    ``sync_requested_at`` later than ``sync_started_at`` means another sync is due. ``sync_progress`` counts events read
    by the running sync. After a failure nothing is tried before ``sync_retry_at`` (unless somebody asks); ``None`` with
    a failure means that trying again would not help. ``removals_accepted``: a person agreed that the next full sync may
    remove most of the calendar. ``stale_policy``: what a mirror that is too old does to slots: ``keep`` (last known
    state counts), ``close`` (no slots), ``approve`` (bookings need approval) or ``ignore``.
    """

    __tablename__ = "calendar"
    __table_args__ = (UniqueConstraint("connection_id", "remote_id"),)
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    connection_id: str = _ref("connection.id")
    remote_id: str
    name: str = ""
    color: str = ""
    timezone: str = "UTC"
    access_role: str = Field(default="reader", max_length=16)
    is_primary: bool = False
    checks_conflicts: bool = True
    receives_bookings: bool = False
    stale_policy: str = Field(default="keep", max_length=16)
    sync_cursor: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    sync_fence: int = 0
    sync_lease_until: datetime | None = _when(nullable=True)
    sync_requested_at: datetime | None = _when(nullable=True)
    sync_started_at: datetime | None = _when(nullable=True)
    sync_retry_at: datetime | None = _when(nullable=True)
    sync_progress: int = 0
    removals_accepted: bool = False
    synced_at: datetime | None = _when(nullable=True, index=True)
    full_synced_at: datetime | None = _when(nullable=True)
    last_error_code: str = ""
    last_error: str = _text()
    failures: int = 0
    created_at: datetime = _when()
    removed_at: datetime | None = _when(nullable=True)


class Channel(SQLModel, table=True):
    """A push channel at a provider. ``id`` is the channel id we chose, ``secret`` what its notifications prove
    themselves with. ``resource_id`` is the provider's own name of it, empty while or because it was not granted."""

    __tablename__ = "channel"
    id: str = _id()
    calendar_id: str = _ref("calendar.id")
    resource_id: str = ""
    secret: str = Field(sa_column=Column(EncryptedText, nullable=False))
    expires_at: datetime = _when(index=True)
    last_message: int = 0
    last_push_at: datetime | None = _when(nullable=True)
    created_at: datetime = _when()
    stopped_at: datetime | None = _when(nullable=True)


# --- mirror -----------------------------------------------------------------------------------------------------------


class Event(SQLModel, table=True):
    """An event, recurring master or changed occurrence, as last read from its provider.

    ``payload`` is the whole :class:`calendar_app.domain.event.CalendarEvent` as JSON (see ``db.mirror``); the other
    columns are what queries need. ``master_id`` is the provider's id of the recurring master. ``booking_id`` marks
    an event that we wrote ourselves.
    """

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("calendar_id", "remote_id"),
        Index("ix_event_master", "calendar_id", "master_id"),
    )
    id: int | None = Field(default=None, sa_column=Column(_BIG_KEY, primary_key=True, autoincrement=True))
    calendar_id: str = _ref("calendar.id", index=False)
    remote_id: str
    master_id: str | None = None
    is_recurring: bool = False
    booking_id: str | None = Field(default=None, max_length=26, index=True)
    summary: str = _text()
    etag: str = ""
    payload: dict[str, Any] = _json(dict)


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
    id: int | None = Field(default=None, sa_column=Column(_BIG_KEY, primary_key=True, autoincrement=True))
    calendar_id: str = _ref("calendar.id", index=False)
    event_id: int = Field(
        sa_column=Column(_BIG_KEY, ForeignKey("event.id", ondelete="CASCADE"), nullable=False)
    )
    starts: int = Field(sa_column=Column(BigInteger, nullable=False))
    ends: int = Field(sa_column=Column(BigInteger, nullable=False))
    original: int = Field(sa_column=Column(BigInteger, nullable=False))
    all_day: bool = False
    busy: bool = True


# --- scheduling -------------------------------------------------------------------------------------------------------


class Schedule(SQLModel, table=True):
    """Working hours of a person: ``weekly`` and ``overrides`` as in :mod:`calendar_app.domain.schedule`."""

    __tablename__ = "schedule"
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    person_id: str = _ref("person.id")
    name: str = "Working hours"
    timezone: str = "UTC"
    weekly: dict[str, Any] = _json(dict)
    overrides: dict[str, Any] = _json(dict)
    is_default: bool = True
    created_at: datetime = _when()


class EventType(SQLModel, table=True):
    """Something that can be booked. Minutes for lengths, days for the horizon; caps of 0 mean none.

    ``reminders``: minutes before the start at which the customer is reminded. ``category`` and ``priority`` choose a
    colour (:mod:`calendar_app.domain.colors`) unless ``color`` names one.

    ``hosting``: ``single``, ``round_robin`` or ``collective``. ``questions``: list of question objects as in
    :mod:`calendar_app.domain.booking`.
    """

    __tablename__ = "event_type"
    __table_args__ = (UniqueConstraint("workspace_id", "slug"),)
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    slug: str = Field(max_length=64)
    title: str
    description: str = _text()
    location: str = ""
    color: str = ""
    durations: list[int] = _json(lambda: [30])
    buffer_before: int = 0
    buffer_after: int = 0
    minimum_notice: int = 0
    horizon_days: int = 60
    step_minutes: int = 15
    daily_cap: int = 0
    weekly_cap: int = 0
    seats: int = 1
    requires_approval: bool = False
    category: str = Field(default="", max_length=32)
    priority: str = Field(default="", max_length=16)
    reminders: list[int] = _json(list)
    hosting: str = Field(default="single", max_length=16)
    questions: list[dict[str, Any]] = _json(list)
    cancel_notice: int = 0
    is_public: bool = True
    is_active: bool = True
    created_at: datetime = _when()


class EventTypeHost(SQLModel, table=True):
    """A host of an event type; ``schedule_id`` ``None`` means the person's default schedule in the workspace."""

    __tablename__ = "event_type_host"
    __table_args__ = (UniqueConstraint("event_type_id", "person_id"),)
    id: str = _id()
    event_type_id: str = _ref("event_type.id")
    person_id: str = _ref("person.id")
    schedule_id: str | None = _ref("schedule.id", nullable=True, index=False, ondelete="SET NULL")
    weight: int = 1


# --- bookings ---------------------------------------------------------------------------------------------------------


class CustomerOrder(SQLModel, table=True):
    """Several appointments bought together; confirming it makes all of them or none.

    ``status``: ``draft``, ``confirmed``, ``cancelled``.
    """

    __tablename__ = "customer_order"
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    status: str = Field(default="draft", max_length=16)
    name: str
    email: str = Field(max_length=320)
    timezone: str = "UTC"
    created_at: datetime = _when()
    confirmed_at: datetime | None = _when(nullable=True)


class OrderLine(SQLModel, table=True):
    """One appointment of an order: what, when, how long (minutes), the answers to the event type's questions, and the
    booking it became."""

    __tablename__ = "order_line"
    id: str = _id()
    order_id: str = _ref("customer_order.id")
    event_type_id: str = _ref("event_type.id", ondelete="RESTRICT")
    position: int = 0
    start_at: datetime = _when()
    duration: int = 30
    answers: dict[str, Any] = _json(dict)
    booking_id: str | None = Field(default=None, max_length=26)


class Booking(SQLModel, table=True):
    """An appointment. ``version`` rises with each change that calendars must learn of; ``sequence`` is iTIP's.

    ``status``: ``pending``, ``confirmed``, ``declined``, ``cancelled``, ``completed``, ``no_show``. ``timezone`` is the
    customer's. ``uid`` is the iCalendar UID, the same in every calendar and mail.
    """

    __tablename__ = "booking"
    __table_args__ = (Index("ix_booking_workspace_start", "workspace_id", "start_at"),)
    id: str = _id()
    workspace_id: str = _ref("workspace.id", index=False)
    event_type_id: str = _ref("event_type.id", ondelete="RESTRICT")
    status: str = Field(default="confirmed", max_length=16)
    start_at: datetime = _when()
    end_at: datetime = _when()
    timezone: str = "UTC"
    name: str
    email: str = Field(max_length=320, index=True)
    answers: dict[str, Any] = _json(dict)
    location: str = ""
    color: str = ""
    order_id: str | None = _ref("customer_order.id", nullable=True, ondelete="SET NULL")
    uid: str = Field(unique=True)
    version: int = 1
    sequence: int = 0
    created_at: datetime = _when()
    cancelled_at: datetime | None = _when(nullable=True)
    cancelled_by: str = ""
    cancel_reason: str = _text()


class Hold(SQLModel, table=True):
    """A slot kept for one visitor while they fill in the form; its reservations are in state ``held``.

    ``visitor`` is the SHA-256 of the secret in the visitor's cookie: only that visitor may book or drop the hold.
    """

    __tablename__ = "hold"
    id: str = _id()
    event_type_id: str = _ref("event_type.id")
    visitor: str = Field(max_length=64, index=True)
    start_at: datetime = _when()
    end_at: datetime = _when()
    created_at: datetime = _when()
    expires_at: datetime = _when(index=True)


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
    id: str = _id()
    host_id: str = _ref("person.id", index=False)
    event_type_id: str = _ref("event_type.id", index=False)
    starts: int = Field(sa_column=Column(BigInteger, nullable=False))
    ends: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str = Field(max_length=16)
    hold_id: str | None = _ref("hold.id", nullable=True)
    expires: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))


class BookingHost(SQLModel, table=True):
    """A host of a booking. Several bookings of a group event share one reservation; a released one is ``None``."""

    __tablename__ = "booking_host"
    __table_args__ = (UniqueConstraint("booking_id", "person_id"),)
    id: str = _id()
    booking_id: str = _ref("booking.id")
    person_id: str = _ref("person.id")
    reservation_id: str | None = _ref("host_reservation.id", nullable=True, ondelete="SET NULL")


class CalendarWrite(SQLModel, table=True):
    """What must stand in one calendar for one booking, and how far the calendar has been brought: also the receipt.

    Desired state, not a log: a worker brings ``applied_version`` up to ``desired_version``; ``present`` says whether
    the event should exist at all. ``fence`` rises with each claim; only the latest claim may record a result.
    ``state``: ``queued``, ``written``, ``verified``, ``failed`` (dead letter), ``removed``.
    """

    __tablename__ = "calendar_write"
    __table_args__ = (
        UniqueConstraint("booking_id", "calendar_id"),
        Index("ix_calendar_write_due", "state", "next_attempt_at"),
        Index("ix_calendar_write_remote", "calendar_id", "remote_id"),
    )
    id: str = _id()
    booking_id: str = _ref("booking.id")
    calendar_id: str = _ref("calendar.id", index=False)
    remote_id: str
    present: bool = True
    desired_version: int = 1
    applied_version: int = 0
    state: str = Field(default="queued", max_length=16)
    etag: str = ""
    html_link: str = ""
    attempts: int = 0
    next_attempt_at: datetime | None = _when(nullable=True)
    lease_until: datetime | None = _when(nullable=True)
    fence: int = 0
    last_error_code: str = ""
    last_error: str = _text()
    written_at: datetime | None = _when(nullable=True)
    verified_at: datetime | None = _when(nullable=True)
    created_at: datetime = _when()


class Deviation(SQLModel, table=True):
    """A booking and a calendar that do not say the same, found by a sync or by the drift report, until it is settled.

    ``kind``: ``moved``, ``deleted`` or ``changed`` (somebody did that at the provider), ``missing`` (never arrived),
    ``stray`` (an event of ours whose booking no longer stands). ``detail`` holds what was found, ``resolution`` what
    became of it: ``followed``, ``restored``, ``cancelled``, ``dismissed`` or ``vanished``. While it is open the
    latter is empty, ``recheck`` (to be looked into again) or ``checking``: only seen by a sync (kind ``sighted``).
    """

    __tablename__ = "deviation"
    __table_args__ = (Index("ix_deviation_open", "workspace_id", "resolved_at"),)
    id: str = _id()
    workspace_id: str = _ref("workspace.id", index=False)
    booking_id: str | None = _ref("booking.id", nullable=True)
    calendar_id: str = _ref("calendar.id")
    remote_id: str = ""
    kind: str = Field(max_length=16)
    detail: dict[str, Any] = _json(dict)
    found_at: datetime = _when()
    resolved_at: datetime | None = _when(nullable=True)
    resolution: str = Field(default="", max_length=16)


class Disconnection(SQLModel, table=True):
    """The end of a connection as a piece of work: what becomes of the bookings that live there, and how far it is.

    ``bookings``: ``leave``, ``move`` (to the calendar ``move_to``) or ``cancel``. ``state``: ``running``, ``done``.
    """

    __tablename__ = "disconnection"
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    connection_id: str = _ref("connection.id")
    person_id: str = _ref("person.id")
    bookings: str = Field(max_length=16)
    move_to: str | None = Field(default=None, max_length=26)
    total: int = 0
    done: int = 0
    failed: int = 0
    revoked: bool = False
    state: str = Field(default="running", max_length=16, index=True)
    last_error: str = _text()
    lease_until: datetime | None = _when(nullable=True)
    created_at: datetime = _when()
    finished_at: datetime | None = _when(nullable=True)


class Feed(SQLModel, table=True):
    """A person's private iCalendar feed of a workspace; who knows the secret may read it. ``digest`` is its SHA-256."""

    __tablename__ = "feed"
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    person_id: str = _ref("person.id")
    secret: str = Field(sa_column=Column(EncryptedText, nullable=False))
    digest: str = Field(unique=True, max_length=64)
    created_at: datetime = _when()
    last_read_at: datetime | None = _when(nullable=True)
    revoked_at: datetime | None = _when(nullable=True)


class Mail(SQLModel, table=True):
    """A message that must go out once, queued in the transaction that made it due; also the sandbox's local mailbox.

    ``dedupe`` is unique (``booking id:kind:sequence:recipient``), so the same occasion can never queue twice.
    ``state``: ``queued``, ``sent``, ``failed``, ``dropped`` (a reminder that was overtaken). ``reply_to``: whom an
    answer should reach, if not the sender. ``fence`` and ``lease_until`` as in :class:`CalendarWrite`.
    """

    __tablename__ = "mail"
    __table_args__ = (Index("ix_mail_due", "state", "next_attempt_at"),)
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    booking_id: str | None = _ref("booking.id", nullable=True)
    kind: str = Field(max_length=32)
    dedupe: str = Field(unique=True)
    recipient: str = Field(max_length=320)
    reply_to: str = Field(default="", max_length=320, sa_column_kwargs={"server_default": ""})
    subject: str
    body: str = _text()
    ics: str = _text()
    ics_method: str = Field(default="", max_length=16)
    message_id: str = ""
    state: str = Field(default="queued", max_length=16)
    attempts: int = 0
    next_attempt_at: datetime | None = _when(nullable=True)
    lease_until: datetime | None = _when(nullable=True)
    fence: int = 0
    last_error: str = _text()
    created_at: datetime = _when()
    sent_at: datetime | None = _when(nullable=True)


# --- bookkeeping ------------------------------------------------------------------------------------------------------


class IdempotencyRecord(SQLModel, table=True):
    """The first answer to an ``Idempotency-Key``; ``scope`` is who sent it and where to; no ``response``: running."""

    __tablename__ = "idempotency_record"
    __table_args__ = (UniqueConstraint("scope", "key"),)
    id: str = _id()
    scope: str
    key: str = Field(max_length=255)
    body_hash: str = Field(max_length=64)
    status: int | None = None
    response: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))
    created_at: datetime = _when(index=True)


class AuditEntry(SQLModel, table=True):
    """Who did what to which object, and when; ``person_id`` ``None`` for customers and the system itself."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_subject", "subject_type", "subject_id", "at"),)
    id: str = _id()
    workspace_id: str = _ref("workspace.id")
    person_id: str | None = _ref("person.id", nullable=True, index=False, ondelete="SET NULL")
    actor: str = ""
    action: str = Field(max_length=64)
    subject_type: str = Field(max_length=32)
    subject_id: str = Field(max_length=32)
    detail: dict[str, Any] = _json(dict)
    at: datetime = _when()
