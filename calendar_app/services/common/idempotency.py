"""The first answer to an ``Idempotency-Key``, kept for a day, so that a repeated request does its work once.

The record is made before the work; its unique key decides who works when two requests arrive together. Work that is
one transaction fills the record in that transaction (:func:`keep_in`), so that a process that dies between commit and
answer leaves the answer behind. Work that fails leaves no record: the repetition tries again. Ages are told by the
clock that all processes share (:func:`calendar_app.db.session.clock`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select

from calendar_app.db.session import clock, transaction
from calendar_app.db.tables import IdempotencyRecord
from calendar_app.errors import Conflict, InvalidInput
from calendar_app.services.common import installation

KEPT = timedelta(hours=24)
ABANDONED = timedelta(seconds=60)
"""A request that has not answered by then died with its process; the next one takes over."""
LONGEST = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: an HTTP status and the JSON text, to the byte."""

    status: int
    content: str


def begin(scope: str, key: str, body: bytes, *, now: datetime | None = None) -> Answer | str:
    """The kept answer, or the id of a fresh record to hand to :func:`keep` or :func:`drop`.

    ``scope`` is who asks for what. :raises InvalidInput: the key is unusable, or came with another body before.
    :raises Conflict: ``request_in_flight``, the first request with this key is still being worked on.
    """
    if not 0 < len(key) <= LONGEST:
        raise InvalidInput(f"An Idempotency-Key has 1 to {LONGEST} characters.", field="Idempotency-Key")
    digest = hashlib.sha256(body).hexdigest()
    try:
        with transaction() as session:
            now = now or clock(session)
            found = session.exec(
                select(IdempotencyRecord)
                .where(IdempotencyRecord.scope == scope)
                .where(IdempotencyRecord.key == key)
                .with_for_update()
            ).first()
            if found is not None and _over(found, now):
                session.delete(found)
                session.flush()
                found = None
            if found is None:
                record = IdempotencyRecord(scope=scope, key=key, body_hash=digest, created_at=now)
                session.add(record)
                session.flush()
                return record.id
            if found.body_hash != digest:
                raise InvalidInput(
                    "This Idempotency-Key was used for another request: use a new one.",
                    field="Idempotency-Key",
                    code="idempotency_key_reused",
                )
            if found.status is not None and found.answer is not None:
                return Answer(found.status, found.answer)
            if found.status is not None and found.response is not None:
                return Answer(found.status, str(found.response["content"]))
    except IntegrityError:
        pass  # somebody else was first by a moment: they are at work
    raise Conflict("The first request with this Idempotency-Key is still running.", code="request_in_flight")


def keep(record_id: str, answer: Answer) -> None:
    """Remember the answer."""
    with transaction() as session:
        keep_in(session, record_id, answer)


def keep_in(session: Session, record_id: str, answer: Answer) -> None:
    """Remember the answer if, and only if, the caller's transaction commits.

    While an upgrade may still be under way, it is also kept in the way in which the release before reads it.
    """
    values: dict[str, Any] = {"status": answer.status, "answer": answer.content}
    if installation.older_code_runs(session, clock(session)):
        values["response"] = {"content": answer.content}
    session.execute(update(IdempotencyRecord).where(col(IdempotencyRecord.id) == record_id).values(**values))


def drop(record_id: str) -> None:
    """The work failed: forget that it was begun, unless it is done and has its answer."""
    with transaction() as session:
        session.exec(
            delete(IdempotencyRecord)
            .where(col(IdempotencyRecord.id) == record_id)
            .where(col(IdempotencyRecord.status).is_(None))
        )


def forget(*, now: datetime | None = None) -> None:
    """Delete what is older than :data:`KEPT` (a daily job)."""
    with transaction() as session:
        limit = (now or clock()) - KEPT
        session.exec(delete(IdempotencyRecord).where(col(IdempotencyRecord.created_at) < limit))


def _over(record: IdempotencyRecord, now: datetime) -> bool:
    return record.created_at < now - (KEPT if record.status is not None else ABANDONED)
