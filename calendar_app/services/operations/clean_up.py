"""Deleting what has had its time: spent sign-ins, ended sessions and tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlmodel import col

from calendar_app.clock import utc_now
from calendar_app.db.session import transaction
from calendar_app.db.tables import ApiToken, AuthSession, OAuthAttempt

KEPT = timedelta(days=7)


def forget_expired(now: datetime | None = None) -> None:
    """Delete rows that stopped meaning anything more than a week ago."""
    before = (now or utc_now()) - KEPT
    ended = (
        (OAuthAttempt, col(OAuthAttempt.expires_at)),
        (AuthSession, col(AuthSession.expires_at)),
        (ApiToken, col(ApiToken.expires_at)),
    )
    for table, when in ended:
        with transaction() as session:
            session.execute(delete(table).where(when < before))
