"""Importing calendar files: what is kept, what is named, what stays out of the way of syncs, and hostile files."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Calendar, Connection, Event, Occurrence
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import Conflict, Forbidden, InvalidInput, NotFound
from calendar_app.services.availability import conflict_calendars
from calendar_app.services.calendar_sync import calendar_use, ics_import
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import run as sync_run
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Role
from calendar_app.services.connection_lifecycle import check as connection_check
from calendar_app.services.connections import queries as connection_queries
from tests.support import factories
from tests.support.databases import Database
from tests.support.mirrored import busy_spans

SOON = (datetime.now(UTC) + timedelta(days=3)).replace(hour=9, minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)


def ics(*blocks: str, head: str = "X-WR-CALNAME:Football\nX-WR-TIMEZONE:Europe/Berlin") -> bytes:
    """A calendar file of these blocks."""
    text = "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *head.split("\n"), *blocks, "END:VCALENDAR", ""])
    return text.replace("\n", "\r\n").encode()


def vevent(uid: str, *lines: str, start: datetime = SOON) -> str:
    """An hour's event; ``lines`` come on top."""
    times = (f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{start + HOUR:%Y%m%dT%H%M%SZ}")
    return "\n".join(["BEGIN:VEVENT", f"UID:{uid}", *times, *lines, "END:VEVENT"])


def busy(calendar_id: str) -> list[Span]:
    """When the calendar blocks time within the next month."""
    span = Span(instant(datetime.now(UTC)), instant(datetime.now(UTC) + timedelta(days=30)))
    with reading() as session:
        return busy_spans(session, calendar_id, span)


def test_a_file_becomes_a_read_only_calendar_that_blocks_time(database: Database) -> None:
    """Name and zone are the file's; the events count as busy at once, and bookings cannot be written there."""
    team = factories.team()
    result = ics_import.import_file(team.actor, ics(vevent("a"), vevent("b", start=SOON + 2 * HOUR)))
    calendar = result.calendar
    assert (result.imported, result.past, result.skipped) == (2, 0, ())
    assert (calendar.name, calendar.timezone, calendar.provider) == ("Football", "Europe/Berlin", "file")
    assert calendar.checks_conflicts
    assert not calendar.receives_bookings
    assert not calendar.syncing
    first = instant(SOON)
    assert busy(calendar.id) == [Span(first, first + 3600), Span(first + 7200, first + 10_800)]
    with pytest.raises(InvalidInput, match="read-only"):
        calendar_use.update_calendar(team.actor, calendar.id, receives_bookings=True)


def test_importing_again_replaces_what_was_there(database: Database) -> None:
    """The second file is what the calendar holds from then on; another calendar of the person is not touched."""
    team = factories.team()
    first = ics_import.import_file(team.actor, ics(vevent("a"), vevent("b")), name="Matches")
    other = ics_import.import_file(team.actor, ics(vevent("a")))
    again = ics_import.import_file(
        team.actor, ics(vevent("b", "SUMMARY:moved", start=SOON + HOUR)), calendar_id=first.calendar.id
    )
    assert again.calendar.id == first.calendar.id
    assert again.imported == 1
    assert busy(first.calendar.id) == [Span(instant(SOON + HOUR), instant(SOON + 2 * HOUR))]
    assert len(busy(other.calendar.id)) == 1
    with reading() as session:
        assert len(session.exec(select(Connection).where(Connection.provider == "file")).all()) == 1


def test_bad_parts_are_named_and_good_ones_kept(database: Database) -> None:
    """Each part that cannot be used is named by line, kind and title, with a reason in words; the rest is there."""
    team = factories.team()
    content = ics(
        vevent("good"),
        "BEGIN:VEVENT\nUID:none\nSUMMARY:No\n  start\nEND:VEVENT",
        vevent("easter", "SUMMARY:At Easter", "RRULE:FREQ=DAILY;BYEASTER=0"),
        vevent("dense", "SUMMARY:Every second", "RRULE:FREQ=SECONDLY"),
        "BEGIN:VTODO\nUID:t\nSUMMARY:Buy milk\nEND:VTODO",
    )
    result = ics_import.import_file(team.actor, content)
    assert result.imported == 3
    lines = content.decode().split("\r\n")
    assert [(part.component, part.summary) for part in result.skipped] == [
        ("VEVENT", "No start"),
        ("VEVENT", "At Easter"),
        ("VTODO", "Buy milk"),
    ]
    for part in result.skipped:
        assert lines[part.line - 1] == f"BEGIN:{part.component}"
        assert part.reason.endswith(".")
        assert part.kept == (part.summary == "At Easter")
    assert "no DTSTART" in result.skipped[0].reason
    assert "BYEASTER" in result.skipped[1].reason


def test_past_and_cancelled_events_are_counted_not_kept(database: Database) -> None:
    """What ended long ago or was called off takes no room; a file's word on our own bookings is not believed."""
    team = factories.team()
    old = vevent("old", start=SOON - timedelta(days=400))
    marked = vevent("mark", "X-ALMANAC-ALMANAC_BOOKING:b1")
    result = ics_import.import_file(team.actor, ics(old, vevent("off", "STATUS:CANCELLED"), marked))
    assert (result.imported, result.past) == (1, 2)
    with reading() as session:
        (row,) = session.exec(select(Event).where(Event.calendar_id == result.calendar.id)).all()
        assert row.booking_id is None
        assert row.payload.get("private") in (None, {}, [])


def test_an_imported_calendar_is_never_read_and_never_out_of_date(database: Database) -> None:
    """No sweep, poll, push or person makes a sync of it, and a year later it counts as it did on the first day."""
    team = factories.team()
    calendar = ics_import.import_file(team.actor, ics(vevent("a"))).calendar
    later = datetime.now(UTC) + timedelta(days=365)
    with reading() as session:
        states = {one.id: one for one in conflict_calendars.calendars_of(session, [team.person.id], later)}
        assert states[calendar.id].trouble == ""
        assert not states[calendar.id].freshness.stale
    factories_id = team.calendar.id
    assert sync_requests.request_for(team.actor) == [factories_id]
    assert sync_requests.request_for(team.actor, calendar_id=calendar.id) == []
    assert sync_requests.sync_calendar(calendar.id).outcome is sync_run.Outcome.SKIPPED
    with reading() as session:
        due = sync_requests.due_to_be_polled(session, later)
    assert calendar.id not in {one.id for one in due}
    (status,) = [one for one in sync_requests.status(team.actor) if one.calendar_id == calendar.id]
    assert (status.state, status.next_sync_at) == (sync_requests.SyncState.IDLE, None)
    assert "import it again" in status.push_note
    view = connection_queries.get_connection(team.actor, calendar.connection_id, now=later)
    assert (view.status, view.next_sync_at, view.account_email) == ("connected", None, "Imported calendars")
    assert connection_check.refresh(team.actor, calendar.connection_id).calendars_count == 1
    assert connection_check.test(team.actor, calendar.connection_id).ok
    assert connection_queries.title("file") == "Calendar file (.ics)"


def test_an_imported_calendar_can_be_deleted(database: Database) -> None:
    """It is gone with its events and, when it was the last, its connection; an account's calendar is refused."""
    team = factories.team()
    calendar = ics_import.import_file(team.actor, ics(vevent("a", "RRULE:FREQ=DAILY"))).calendar
    google = factories.connection(team.person, team.workspace, provider="google")
    connected = factories.calendar(google, name="Work")
    with pytest.raises(Conflict, match="disconnect"):
        ics_import.delete_calendar(team.actor, connected.id)
    ics_import.delete_calendar(team.actor, calendar.id)
    with reading() as session:
        for table in (Event, Occurrence):
            assert not session.exec(select(table).where(col(table.calendar_id) == calendar.id)).all()
        assert session.get(Calendar, calendar.id) is None
        assert session.get(Connection, calendar.connection_id) is None
    with pytest.raises(NotFound):
        ics_import.delete_calendar(team.actor, calendar.id)


def test_nobody_touches_another_persons_imports(database: Database) -> None:
    """Staff of the same workspace and strangers find no such calendar; customers import nothing."""
    team, stranger = factories.team(), factories.team()
    calendar = ics_import.import_file(team.actor, ics(vevent("a"))).calendar
    colleague = factories.person()
    for actor in (stranger.actor, factories.actor(colleague, team.workspace, Role.STAFF)):
        with pytest.raises(NotFound):
            ics_import.import_file(actor, ics(vevent("b")), calendar_id=calendar.id)
        with pytest.raises(NotFound):
            ics_import.delete_calendar(actor, calendar.id)
    with pytest.raises(Forbidden):
        ics_import.import_file(factories.actor(colleague, team.workspace, Role.CUSTOMER), ics(vevent("a")))
    with pytest.raises(Conflict, match="not imported"):
        ics_import.import_file(team.actor, ics(vevent("b")), calendar_id=team.calendar.id)


def _dense(count: int) -> bytes:
    return ics(
        *(vevent(f"d{n}", "RRULE:FREQ=DAILY;BYHOUR=8,9,10,11,12,13,14,15,16,17") for n in range(count))
    )


HOSTILE: dict[str, Callable[[], bytes]] = {
    "every second": lambda: ics(*(vevent(f"s{n}", "RRULE:FREQ=SECONDLY") for n in range(1000))),
    "a billion times": lambda: ics(
        *(vevent(f"c{n}", "RRULE:FREQ=MINUTELY;COUNT=1000000000") for n in range(9))
    ),
    "no interval": lambda: ics(vevent("i", "RRULE:FREQ=DAILY;INTERVAL=0")),
    "together too often": lambda: _dense(500),
    "nested": lambda: b"BEGIN:VCALENDAR\n" + b"BEGIN:VEVENT\nBEGIN:VALARM\nBEGIN:X\n" * 5_000,
    "exdates": lambda: ics(
        vevent("x", "RRULE:FREQ=DAILY", "EXDATE:" + ",".join(["20260101T090000Z"] * 100_000))
    ),
    "a long line": lambda: ics(vevent("l", "SUMMARY:" + "x" * (10 * 2**20))),
    "a line just short enough": lambda: ics(vevent("l", "SUMMARY:" + "x" * (9 * 2**20))),
    "folds": lambda: ics(vevent("l", "SUMMARY:" + "x\n " * 2_000_000)),
    "broken lines": lambda: ics(vevent("l", "x\n" * 2_000_000)),
    "broken short lines": lambda: ics(vevent("l", "x\n" * 500_000)),
    "short lines": lambda: ics(*(vevent(f"l{n}", "A:\n" * 500) for n in range(500))),
    "year one": lambda: ics(
        "BEGIN:VEVENT\nUID:y\nDTSTART:00010101T000000Z\nDTEND:99991231T235959Z\nRRULE:FREQ=DAILY\nEND:VEVENT"
    ),
    "nul": lambda: ics(vevent("n", "SUMMARY:\0")),
    "invalid utf-8": lambda: ics(vevent("u")).replace(b"Football", b"\xff\xfe\xc3\x28"),
    "gzip": lambda: gzip.compress(ics(vevent("g"))),
    "a web page": lambda: b"<!doctype html><title>Sign in</title>",
    "nothing": lambda: b"",
    "no events": ics,
}


def _outcome(content: bytes, team: factories.Team) -> tuple[ics_import.ImportResult | None, str]:
    """The result or the error's code, whose sentence is checked."""
    try:
        return ics_import.import_file(team.actor, content), ""
    except InvalidInput as error:
        words = error.detail.endswith(".") and len(error.detail) < 250
        return None, error.code if words else error.detail


def test_hostile_files_end_soon_in_words(database: Database) -> None:
    """Whatever the file, soon it is imported as far as it goes or refused with one sentence."""
    team = factories.team()
    kinds = HOSTILE if database.kind == "sqlite" else ("year one", "exdates", "every second")
    for kind in kinds:
        content = HOSTILE[kind]()
        began = time.process_time()
        result, refusal = _outcome(content, team)
        took = time.process_time() - began
        assert took < 6, f"{kind} took {took:.1f} s"
        rate_limits.forget()
        if result is None:
            assert refusal in ("not_a_calendar", "calendar_too_large"), kind
            continue
        assert result.imported + result.past + result.skipped_count >= 1, kind
        ics_import.delete_calendar(team.actor, result.calendar.id)
