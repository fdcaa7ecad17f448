"""What has had its time goes, kind by kind; what is still needed stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import SQLModel, col, func, select

from calendar_app.db.session import reading
from calendar_app.db.tables import AuditEntry, Booking, CalendarWrite, Deviation, Disconnection, Mail
from calendar_app.services.operations import retention
from calendar_app.settings import Settings, SettingsError
from tests.support import factories
from tests.support.databases import Database

NOW = datetime(2030, 6, 3, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES: tuple[type[SQLModel], ...] = (Mail, AuditEntry, CalendarWrite, Deviation, Disconnection, Booking)


def a_story(days_ago: int, *, mail_state: str = "sent", queued_days_ago: int | None = None) -> None:
    """A booking that was over so many days ago, with all that was written down because of it."""
    team = factories.team()
    then = NOW - days_ago * DAY
    booking = factories.booking(factories.event_type(team.workspace, team.person), team.person, then)
    account = factories.connection(team.person, team.workspace)
    calendar = factories.calendar(account)
    factories.calendar_write(booking, calendar, state="verified")
    place = {"workspace_id": team.workspace.id}
    factories.save(
        Mail(
            **place,
            booking_id=booking.id,
            kind="confirmed",
            dedupe=f"{booking.id}:confirmed",
            recipient="grace@example.org",
            subject="Confirmed",
            body="Hello",
            ics="BEGIN:VCALENDAR",
            state=mail_state,
            created_at=NOW - (days_ago if queued_days_ago is None else queued_days_ago) * DAY,
        )
    )
    factories.save(
        AuditEntry(**place, action="booking.made", subject_type="booking", subject_id=booking.id, at=then)
    )
    factories.save(
        Deviation(
            **place,
            booking_id=booking.id,
            calendar_id=calendar.id,
            kind="moved",
            found_at=then,
            resolved_at=then,
            resolution="followed",
        )
    )
    factories.save(
        Disconnection(
            **place,
            connection_id=account.id,
            person_id=team.person.id,
            bookings="leave",
            state="done",
            created_at=then,
            finished_at=then,
        )
    )


def left() -> dict[str, int]:
    with reading() as session:
        return {
            table.__name__: session.exec(select(func.count()).select_from(table)).one() for table in TABLES
        }


def test_after_eight_hundred_days_only_the_booking_stays(database: Database) -> None:
    """E-mails with text and attachment, audit trail, receipts and what was settled are gone."""
    a_story(800)
    a_story(1)
    assert retention.trim(NOW) == 5
    assert left() == {table.__name__: 1 if table is not Booking else 2 for table in TABLES}


def test_each_kind_has_its_period(database: Database) -> None:
    """After 100 days the e-mails are gone, and nothing else."""
    a_story(100)
    assert retention.trim(NOW) == 1
    assert left() == {table.__name__: 0 if table is Mail else 1 for table in TABLES}


@pytest.mark.parametrize(("days_ago", "state"), [(-300, "sent"), (800, "queued")])
def test_what_is_needed_stays(database: Database, days_ago: int, state: str) -> None:
    """An e-mail about a booking to come, however old it is, and one that is still to be sent."""
    a_story(days_ago, mail_state=state, queued_days_ago=800)
    retention.trim(NOW)
    assert left()["Mail"] == 1


def test_periods_are_settings(database: Database, configure: Callable[..., Settings]) -> None:
    """0 keeps for ever; what would be too short for the product itself is refused in a sentence."""
    a_story(800)
    configure(DATABASE_URL=database.url, KEEP_EMAILS_DAYS="0", KEEP_AUDIT_DAYS="0", KEEP_RECEIPTS_DAYS="900")
    assert retention.trim(NOW) == 0
    with pytest.raises(SettingsError, match="KEEP_AUDIT_DAYS"):
        configure(KEEP_AUDIT_DAYS="7")


def test_many_rows_go_in_parts(database: Database) -> None:
    """All of them go, although one transaction deletes a few only."""
    for _ in range(3):
        a_story(800)
    retention.trim(NOW, batch=2)
    with reading() as session:
        assert session.exec(select(col(Mail.id))).all() == []
