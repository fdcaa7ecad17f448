"""The audit trail: who did what to which object, written in the transaction that does it."""

from __future__ import annotations

from sqlmodel import Session

from calendar_app.db.tables import AuditEntry
from calendar_app.services.roles import Actor


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
