"""An event that could be read and cannot be read any more counts as it last did, and is told, until it is mended or
gone: at CalDAV servers, in links and files, and at vendors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Calendar
from calendar_app.domain.event import CalendarEvent
from calendar_app.domain.timespan import Span, instant, merge
from calendar_app.errors import EventNotFound, ProviderUnavailable, SyncTokenInvalid
from calendar_app.providers.google.mapping import event_from as google_event
from calendar_app.providers.ics.mapping import Link
from calendar_app.providers.ics.provider import CALENDAR as LINKED
from calendar_app.providers.ics.provider import IcsCalendar, http
from calendar_app.providers.microsoft.mapping import event_from as microsoft_event
from calendar_app.providers.readable import readable
from calendar_app.services.calendar_mirror import mirror, unreadable
from calendar_app.services.calendar_mirror.apply_listing import LAST_READ
from calendar_app.services.calendar_sync import ics_import
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.mirrored import busy_spans
from tests.support.scripted_dav import CALENDAR, CountingServer, provider

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
YEAR = Span(instant(NOW), instant(datetime(2027, 11, 1, tzinfo=UTC)))


def hours(*starts: str) -> list[Span]:
    found = (instant(datetime.fromisoformat(f"2026-12-{start}:00+00:00")) for start in starts)
    return [Span(start, start + 3600) for start in found]


def vevent(uid: str, start: str, *more: str, end: str = "DURATION:PT1H") -> str:
    lines = ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20261101T000000Z", f"SUMMARY:{uid.title()}"]
    return "\r\n".join([*lines, f"DTSTART:{start}", end, *more, "END:VEVENT", ""])


def file(*events: str) -> str:
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{''.join(events)}END:VCALENDAR\r\n"


BROKEN = vevent("choir", "nonsense", end="DTEND:nonsense")
SERIES = vevent("choir", "20261201T090000Z", "RRULE:FREQ=DAILY;COUNT=3")
MOVED = vevent("choir", "20261202T150000Z", "RECURRENCE-ID:20261202T090000Z")
BROKEN_CHANGE = vevent("choir", "nonsense", "RECURRENCE-ID:20261202T090000Z", end="DTEND:nonsense")
AS_MOVED = hours("01T09:00", "02T15:00", "03T09:00")


@pytest.fixture
def ada(database: Database) -> Team:
    return factories.team(timezone="UTC")


def busy(calendar_id: str) -> list[Span]:
    with reading() as session:
        return merge(busy_spans(session, calendar_id, YEAR))


def told(calendar_id: str) -> list[str]:
    with reading() as session:
        return [f"{one['what']}: {one['why']}" for one in session.get_one(Calendar, calendar_id).unread]


class Dav:
    """A calendar at a CalDAV server, one resource of which changes."""

    def __init__(self, team: Team, *, tokens: bool = True) -> None:
        self.server = CountingServer(refuses={} if tokens else {"sync-collection": 405})
        self.calendar_id = team.calendar.id
        self.cursor: str | None = None

    def put(self, text: str | None, name: str = "a.ics") -> None:
        if text is None:
            self.server.remove(name)
        else:
            self.server.files[name] = text
            self.server.log.append(name)

    def read(self, *, full: bool = False) -> None:
        try:
            pages = list(provider(self.server).event_pages(CALENDAR, None if full else self.cursor))
        except SyncTokenInvalid:
            return self.read(full=True)
        everything = full or self.cursor is None
        self.cursor = pages[-1].cursor
        events = [event for page in pages for event in page.events]
        with transaction() as session:
            mirror.apply(session, self.calendar_id, events, full=everything, now=NOW)
            row = session.get_one(Calendar, self.calendar_id)
            unreadable.note(session, row, [one for page in pages for one in page.unread], full=everything)
        return None


@pytest.mark.parametrize("tokens", [True, False])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(
    "broken", [file(BROKEN), "", "<html>", file(BROKEN)[:40], file("")[:-15] + BROKEN[:40]]
)
def test_a_resource_that_cannot_be_read_any_more_stays_busy(
    ada: Team, tokens: bool, full: bool, broken: str
) -> None:
    """Whatever stands in its place; mended it counts as it says, and gone it is free."""
    dav = Dav(ada, tokens=tokens)
    dav.put(file(SERIES, MOVED))
    dav.read()
    assert busy(dav.calendar_id) == AS_MOVED
    dav.put(broken)
    dav.read(full=full)
    assert busy(dav.calendar_id) == AS_MOVED
    assert told(dav.calendar_id) == [f"“Choir”, 1 December 2026: {LAST_READ}"]
    dav.read(full=full)
    assert busy(dav.calendar_id) == AS_MOVED
    dav.put(file(vevent("choir", "20261204T090000Z")))
    dav.read()
    dav.read(full=full)
    assert (busy(dav.calendar_id), told(dav.calendar_id)) == (hours("04T09:00"), [])
    dav.put(broken)
    dav.read(full=full)
    assert busy(dav.calendar_id) == hours("04T09:00")
    dav.put(None)
    dav.read()
    assert (busy(dav.calendar_id), told(dav.calendar_id)) == ([], [])


@pytest.mark.parametrize("full", [True, False])
def test_a_part_of_a_resource_that_cannot_be_read_any_more(ada: Team, full: bool) -> None:
    """A changed occurrence stays where it was last; where that was never known, the occurrence is not moved. The
    rest of the resource is read."""
    dav = Dav(ada)
    dav.put(file(SERIES, MOVED))
    dav.read()
    dav.put(file(SERIES.replace("COUNT=3", "COUNT=4"), BROKEN_CHANGE))
    dav.read(full=full)
    assert busy(dav.calendar_id) == [*AS_MOVED, *hours("04T09:00")]
    assert any(LAST_READ in one for one in told(dav.calendar_id))
    other = Dav(ada)
    other.put(file(SERIES, BROKEN_CHANGE), "b.ics")
    dav.server.files.clear()
    dav.read(full=True)
    assert busy(dav.calendar_id) == []
    other.read()
    assert busy(dav.calendar_id) == hours("01T09:00", "02T09:00", "03T09:00")


@pytest.mark.parametrize("full", [True, False])
def test_a_change_that_does_not_say_of_what_stays_where_it_was(ada: Team, full: bool) -> None:
    """A component that has nothing but its UID keeps the changed occurrences that were known, until it can be read."""
    dav = Dav(ada)
    dav.put(file(SERIES, MOVED))
    dav.read()
    dav.put(file(SERIES, BROKEN))
    dav.read(full=full)
    assert set(AS_MOVED) <= set(busy(dav.calendar_id))
    assert told(dav.calendar_id)
    dav.put(file(SERIES))
    dav.read()
    dav.read(full=True)
    assert (busy(dav.calendar_id), told(dav.calendar_id)) == (hours("01T09:00", "02T09:00", "03T09:00"), [])


def test_an_event_that_cannot_be_read_is_not_called_gone() -> None:
    """Whoever asks for it hears that it cannot be read; one that is not in its resource is gone."""
    server = CountingServer()
    server.files = {"a.ics": "nonsense", "b.ics": file(SERIES)}
    with pytest.raises(ProviderUnavailable):
        provider(server).get_event(CALENDAR, "a.ics")
    with pytest.raises(EventNotFound):
        provider(server).get_event(CALENDAR, "b.ics#20261209T090000")


def test_resources_that_were_never_read_are_told(ada: Team) -> None:
    """They block nothing, for nobody knows when they are, and are named until they can be read."""
    dav = Dav(ada)
    dav.put("nonsense")
    dav.read()
    (one,) = told(dav.calendar_id)
    assert "cannot be read" in one
    dav.put(file(vevent("choir", "20261204T090000Z")))
    dav.read()
    assert (busy(dav.calendar_id), told(dav.calendar_id)) == (hours("04T09:00"), [])


def by_import(ada: Team) -> Callable[[str], str]:
    made: list[str] = []

    def take(text: str) -> str:
        found = ics_import.import_file(
            ada.actor, text.encode(), calendar_id=made[0] if made else None, now=NOW
        )
        made[:] = [found.calendar.id]
        return found.calendar.id

    return take


def by_link(ada: Team) -> Callable[[str], str]:
    def take(text: str) -> str:
        answer = httpx.MockTransport(lambda _request: httpx.Response(200, text=text))
        link = IcsCalendar(http(Settings(), transport=answer), Link("https://calendars.example.com/a").secret)
        pages = list(link.event_pages(LINKED, None))
        with transaction() as session:
            events = [event for page in pages for event in page.events]
            mirror.apply(session, ada.calendar.id, events, full=True, now=NOW)
            row = session.get_one(Calendar, ada.calendar.id)
            unreadable.note(session, row, [one for page in pages for one in page.unread], full=True)
        return ada.calendar.id

    return take


OTHER = vevent("swim", "20261210T090000Z")


@pytest.mark.parametrize("way", [by_import, by_link])
def test_a_component_of_a_file_that_cannot_be_read_any_more(
    ada: Team, way: Callable[[Team], Callable[[str], str]]
) -> None:
    """The event that stood there stays until it can be read or the file lacks it."""
    take = way(ada)
    assert busy(take(file(SERIES, MOVED, OTHER))) == [*AS_MOVED, *hours("10T09:00")]
    calendar_id = take(file(BROKEN, OTHER))
    assert busy(calendar_id) == [*AS_MOVED, *hours("10T09:00")]
    assert told(calendar_id) == [f"“Choir”, 1 December 2026: {LAST_READ}"]
    take(file(vevent("choir", "20261204T090000Z"), OTHER))
    assert (busy(calendar_id), told(calendar_id)) == (hours("04T09:00", "10T09:00"), [])
    take(file(BROKEN, OTHER))
    assert busy(calendar_id) == hours("04T09:00", "10T09:00")
    take(file(OTHER))
    assert (busy(calendar_id), told(calendar_id)) == (hours("10T09:00"), [])


def test_what_was_never_read_does_not_count_as_imported(ada: Team) -> None:
    """A component without any time is named, and is none of the events that the calendar holds."""
    found = ics_import.import_file(ada.actor, file(BROKEN, OTHER).encode(), now=NOW)
    assert (found.imported, found.past, found.skipped_count) == (1, 0, 1)
    assert len(told(found.calendar.id)) == 1


def busy_list(*periods: str) -> str:
    lines = [f"FREEBUSY:{period}" for period in periods]
    return "\r\n".join(
        ["BEGIN:VFREEBUSY", "UID:when", "DTSTAMP:20261101T000000Z", *lines, "END:VFREEBUSY", ""]
    )


FIRST, SECOND = "20261201T090000Z/PT1H", "20261202T090000Z/PT1H"


def by_caldav(ada: Team) -> Callable[[str], str]:
    dav = Dav(ada)

    def take(text: str) -> str:
        dav.put(text)
        dav.read()
        return dav.calendar_id

    return take


@pytest.mark.parametrize("way", [by_import, by_link, by_caldav])
def test_a_busy_time_that_cannot_be_read_any_more_stays_busy(
    ada: Team, way: Callable[[Team], Callable[[str], str]]
) -> None:
    """Periods of a free/busy list have no names, so that each that is missing may be the one that cannot be read."""
    take = way(ada)
    assert busy(take(file(busy_list(FIRST, SECOND), OTHER))) == hours("01T09:00", "02T09:00", "10T09:00")
    for damaged in (
        busy_list("2026-12-01 at nine", SECOND),
        busy_list(SECOND).replace("EEBUSY:2", "EEBUSY;:2"),
    ):
        calendar_id = take(file(damaged, OTHER))
        assert busy(calendar_id) == hours("01T09:00", "02T09:00", "10T09:00")
        assert told(calendar_id)
    take(file(busy_list(SECOND), OTHER))
    assert busy(calendar_id) == hours("02T09:00", "10T09:00")


@pytest.mark.parametrize("way", [by_import, by_link])
def test_a_busy_time_whose_end_cannot_be_read_any_more_ends_where_it_did(
    ada: Team, way: Callable[[Team], Callable[[str], str]]
) -> None:
    """What began then was longer than the rest of its day; other times that are missing are over."""
    take = way(ada)
    take(file(busy_list("20261201T090000Z/P1D", SECOND), OTHER))
    calendar_id = take(file(busy_list("20261201T090000Z/soon"), OTHER))
    nine, following = (instant(datetime(2026, 12, day, 9, tzinfo=UTC)) for day in (1, 2))
    assert busy(calendar_id) == [Span(nine, following), *hours("10T09:00")]
    take(file(busy_list("20261201T090000Z/PT1H"), OTHER))
    assert busy(calendar_id) == hours("01T09:00", "10T09:00")


GOOGLE = {
    "id": "choir", "summary": "Choir", "etag": '"1"', "status": "confirmed",
    "start": {"dateTime": "2026-12-01T09:00:00Z"}, "end": {"dateTime": "2026-12-01T10:00:00Z"},
}  # fmt: skip
MICROSOFT = {
    "id": "choir", "subject": "Choir", "type": "singleInstance", "showAs": "busy",
    "start": {"dateTime": "2026-12-01T09:00:00", "timeZone": "UTC"},
    "end": {"dateTime": "2026-12-01T10:00:00", "timeZone": "UTC"},
}  # fmt: skip


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(
    "damage", [{"start": None, "end": None}, {"start": 7, "end": []}, {"summary": {}, "start": "x"}]
)
@pytest.mark.parametrize("vendor", ["google", "microsoft"])
def test_a_vendors_event_that_cannot_be_read_any_more(
    ada: Team, vendor: str, damage: dict[str, object], full: bool
) -> None:
    """The same at Google and Microsoft, in full listings and in changes."""
    item, read = {
        "google": (GOOGLE, lambda one: google_event(one, calendar_zone="UTC")),
        "microsoft": (MICROSOFT, microsoft_event),
    }[vendor]

    def listed(*items: object, full: bool) -> None:
        events: tuple[CalendarEvent, ...] = readable(items, read)[0]
        with transaction() as session:
            mirror.apply(session, ada.calendar.id, events, full=full, now=NOW)
            unreadable.note(session, session.get_one(Calendar, ada.calendar.id), (), full=full)

    listed(item, full=True)
    assert busy(ada.calendar.id) == hours("01T09:00")
    listed({**item, "end": None, **damage}, full=full)
    assert busy(ada.calendar.id) == hours("01T09:00")
    assert told(ada.calendar.id) == [f"“Choir”, 1 December 2026: {LAST_READ}"]
    listed(item, full=full)
    assert (busy(ada.calendar.id), told(ada.calendar.id)) == (hours("01T09:00"), [])


def test_a_series_whose_master_was_never_read_keeps_its_changes(ada: Team) -> None:
    """Exceptions of a master without a time stand by themselves."""
    master = CalendarEvent("choir", unread=("Its time cannot be read.",))
    one = google_event({**GOOGLE, "id": "choir_1"}, calendar_zone="UTC")
    change = replace(one, master_id="choir", original_start=one.start)
    with transaction() as session:
        mirror.apply(session, ada.calendar.id, [master, change], full=True, now=NOW)
    assert busy(ada.calendar.id) == hours("01T09:00")
