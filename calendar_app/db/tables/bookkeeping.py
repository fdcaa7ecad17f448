"""What is kept about requests and changes themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Index, UniqueConstraint
from sqlalchemy.orm import deferred
from sqlmodel import Field, SQLModel

from calendar_app.db.tables.columns import json, ref, row_id, when
from calendar_app.db.types import EncryptedText, Json


class IdempotencyRecord(SQLModel, table=True):
    """The first answer to an ``Idempotency-Key``; ``scope`` is who sent it and where to; no ``status``: running.

    ``answer`` is encrypted, for a booking's answer has the link by which whoever holds it cancels the booking.
    ``response`` is how the release before keeps it: in clear, so it is filled only for the day of an upgrade.
    """

    __tablename__ = "idempotency_record"
    __table_args__ = (UniqueConstraint("scope", "key"),)
    id: str = row_id()
    scope: str
    key: str = Field(max_length=255)
    body_hash: str = Field(max_length=64)
    status: int | None = None
    response: dict[str, Any] | None = Field(default=None, sa_column=Column(Json, nullable=True))
    answer: str | None = Field(default=None, sa_column=Column(EncryptedText, nullable=True))
    created_at: datetime = when(index=True)


class AuditEntry(SQLModel, table=True):
    """Who did what to which object, and when. Entries are added, and never changed.

    ``actor_kind``: ``person``, ``token`` (a person's API token, called ``token``), ``customer``, ``provider`` or
    ``system``; empty in entries of earlier releases. ``person_id`` ``None`` for all but people and their tokens.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_subject", "subject_type", "subject_id", "at"),)
    id: str = row_id()
    workspace_id: str = ref("workspace.id")
    person_id: str | None = ref("person.id", nullable=True, index=False, ondelete="SET NULL")
    actor: str = ""
    actor_kind: str = Field(default="", max_length=16)
    token: str = Field(default="", max_length=100)
    action: str = Field(max_length=64)
    subject_type: str = Field(max_length=32)
    subject_id: str = Field(max_length=32)
    detail: dict[str, Any] = json(dict)
    at: datetime = when()


class Installation(SQLModel, table=True):
    """This installation: one row, which the first migration that knows of it makes.

    ``id`` stands in the events that it writes, so that those of another installation on the same calendars are told
    apart. ``restored_at``: when a backup was last put back; calendars are read anew since then. ``older_code_until``:
    until when processes of the release before may still run beside this schema. ``set_up_at``: since when somebody is
    here, so that the set-up page is gone for ever; ``owner_id``: the person who set it up there, an operator.
    """

    __tablename__ = "installation"
    id: str = row_id()
    set_up_at: datetime | None = when(nullable=True)
    owner_id: str | None = Field(default=None, max_length=26)
    restored_at: datetime | None = when(nullable=True)
    older_code_until: datetime | None = when(nullable=True)
    created_at: datetime = when()


_ENTERED = Column("value", EncryptedText, nullable=False)


class EnteredSetting(SQLModel, table=True):
    """A setting that an operator entered in a page: ``name`` is its environment variable, which wins where it is set.

    Every value is encrypted, secret or not. ``changed_by`` is an e-mail address.
    """

    __tablename__ = "entered_setting"
    __mapper_args__: ClassVar[dict[str, Any]] = {"properties": {"value": deferred(_ENTERED)}}
    __table_args__ = (UniqueConstraint("name"),)
    id: str = row_id()
    name: str = Field(max_length=64)
    value: str = Field(sa_column=_ENTERED)
    changed_by: str = ""
    changed_at: datetime = when()


class SetupCode(SQLModel, table=True):
    """A code that opens the set-up page, printed at a start; its digest. All are deleted once one was used."""

    __tablename__ = "setup_code"
    id: str = row_id()
    code_hash: str = Field(max_length=64)
    created_at: datetime = when()


class DriftRun(SQLModel, table=True):
    """When a connection's calendars were last held against its bookings: how many events were looked at, how many were
    not, and the sentence why."""

    __tablename__ = "drift_run"
    __table_args__ = (UniqueConstraint("connection_id"),)
    id: str = row_id()
    connection_id: str = ref("connection.id", index=False)
    workspace_id: str = ref("workspace.id")
    at: datetime = when()
    checked: int = 0
    unread: int = 0
    reason: str = ""
