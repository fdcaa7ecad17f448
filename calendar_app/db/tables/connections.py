"""How calendars are reached: grants at providers, the calendars behind them, and their push channels."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Text, UniqueConstraint, false, true
from sqlalchemy.orm import deferred, undefer_group
from sqlmodel import Field, SQLModel

from calendar_app.db.tables.columns import json, ref, row_id, text, when
from calendar_app.db.types import EncryptedText
from calendar_app.domain.connection import ConnectionStatus


class OAuthAttempt(SQLModel, table=True):
    """One press of "Connect": the row behind an OAuth ``state``. Single use, expiring, bound to one browser session.

    ``state_hash`` is the SHA-256 of the state, ``binding`` that of the browser session or API token that started it.
    """

    __tablename__ = "oauth_attempt"
    id: str = row_id()
    state_hash: str = Field(unique=True, max_length=64)
    binding: str = Field(max_length=64)
    provider: str = Field(max_length=32)
    workspace_id: str = ref("workspace.id")
    person_id: str = ref("person.id")
    connection_id: str | None = Field(default=None, max_length=26)
    code_verifier: str = Field(sa_column=Column(EncryptedText, nullable=False))
    next_path: str = ""
    created_at: datetime = when()
    expires_at: datetime = when(index=True)
    used_at: datetime | None = when(nullable=True)


_ACCESS_TOKEN = Column("access_token", EncryptedText, nullable=True)
_REFRESH_TOKEN = Column("refresh_token", EncryptedText, nullable=True)
WITH_TOKENS = (undefer_group("tokens"),)
"""An option for those few queries that need a connection's tokens; all others neither load nor decrypt them."""


class Connection(SQLModel, table=True):
    """One grant of one account at one provider.

    ``status``: ``connected``, ``error``, ``needs_reconnect`` or ``disconnected`` (``syncing`` is derived from its
    calendars). Tokens are encrypted; ``token_version`` rises with each saved refresh. After repeated failure nothing is
    asked of the provider before ``retry_at``. ``granted_at``: when its person consented last, ``None`` if that was
    before this was kept; ``grant_ends_at``: when the provider ends the grant, where that is known. Its calendars are
    listed again at ``listing_due_at``, after ``listing_tries``, the last at ``listing_tried_at``, that found one of
    them missing or not writable. ``addresses`` are the owner's at the provider, as they gave them.
    """

    __tablename__ = "connection"
    __mapper_args__: ClassVar[dict[str, Any]] = {
        "properties": {
            "access_token": deferred(_ACCESS_TOKEN, group="tokens"),
            "refresh_token": deferred(_REFRESH_TOKEN, group="tokens"),
        }
    }
    __table_args__ = (UniqueConstraint("workspace_id", "person_id", "provider", "account_id"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    person_id: str = ref("person.id")
    provider: str = Field(max_length=32)
    account_id: str
    account_email: str = ""
    status: str = Field(default=ConnectionStatus.CONNECTED, max_length=16, index=True)
    scopes: list[str] = json(list)
    addresses: list[str] = json(list)
    access_token: str | None = Field(default=None, sa_column=_ACCESS_TOKEN)
    refresh_token: str | None = Field(default=None, sa_column=_REFRESH_TOKEN)
    access_expires_at: datetime | None = when(nullable=True, index=True)
    granted_at: datetime | None = when(nullable=True)
    grant_ends_at: datetime | None = when(nullable=True)
    token_version: int = 0
    refresh_lease_until: datetime | None = when(nullable=True)
    last_sync_at: datetime | None = when(nullable=True)
    last_error_code: str = ""
    last_error: str = text()
    last_error_at: datetime | None = when(nullable=True)
    failures: int = 0
    retry_at: datetime | None = when(nullable=True)
    listing_due_at: datetime | None = when(nullable=True)
    listing_tried_at: datetime | None = when(nullable=True)
    listing_tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = when()
    disconnected_at: datetime | None = when(nullable=True)


class Calendar(SQLModel, table=True):
    """One calendar of a connection, with its mirror's cursor.

    It is used, and so read, while it checks for conflicts, receives bookings or is shown on the dashboard
    (:func:`calendar_app.services.connections.calendars.is_used`); ``used_since``: when that began
    again, ``None`` if it never ended.

    ``sync_fence`` rises with each sync that starts; a sync may only commit while the fence is still its own.
    ``sync_requested_at`` later than ``sync_started_at`` means another sync is due. ``sync_progress`` counts events read
    by the running sync. After a failure nothing is tried before ``sync_retry_at`` (unless somebody asks); ``None`` with
    a failure means that trying again would not help. ``removals_accepted``: a person agreed that the next full sync may
    remove most of the calendar. ``stale_policy``: what a mirror that is too old does to slots: ``approve`` (its last
    state counts, and bookings need approval), ``keep`` (its last state counts), ``close`` (no slots) or ``ignore``.

    ``reading_due_at``: since or from when a reading is due (:mod:`calendar_app.domain.reading_plan`), ``None`` while
    nobody has planned one; a failure leaves it where it is. It ``relies_on_push`` if it was planned while a channel
    vouched for it. ``full_due_at``: when a reading lists everything. ``changed_at``: when a reading last found a
    change; ``viewed_at``: when somebody last looked; ``wish_seconds``: how long its publisher wants it not asked.

    While it is listed for the first time, what lies before ``ahead_until`` may have been read ahead, at ``ahead_at``
    (:mod:`calendar_app.services.calendar_sync.first_reading`).

    ``timezone`` is the IANA zone in which dates and floating times are read; ``timezone_source`` says where it comes
    from (:class:`calendar_app.services.connections.calendar_time_zones.ZoneSource`), empty while nobody has looked.
    ``provider_timezone`` is what the provider named last, empty for none. ``write_lost_at``: since when bookings
    cannot be written here, for the reason in ``write_error``; ``None`` as far as they can. ``meeting_kinds``: the
    online meetings that it makes for events (:data:`calendar_app.domain.meeting_place.MADE_BY_CALENDARS`).

    ``unread`` names the first of ``unread_count`` things that could not be read, as ``{"what", "why"}``;
    ``listing_unread`` those of them that belong to no event. ``unread_told``: of which the owner was told, and when
    (:mod:`calendar_app.services.calendar_mirror.unreadable`).
    """

    __tablename__ = "calendar"
    __table_args__ = (UniqueConstraint("connection_id", "remote_id"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    connection_id: str = ref("connection.id")
    remote_id: str
    name: str = ""
    color: str = ""
    timezone: str = "UTC"
    timezone_source: str = Field(default="", max_length=16)
    provider_timezone: str = ""
    access_role: str = Field(default="reader", max_length=16)
    is_primary: bool = False
    checks_conflicts: bool = True
    receives_bookings: bool = False
    shown_on_dashboard: bool = Field(default=True, sa_column_kwargs={"server_default": true()})
    used_since: datetime | None = when(nullable=True)
    stale_policy: str = Field(default="approve", max_length=16)
    sync_cursor: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    sync_fence: int = 0
    sync_lease_until: datetime | None = when(nullable=True)
    sync_requested_at: datetime | None = when(nullable=True)
    sync_started_at: datetime | None = when(nullable=True)
    sync_retry_at: datetime | None = when(nullable=True)
    sync_progress: int = 0
    removals_accepted: bool = False
    synced_at: datetime | None = when(nullable=True, index=True)
    full_synced_at: datetime | None = when(nullable=True)
    reading_due_at: datetime | None = when(nullable=True)
    full_due_at: datetime | None = when(nullable=True)
    changed_at: datetime | None = when(nullable=True)
    viewed_at: datetime | None = when(nullable=True)
    relies_on_push: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    ahead_at: datetime | None = when(nullable=True)
    ahead_until: datetime | None = when(nullable=True)
    wish_seconds: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    last_error_code: str = ""
    last_error: str = text()
    failures: int = 0
    write_error_code: str = Field(default="", sa_column_kwargs={"server_default": ""})
    write_error: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    write_lost_at: datetime | None = when(nullable=True)
    unread: list[dict[str, str]] = json(list)
    unread_count: int = 0
    listing_unread: list[dict[str, str]] = json(list)
    unread_told: dict[str, Any] = json(dict)
    created_at: datetime = when()
    removed_at: datetime | None = when(nullable=True)
    meeting_kinds: list[str] = json(list, stored="[]")


_CHANNEL_SECRET = Column("secret", EncryptedText, nullable=False)
WITH_SECRET = (undefer_group("secret"),)
"""As :data:`WITH_TOKENS`, for a channel's secret."""


class Channel(SQLModel, table=True):
    """A push channel at a provider. ``id`` is the channel id we chose, ``secret`` what its notifications prove
    themselves with. ``resource_id`` is the provider's own name of it, empty while or because it was not granted; then
    ``refusal`` says why, for people. ``vouched_until``: when the access token ends with which it was last prolonged.
    ``suspected_at``: since when it is not trusted, because a reading found what it had not told."""

    __tablename__ = "channel"
    __mapper_args__: ClassVar[dict[str, Any]] = {
        "properties": {"secret": deferred(_CHANNEL_SECRET, group="secret")}
    }
    id: str = row_id()
    calendar_id: str = ref("calendar.id")
    resource_id: str = ""
    refusal: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    secret: str = Field(sa_column=_CHANNEL_SECRET)
    expires_at: datetime = when(index=True)
    last_message: int = 0
    last_push_at: datetime | None = when(nullable=True)
    created_at: datetime = when()
    stopped_at: datetime | None = when(nullable=True)
    vouched_until: datetime | None = when(nullable=True)
    suspected_at: datetime | None = when(nullable=True)
