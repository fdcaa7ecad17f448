"""The audit trail: who did what to which object, written in the transaction that does it, and read by admins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import AuditEntry
from calendar_app.services.roles import Actor, Role

MOST = 200


@dataclass(frozen=True, slots=True)
class AuditView:
    """One entry; ``actor`` is an e-mail address, ``system`` or ``customer``."""

    id: str
    at: datetime
    actor: str
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
    actor: Actor | None,
    action: str,
    subject_type: str,
    subject_id: str,
    **detail: str | int | bool | list[str] | None,
) -> None:
    """Add an entry to ``session``; ``actor`` ``None`` is the system itself. ``detail`` must hold no secret.

    ``action`` is ``noun.verb`` in the past tense: ``"connection.disconnected"``.
    """
    session.add(
        AuditEntry(
            workspace_id=workspace_id,
            person_id=actor.person_id if actor else None,
            actor=actor.email if actor else "system",
            action=action,
            subject_type=subject_type,
            subject_id=subject_id,
            detail=detail,
        )
    )


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
        AuditView(row.id, row.at, row.actor, row.action, row.subject_type, row.subject_id, row.detail)
        for row in rows[:limit]
    )
    return AuditPage(items, rows[limit - 1].id if len(rows) > limit else None)
