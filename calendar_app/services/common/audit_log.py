"""The audit trail: who did what to which object, written in the transaction that does it, and read by admins.

Nothing is decided by it, and its entries are never changed. What is older than the retention period is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session, col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import AuditEntry
from calendar_app.services.common.permissions import Actor, Role

MOST = 200


class Party(StrEnum):
    """Who acts without being one of the people of an installation."""

    CUSTOMER = "customer"
    PROVIDER = "provider"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class AuditView:
    """One entry; ``actor`` is an e-mail address, ``customer``, ``provider`` or ``system``.

    ``actor_kind`` is one of the last three, ``person``, or ``token``: the person's API token called ``token``.
    """

    id: str
    at: datetime
    actor: str
    actor_kind: str
    token: str
    action: str
    subject_type: str
    subject_id: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, latest first; ``next`` is the cursor of the page after, ``None`` at the end."""

    items: tuple[AuditView, ...]
    next: str | None


def record(
    session: Session,
    workspace_id: str,
    actor: Actor | Party,
    action: str,
    subject_type: str,
    subject_id: str,
    **detail: str | int | bool | list[str] | None,
) -> None:
    """Add an entry to ``session``. ``detail`` must hold no secret.

    ``action`` is ``noun.verb`` in the past tense: ``"connection.disconnected"``.
    """
    session.add(
        AuditEntry(
            workspace_id=workspace_id,
            person_id=(actor.person_id or None) if isinstance(actor, Actor) else None,
            actor=actor.email if isinstance(actor, Actor) else actor.value,
            actor_kind=_kind(actor),
            token=actor.token[:100] if isinstance(actor, Actor) else "",
            action=action,
            subject_type=subject_type,
            subject_id=subject_id,
            detail=detail,
        )
    )


def record_everywhere(
    session: Session,
    actors: Iterable[Actor],
    action: str,
    subject_type: str,
    subject_id: str,
    **detail: str | int | bool | list[str] | None,
) -> None:
    """Add an entry to every workspace that a person works in: each has a right to know about their account."""
    for actor in actors:
        record(session, actor.workspace_id, actor, action, subject_type, subject_id, **detail)


def _kind(actor: Actor | Party) -> str:
    if isinstance(actor, Party):
        return actor.value
    if actor.role is Role.CUSTOMER:
        return Party.CUSTOMER.value
    return "token" if actor.token else "person"


def list_entries(
    actor: Actor,
    *,
    subject_type: str = "",
    subject_id: str = "",
    person: str = "",
    limit: int = 50,
    after: str | None = None,
) -> AuditPage:
    """What happened in the workspace, latest first (ids sort by time); ``person`` is an e-mail address.

    :raises Forbidden: only admins and owners.
    """
    actor.require(Role.ADMIN)
    query = select(AuditEntry).where(AuditEntry.workspace_id == actor.workspace_id)
    for column, wanted in (
        (AuditEntry.subject_type, subject_type),
        (AuditEntry.subject_id, subject_id),
        (AuditEntry.actor, person),
    ):
        query = query.where(col(column) == wanted) if wanted else query
    query = query.where(col(AuditEntry.id) < after) if after else query
    limit = max(1, min(limit, MOST))
    with reading() as session:
        rows = session.exec(query.order_by(col(AuditEntry.id).desc()).limit(limit + 1)).all()
    items = tuple(
        AuditView(
            row.id,
            row.at,
            row.actor,
            row.actor_kind or _kind_of_old(row),
            row.token,
            row.action,
            row.subject_type,
            row.subject_id,
            row.detail,
        )
        for row in rows[:limit]
    )
    return AuditPage(items, rows[limit - 1].id if len(rows) > limit else None)


def _kind_of_old(row: AuditEntry) -> str:
    """Earlier releases called everybody without an account the system."""
    if "@" in row.actor:
        return "person"
    return Party.CUSTOMER.value if row.detail.get("by") == Party.CUSTOMER else Party.SYSTEM.value
