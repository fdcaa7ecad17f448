"""Who there is: people, how they are signed in, and the workspaces they belong to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from calendar_app.db.tables.columns import json, ref, row_id, text, when
from calendar_app.db.types import EncryptedText


class Person(SQLModel, table=True):
    """Somebody with an account; ``email`` is lower-case. ``password_hash`` is Argon2id.

    ``language`` is the tag of the language in which they are written to; empty: that of the workspace.
    ``email_proven_at``: when they showed that the address is theirs, ``None`` where nothing could be sent to it.
    """

    __tablename__ = "person"
    id: str = row_id()
    email: str = Field(unique=True, max_length=320)
    name: str = ""
    timezone: str = "UTC"
    password_hash: str = ""
    language: str = Field(default="", max_length=16, sa_column_kwargs={"server_default": ""})
    calendar_sync_enabled: bool = True
    email_proven_at: datetime | None = when(nullable=True)
    created_at: datetime = when()


class AuthSession(SQLModel, table=True):
    """A signed-in browser; the cookie holds the secret, the row its SHA-256."""

    __tablename__ = "auth_session"
    id: str = row_id()
    person_id: str = ref("person.id")
    token_hash: str = Field(unique=True, max_length=64)
    user_agent: str = ""
    created_at: datetime = when()
    last_seen_at: datetime = when()
    expires_at: datetime = when()


class ApiToken(SQLModel, table=True):
    """A bearer token for the HTTP API; only its SHA-256 is kept. ``scopes``: list of strings, ``["*"]`` for all."""

    __tablename__ = "api_token"
    id: str = row_id()
    person_id: str = ref("person.id")
    name: str = ""
    token_hash: str = Field(unique=True, max_length=64)
    scopes: list[str] = json(list)
    created_at: datetime = when()
    expires_at: datetime | None = when(nullable=True)
    last_used_at: datetime | None = when(nullable=True)


class Workspace(SQLModel, table=True):
    """A business. ``slug`` is its address under ``/book/``.

    What follows when somebody changes a booking's event at the provider: ``outside_moves`` is ``flag``,
    ``reschedule`` (the booking follows) or ``restore`` (the event is put back); ``outside_deletes`` is ``flag``,
    ``cancel`` or ``restore``.

    How its booking pages look: ``language`` of who asks for none that is offered (empty: English), ``accent`` as
    ``#rrggbb`` (empty: the pages' own), ``logo`` names the image of :class:`WorkspaceLogo` (empty: none), ``sites`` are
    origins that may embed them (none: all may), ``confirmation_text`` stands below every confirmation, and
    ``shows_credit`` says whether "Scheduling by Almanac" does below every page.
    """

    __tablename__ = "workspace"
    id: str = row_id()
    slug: str = Field(unique=True, max_length=64)
    name: str
    timezone: str = "UTC"
    auto_sync_bookings: bool = True
    outside_moves: str = Field(default="flag", max_length=16)
    outside_deletes: str = Field(default="flag", max_length=16)
    language: str = Field(default="", max_length=16)
    accent: str = Field(default="", max_length=7)
    logo: str = Field(default="", max_length=64)
    sites: list[str] = json(list)
    confirmation_text: str = text()
    shows_credit: bool = True
    created_at: datetime = when()


class WorkspaceLogo(SQLModel, table=True):
    """The image of a workspace, a PNG that we made; ``name`` is a part of its address and changes with it."""

    __tablename__ = "workspace_logo"
    workspace_id: str = Field(
        sa_column=Column(ForeignKey("workspace.id", ondelete="CASCADE"), primary_key=True, nullable=False)
    )
    name: str = Field(max_length=64, index=True)
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Membership(SQLModel, table=True):
    """``role``: ``owner``, ``admin``, ``manager``, ``staff`` or ``customer``."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("workspace_id", "person_id"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    person_id: str = ref("person.id")
    role: str = Field(max_length=16)
    created_at: datetime = when()


class CustomerSession(SQLModel, table=True):
    """A customer's sign-in by a link that was sent to ``email`` (lower case): the link's secret and then the cookie's,
    each as its SHA-256. ``token_hash`` and ``expires_at`` are ``None`` until the link has been used."""

    __tablename__ = "customer_session"
    id: str = row_id()
    email: str = Field(max_length=320)
    link_hash: str = Field(unique=True, max_length=64)
    link_expires_at: datetime = when()
    token_hash: str | None = Field(default=None, unique=True, max_length=64)
    created_at: datetime = when()
    expires_at: datetime | None = when(nullable=True)


class Invitation(SQLModel, table=True):
    """Somebody asked to join a workspace by e-mail; ``token_hash`` is the SHA-256 of the link's secret."""

    __tablename__ = "invitation"
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    email: str = Field(max_length=320)
    role: str = Field(max_length=16)
    token_hash: str = Field(unique=True, max_length=64)
    invited_by: str = ref("person.id")
    created_at: datetime = when()
    expires_at: datetime = when(index=True)
    accepted_at: datetime | None = when(nullable=True)


class Feed(SQLModel, table=True):
    """A person's private iCalendar feed of a workspace; who knows the secret may read it. ``digest`` is its SHA-256."""

    __tablename__ = "feed"
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    person_id: str = ref("person.id")
    secret: str = Field(sa_column=Column(EncryptedText, nullable=False))
    digest: str = Field(unique=True, max_length=64)
    created_at: datetime = when()
    last_read_at: datetime | None = when(nullable=True)
    revoked_at: datetime | None = when(nullable=True)
