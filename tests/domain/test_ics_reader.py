# ruff: noqa: DTZ001  # wall-clock times have no zone: EventTime carries it
"""Reading calendar files: what they mean, what is left of broken ones, and how long hostile ones may take."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from calendar_app.domain.event import Attendee, CalendarEvent, EventStatus, EventTime, Response, ShowAs
from calendar_app.domain.ics import CalendarFile, CalendarFileError, NotACalendar, TooLarge, read_calendar
from calendar_app.domain.ics.versions import TWO_VERSIONS
from calendar_app.domain.recurrence import RecurrenceError, expand
from calendar_app.domain.recurrence.rule import parse_time
from calendar_app.domain.recurrence.wallclock import instant_of
from calendar_app.domain.timespan import Span, instant
from tests.domain.recurrence_tables import TESTDATA, ics_files, needs_tables

EXCHANGE_ZONE = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE"""


def calendar(*blocks: str) -> str:
    """A VCALENDAR around these blocks."""
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", *"\n".join(blocks).split("\n"), "END:VCALENDAR", ""]
    )


def vevent(*lines: str) -> str:
    """A VEVENT with a UID."""
    return "\n".join(["BEGIN:VEVENT", "UID:1@example.com", *lines, "END:VEVENT"])


def one(*lines: str) -> CalendarEvent:
    """The only event of a file with one VEVENT."""
    (event,) = read_calendar(calendar(vevent(*lines))).events
    return event


def test_an_event_keeps_what_it_says() -> None:
    """Every property the product knows arrives in its field, unescaped and unfolded."""
    event = one(
        "DTSTART;TZID=Europe/Berlin:20260301T090000",
        "DTEND;TZID=Europe/Berlin:20260301T100000",
        "SUMMARY:Tea\\, cake\\; and a very long",
        "  line\\nof two",
        "DESCRIPTION:back\\\\slash",
        "LOCATION:Kitchen",
        "URL:https://example.com/tea",
        "STATUS:TENTATIVE",
        "TRANSP:TRANSPARENT",
        "SEQUENCE:3",
        "COLOR:turquoise",
        "LAST-MODIFIED:20260201T120000Z",
        "ORGANIZER;CN=Ada:MAILTO:ada@example.com",
        'ATTENDEE;CN="Babbage, Charles";PARTSTAT=ACCEPTED;ROLE=OPT-PARTICIPANT:mailto:charles@example.com',
        "RRULE:FREQ=DAILY;COUNT=3",
        "EXDATE;TZID=W. Europe Standard Time:20260302T090000",
        "X-ALMANAC-BOOKING:b1",
    )
    assert event == CalendarEvent(
        remote_id="1@example.com",
        ical_uid="1@example.com",
        status=EventStatus.TENTATIVE,
        start=EventTime(datetime(2026, 3, 1, 9), "Europe/Berlin"),
        end=EventTime(datetime(2026, 3, 1, 10), "Europe/Berlin"),
        summary="Tea, cake; and a very long line\nof two",
        description="back\\slash",
        location="Kitchen",
        html_link="https://example.com/tea",
        show_as=ShowAs.FREE,
        sequence=3,
        color="turquoise",
        updated=datetime(2026, 2, 1, 12, tzinfo=UTC),
        organizer_email="ada@example.com",
        attendees=(Attendee("charles@example.com", "Babbage, Charles", Response.ACCEPTED, optional=True),),
        recurrence=("RRULE:FREQ=DAILY;COUNT=3", "EXDATE;TZID=Europe/Berlin:20260302T090000"),
        private={"booking": "b1"},
    )


def test_the_owners_answer_is_the_attendees() -> None:
    """The attendee with the calendar owner's address tells the response; others do not."""
    text = calendar(vevent("DTSTART:20260301T090000Z", "ATTENDEE;PARTSTAT=DECLINED:mailto:Me@example.com"))
    assert read_calendar(text, owners=("me@example.com",)).events[0].response is Response.DECLINED
    assert read_calendar(text, owners=("you@example.com",)).events[0].response is Response.NONE


@pytest.mark.parametrize(
    ("transp", "status", "expected"),
    [
        ("", "FREE", ShowAs.FREE),
        ("", "OOF", ShowAs.OUT_OF_OFFICE),
        ("", "WORKINGELSEWHERE", ShowAs.WORKING_ELSEWHERE),
        ("", "NONSENSE", ShowAs.BUSY),
        ("OPAQUE", "OOF", ShowAs.OUT_OF_OFFICE),
        ("OPAQUE", "TENTATIVE", ShowAs.TENTATIVE),
        ("OPAQUE", "FREE", ShowAs.BUSY),
        ("OPAQUE", "WORKINGELSEWHERE", ShowAs.BUSY),
        ("TRANSPARENT", "WORKINGELSEWHERE", ShowAs.WORKING_ELSEWHERE),
        ("TRANSPARENT", "FREE", ShowAs.FREE),
        ("TRANSPARENT", "BUSY", ShowAs.BUSY),
        ("TRANSPARENT", "OOF", ShowAs.OUT_OF_OFFICE),
        ("TRANSPARENT", "NONSENSE", ShowAs.FREE),
        ("NONSENSE", "FREE", ShowAs.FREE),
    ],
)
def test_outlooks_status_and_transp(transp: str, status: str, expected: ShowAs) -> None:
    """Outlook's status counts where TRANSP is missing; where the two disagree about time, the event is busy."""
    lines = [f"TRANSP:{transp}"] if transp else []
    assert one("DTSTART:20260301T090000Z", *lines, f"X-MICROSOFT-CDO-BUSYSTATUS:{status}").show_as is expected


@pytest.mark.parametrize(
    ("attendees", "expected"),
    [
        (("ATTENDEE;PARTSTAT=DECLINED:mailto:me%2Bwork@example.com",), Response.DECLINED),
        (("ATTENDEE;PARTSTAT=DECLINED:MAILTO:ME+WORK@example.com",), Response.DECLINED),
        (("ATTENDEE;PARTSTAT=DECLINED:mailto:me@home.example",), Response.DECLINED),
        (("ATTENDEE;PARTSTAT=DECLINED;EMAIL=me@home.example:urn:uuid:17",), Response.DECLINED),
        (("ATTENDEE;PARTSTAT=DECLINED:urn:uuid:4",), Response.DECLINED),
        (("ATTENDEE;PARTSTAT=DECLINED:/principals/me/",), Response.DECLINED),
        (("ATTENDEE;PARTSTAT=DECLINED:mailto:me%2Bother@example.com",), Response.NONE),
        (
            (
                "ATTENDEE;PARTSTAT=DECLINED:mailto:me@home.example",
                "ATTENDEE;PARTSTAT=ACCEPTED:mailto:me+work@example.com",
            ),
            Response.ACCEPTED,
        ),
    ],
)
def test_every_address_of_the_owner_counts(attendees: tuple[str, ...], expected: Response) -> None:
    """Whichever of their addresses was invited, however it is written; of several answers the one that takes time."""
    owners = ("mailto:me%2Bwork@example.com", "me@home.example", "urn:uuid:4", "/principals/me/")
    text = calendar(vevent("DTSTART:20260301T090000Z", *attendees))
    assert read_calendar(text, owners=owners).events[0].response is expected


def test_an_attendees_address_is_read_where_it_stands() -> None:
    """EMAIL gives the address where the value is none; escapes of mailto are undone."""
    event = one(
        "DTSTART:20260301T090000Z",
        "ATTENDEE;EMAIL=bob@example.com:urn:uuid:17",
        "ATTENDEE:mailto:ada%2Bwork@example.com",
    )
    assert [person.email for person in event.attendees] == ["bob@example.com", "ada+work@example.com"]


def test_exceptions_point_to_their_series() -> None:
    """A RECURRENCE-ID makes an exception of the event with that UID; its own recurrence lines are none."""
    event = one(
        "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260302T090000",
        "DTSTART;TZID=Europe/Berlin:20260302T110000",
        "RRULE:FREQ=DAILY",
    )
    assert (event.master_id, event.this_and_future, event.recurrence) == ("1@example.com", True, ())
    assert event.original_start == EventTime(datetime(2026, 3, 2, 9), "Europe/Berlin")
    assert event.remote_id == "1@example.com_20260302T090000F"


def test_the_newest_version_of_an_event_counts() -> None:
    """Of two components for one event the one with the higher SEQUENCE is read."""
    old = vevent("DTSTART:20260301T090000Z", "SEQUENCE:1", "SUMMARY:old")
    new = vevent("DTSTART:20260301T090000Z", "SEQUENCE:2", "SUMMARY:new")
    for blocks in ([old, new], [new, old]):
        assert [event.summary for event in read_calendar(calendar(*blocks)).events] == ["new"]


def test_events_without_uid_stay_apart_and_keep_their_names() -> None:
    """A missing UID is made from the text: the same event has the same one when the file is read again."""
    text = calendar(*(f"BEGIN:VEVENT\nDTSTART:2026030{n}T090000Z\nEND:VEVENT" for n in (1, 2)))
    first, second = read_calendar(text).events
    assert first.ical_uid != second.ical_uid
    assert read_calendar(text).events == (first, second)


@pytest.mark.parametrize(
    ("lines", "end", "days"),
    [
        (["DTSTART;VALUE=DATE:20260301"], None, 0),
        (["DTSTART;VALUE=DATE:20260301", "DURATION:P2D"], EventTime(date(2026, 3, 3)), 0),
        (["DTSTART;VALUE=DATE:20260301", "DTEND:20260303T000000"], EventTime(date(2026, 3, 3)), 0),
        (["DTSTART:20260301T090000Z", "DURATION:PT1H30M"], EventTime(datetime(2026, 3, 1, 10, 30), "UTC"), 0),
        (["DTSTART:20260301T090000Z", "DURATION:P1W"], EventTime(datetime(2026, 3, 8, 9), "UTC"), 7),
        (
            ["DTSTART:20260301T090000Z", "DTEND:20260301T080000Z"],
            EventTime(datetime(2026, 3, 1, 9), "UTC"),
            0,
        ),
        (["DTSTART:20260301T090000Z", "DURATION:-PT1H"], EventTime(datetime(2026, 3, 1, 9), "UTC"), 0),
        (
            ["DTSTART;TZID=Europe/Berlin:20260328T120000", "DURATION:P1DT24H"],
            EventTime(datetime(2026, 3, 30, 12), "Europe/Berlin"),
            1,
        ),
        (
            ["DTSTART;TZID=Europe/Berlin:20260328T120000", "DURATION:PT24H"],
            EventTime(datetime(2026, 3, 29, 13), "Europe/Berlin"),
            0,
        ),
    ],
)
def test_ends_and_durations(lines: list[str], end: EventTime | None, days: int) -> None:
    """DTEND, or DURATION with nominal days and exact hours; an end before the start changes places with it."""
    event = one(*lines)
    assert (event.end, event.nominal_days) == (end, days)


@pytest.mark.parametrize(
    ("tzid", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Pacific Standard Time:", "America/Los_Angeles"),
        ("/freeassociation.sourceforge.net/Europe/Berlin", "Europe/Berlin"),
        ("/mozilla.org/20070129_1/America/Argentina/Salta", "America/Argentina/Salta"),
        ("tzone://Microsoft/Utc", "UTC"),
        ("GMT+0200", "Etc/GMT-2"),
        ("UTC-05:00", "Etc/GMT+5"),
    ],
)
def test_zone_names_of_other_programs(tzid: str, zone: str) -> None:
    """IANA, Windows, Mozilla and Evolution names, and whole-hour offsets, are known by name."""
    event = one(f'DTSTART;TZID="{tzid}":20260301T090000')
    assert event.start == EventTime(datetime(2026, 3, 1, 9), zone)


def test_a_zone_of_its_own_is_known_by_what_it_does() -> None:
    """A VTIMEZONE under an invented name is what it says, also if no IANA zone does that; a name alone says nothing."""
    named = EXCHANGE_ZONE.format(name="Our Office")
    mars = named.replace("Our Office", "Mars").replace("+0200", "+0317").replace("+0100", "+0242")
    file = read_calendar(
        calendar(
            vevent("DTSTART;TZID=Our Office:20260301T090000"),  # before its definition, as some write it
            named,
            mars,
            vevent("DTSTART;TZID=Mars:20260301T090000").replace("1@", "2@"),
            vevent("DTSTART;TZID=Nowhere:20260301T090000").replace("1@", "3@"),
        )
    )
    zones = [event.start.zone for event in file.events if event.start]
    assert [(zone or "")[:19] for zone in zones] == ["defined:+0100+0200@", "defined:+0242+0317@", ""]
    assert file.events[2].start == EventTime(datetime(2026, 3, 1, 9))
    assert file.unknown_zones == {"Nowhere"}


def test_a_faulty_component_costs_only_itself() -> None:
    """Good events are kept, the bad ones named with their number, UID and reason."""
    file = read_calendar(
        calendar(
            vevent("DTSTART:20260301T090000Z", "SUMMARY:first"),
            vevent("DTSTART:not-a-date").replace("1@", "2@"),
            vevent("SUMMARY:no start").replace("1@", "3@"),
            vevent("DTSTART;;X:20260301T090000Z").replace("1@", "4@"),
            vevent("DTSTART:20260301T090000Z", "X WRONG:kept all the same").replace("1@", "5@"),
        )
    )
    assert [event.ical_uid for event in file.events] == ["1@example.com", "4@example.com", "5@example.com"]
    assert [(p.component, p.number, p.uid, p.kept) for p in file.problems] == [
        ("VEVENT", 2, "2@example.com", False),
        ("VEVENT", 3, "3@example.com", False),
        ("VEVENT", 4, "4@example.com", True),
        ("VEVENT", 5, "5@example.com", True),
    ]
    assert "not-a-date" in file.problems[0].reason


def test_a_cut_off_file_says_so() -> None:
    """What came before the cut is kept, and the file is marked: what is missing may only be unread."""
    whole = calendar(
        vevent("DTSTART:20260301T090000Z"), vevent("DTSTART:20260302T090000Z").replace("1@", "2@")
    )
    cut = read_calendar(whole[: whole.index("UID:2@")])
    assert cut.truncated
    assert len(cut.events) == 1
    assert [problem.number for problem in cut.problems] == [2]
    assert not read_calendar(whole).truncated


def test_a_lost_end_does_not_swallow_the_next_event() -> None:
    """A VEVENT inside a VEVENT means that the outer one was not ended; both are read."""
    file = read_calendar(
        calendar("BEGIN:VEVENT\nDTSTART:20260301T090000Z", vevent("DTSTART:20260302T090000Z"))
    )
    assert [event.start.value.day for event in file.events if event.start] == [1, 2]
    assert [(problem.kept, problem.reason) for problem in file.problems] == [(True, "its end is missing")]


def test_alarms_do_not_speak_for_their_event() -> None:
    """The properties of a VALARM inside are not the event's."""
    event = one("BEGIN:VALARM", "SUMMARY:alarm", "TRIGGER:-PT5M", "END:VALARM", "DTSTART:20260301T090000Z")
    assert event.summary == ""


def test_what_a_file_says_of_itself() -> None:
    """Its name, its zone for floating times and its METHOD."""
    file = read_calendar(
        calendar("X-WR-CALNAME:Team\\, all", "X-WR-TIMEZONE:Eastern Standard Time", "METHOD:publish")
    )
    assert file == CalendarFile(events=(), name="Team, all", zone="America/New_York", method="PUBLISH")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings(encoding: str) -> None:
    """UTF-8 with and without byte order mark; what is not UTF-8 is taken for Latin-1."""
    data = calendar(vevent("DTSTART:20260301T090000Z", "SUMMARY:Grüße")).encode(encoding)
    assert read_calendar(data).events[0].summary == "Grüße"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "<html>",
        "BEGIN:VCALENDAR\0",
        "END:VCALENDAR",
        "BEGIN:VCARD\nFN:x\nEND:VCARD",
        calendar(vevent()),
    ],
)
def test_what_is_no_calendar_is_refused(text: str) -> None:
    """Other files, and calendars of which nothing can be used, are one typed error."""
    with pytest.raises(NotACalendar):
        read_calendar(text)


def hostile_files() -> dict[str, str]:
    """Files made to take long, or much memory."""
    start = "DTSTART:20000101T090000Z"
    zone = EXCHANGE_ZONE.format(name="Evil").replace("YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3", "SECONDLY")
    return {
        "secondly": calendar(vevent(start, "RRULE:FREQ=SECONDLY")),
        "counted": calendar(vevent(start, "RRULE:FREQ=DAILY;COUNT=1000000000")),
        "standing still": calendar(vevent(start, "RRULE:FREQ=DAILY;INTERVAL=0")),
        "nested": "BEGIN:VCALENDAR\n" + "BEGIN:X\n" * 5000 + "END:X\n" * 5000 + "END:VCALENDAR",
        "nested events": "BEGIN:VCALENDAR\n"
        + "BEGIN:VEVENT\n" * 5000
        + "END:VEVENT\n" * 5000
        + "END:VCALENDAR",
        "exdates": calendar(vevent(start, "RRULE:FREQ=DAILY", *["EXDATE:20260301T090000Z"] * 100_000)),
        "one long line": calendar(vevent(start, "SUMMARY:" + "x" * 10_000_000)),
        "one long parameter": calendar(vevent(start, "ATTENDEE;CN=" + '"a",' * 2_000_000 + ":mailto:x")),
        "folds": calendar(vevent(start, "SUMMARY:x" + "\n y" * 2_000_000)),
        "year one": calendar(vevent("DTSTART:00010101T000000Z", "RRULE:FREQ=DAILY")),
        "last year": calendar(vevent("DTSTART:99991231T235959Z", "DURATION:P9999D", "RRULE:FREQ=DAILY")),
        "endless zone": calendar(zone, vevent("DTSTART;TZID=Evil:20260301T090000")),
        "components": "BEGIN:VCALENDAR\n" + "BEGIN:VEVENT\nEND:VEVENT\n" * 200_000 + "END:VCALENDAR",
        "too big": calendar(vevent(start, "SUMMARY:" + "x" * 20_000_000)),
    }


@pytest.mark.parametrize("name", hostile_files())
def test_hostile_files_end_soon(name: str) -> None:
    """Reading and expanding ends within 2 s, in events or a typed error."""
    text = hostile_files()[name]
    window = Span(instant(datetime(2026, 1, 1, tzinfo=UTC)), instant(datetime(2027, 1, 1, tzinfo=UTC)))
    begin = time.process_time()
    with suppress(CalendarFileError, RecurrenceError):
        for event in read_calendar(text).events:
            expand(event, (), window, "UTC", limit=10_000)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    "name", ["one long line", "one long parameter", "folds", "nested", "too big", "year one"]
)
def test_hostile_files_stay_small(name: str) -> None:
    """Reading takes less than 200 MB, the text included."""
    text = hostile_files()[name]
    tracemalloc.start()
    with suppress(CalendarFileError):
        read_calendar(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak + len(text) < 200 * 2**20


def test_too_much_is_its_own_error() -> None:
    """Size, number and depth are bounded."""
    for name in ("nested", "components", "too big"):
        with pytest.raises(TooLarge):
            read_calendar(hostile_files()[name])


@needs_tables
@pytest.mark.parametrize("path", ics_files(), ids=lambda path: str(path.relative_to(TESTDATA / "ics")))
def test_every_shared_file_is_read_or_refused(path: Path) -> None:
    """Real and fuzzed files give events and named problems, or a typed error; those that must be refused are."""
    if "invalid" in path.parts:
        with pytest.raises(NotACalendar, match=r"\.$"):
            read_calendar(path.read_bytes())
        return
    try:
        file = read_calendar(path.read_bytes())
    except NotACalendar:
        return
    assert all(problem.reason for problem in file.problems)
    assert all(event.start or event.original_start for event in file.events)


@needs_tables
@pytest.mark.parametrize("path", ics_files(), ids=lambda path: str(path.relative_to(TESTDATA / "ics")))
def test_every_shared_event_expands_or_says_why_not(path: Path) -> None:
    """No event of any file makes the expansion fail otherwise than by its own errors."""
    try:
        events = read_calendar(path.read_bytes()).events
    except CalendarFileError:
        return
    window = Span(instant(datetime(1990, 1, 1, tzinfo=UTC)), instant(datetime(2040, 1, 1, tzinfo=UTC)))
    for master in events:
        changes = [event for event in events if event.master_id == master.remote_id]
        try:
            found = expand(master, changes, window, "Europe/Berlin", limit=20_000)
        except RecurrenceError:
            continue
        assert found == sorted(found, key=lambda occurrence: occurrence[:3])


# What cannot be read is busy, and told ------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (("DTSTART:20260301T090000Z", "DTEND:soon"), "20260301T090000Z", "20260302T000000Z"),
        (("DTSTART:20260301T090000Z", "DURATION:long"), "20260301T090000Z", "20260302T000000Z"),
        (("DTSTART:20260301T090000Z", "DTEND:soon", "DURATION:PT1H"), "20260301T090000Z", "20260301T100000Z"),
        (("DTSTART:?", "DTEND:20260301T090000Z"), "20260301T000000Z", "20260301T090000Z"),
        (("DTEND:20260302T000000Z",), "20260301T000000Z", "20260302T000000Z"),
        (("DTSTART:?", "DTEND;VALUE=DATE:20260302"), "20260301", "20260302"),
        (("DTSTART;;X:20260301T090000Z", "DTEND:20260301T100000Z"), "20260301T090000Z", "20260301T100000Z"),
        (("DTSTART:99991231T090000Z", "DURATION:P9999D"), "99991231T090000Z", "99991231T090000Z"),
    ],
)
def test_half_a_time_is_busy_where_it_might_be(lines: tuple[str, ...], start: str, end: str) -> None:
    """A start without an end that can be read lasts to the end of its day, an end without a start from its begin."""
    event = one(*lines)
    assert (event.start, event.end) == (parse_time(start), parse_time(end))
    assert event.unread


def test_an_override_of_nothing_stands_alone() -> None:
    """A RECURRENCE-ID that cannot be read takes no other event's place."""
    file = read_calendar(
        calendar(
            vevent("DTSTART:20260301T090000Z", "RRULE:FREQ=DAILY;COUNT=3"),
            vevent("DTSTART:20260302T110000Z", "RECURRENCE-ID:second"),
        )
    )
    assert [(event.master_id, bool(event.unread)) for event in file.events] == [(None, False), (None, True)]
    assert len({event.remote_id for event in file.events}) == 2


def test_long_forms_of_times_are_read() -> None:
    """ISO 8601 with dashes, colons, fractions and offsets, and hour 24."""
    event = one("DTSTART:2026-03-01T09:00:00.000+01:00", "DTEND:20260301T240000Z")
    assert event.start == EventTime(datetime(2026, 3, 1, 8), "UTC")
    assert event.end == EventTime(datetime(2026, 3, 2), "UTC")
    assert event.unread == ()


def test_a_date_with_midnight_is_a_date() -> None:
    """VALUE=DATE says what T000000 does not."""
    assert one("DTSTART;VALUE=DATE:20260301T000000").start == EventTime(date(2026, 3, 1))


# Versions, and events that share a UID ------------------------------------------------------------


def at(hour: int, *lines: str) -> str:
    """A component of the one UID at that hour of 1 March 2026."""
    return vevent(f"DTSTART:20260301T{hour:02}0000Z", f"DTEND:20260301T{hour:02}3000Z", *lines)


def hours(*blocks: str) -> list[int]:
    """Hours of the events that a file of these components has, the same in whatever order they stand."""
    found = [event.start for event in read_calendar(calendar(*blocks)).events]
    turned = [event.start for event in read_calendar(calendar(*reversed(blocks))).events]
    assert sorted(map(str, found)) == sorted(map(str, turned))
    return sorted(time.value.hour for time in found if time and isinstance(time.value, datetime))


def test_components_of_one_uid_are_versions_or_different_events() -> None:
    """SEQUENCE and the time of writing tell a moved event from another one with the same UID."""
    assert hours(at(9), at(10), at(11)) == [9, 10, 11]
    assert hours(at(9), at(9)) == [9]
    assert hours(at(9, "SEQUENCE:1"), at(9, "SEQUENCE:2")) == [9]
    early, late = "DTSTAMP:20260101T000000Z", "DTSTAMP:20260102T000000Z"
    assert hours(at(9, "SEQUENCE:1", early), at(10, "SEQUENCE:2", late)) == [10]
    assert hours(at(9, "SEQUENCE:1", early), at(10, "SEQUENCE:2", early)) == [9, 10]
    assert hours(at(9, "SEQUENCE:1", late), at(10, "SEQUENCE:2", early)) == [9, 10]
    assert hours(at(9, late), at(10, early)) == [9, 10]
    assert hours(at(9), at(10), at(10, "SEQUENCE:1")) == [9, 10]


def test_events_that_share_a_uid_keep_their_ids_and_are_told() -> None:
    """Ids are unique, and the same whatever else is in the file; a cancelled twin cancels nothing of its own age."""
    first, second, third = at(9), at(10), at(11)
    ids = {event.start: event.remote_id for event in read_calendar(calendar(first, second, third)).events}
    assert len(set(ids.values())) == 3
    fewer = read_calendar(calendar(third, first)).events
    assert {event.start: event.remote_id for event in fewer}.items() <= ids.items()
    assert all("same UID" in event.unread[0] for event in fewer)
    (kept,) = read_calendar(calendar(at(9), at(9, "STATUS:CANCELLED"))).events
    assert kept.blocks_time


EARLY, LATE = "DTSTAMP:20260101T000000Z", "DTSTAMP:20260102T000000Z"
DAILY = "RRULE:FREQ=DAILY;COUNT=5"


def changed(hour: int, *more: str, of: str = "RECURRENCE-ID:20260303T090000Z") -> str:
    return vevent(of, f"DTSTART:20260303T{hour}0000Z", *more)


def busy_hours(*components: str) -> list[int]:
    """The hours of 3 March 2026 in UTC at which something begins that is busy, of a series at 9 that is changed."""
    file = read_calendar(calendar(at(9, DAILY, EARLY), *components))
    series: dict[str, list[CalendarEvent]] = {}
    for event in file.events:
        series.setdefault(event.master_id or event.remote_id, []).append(event)
    day = Span(*(instant_of(EventTime(datetime(2026, 3, one), "UTC"), "UTC") for one in (3, 4)))
    found = set()
    for name, parts in series.items():
        (master,) = (part for part in parts if part.remote_id == name)
        changes = [part for part in parts if part is not master]
        found |= {
            one.start for one in expand(master, changes, day, "UTC", limit=100) if one.event.blocks_time
        }
    return sorted((start - day.start) // 3600 for start in found)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ((changed(14, "SEQUENCE:2", EARLY), changed(16, "SEQUENCE:1", LATE)), [14]),
        ((changed(14, LATE), changed(16, EARLY)), [14]),
        ((changed(14, EARLY), changed(16, LATE)), [16]),
        ((changed(14, EARLY), changed(16, EARLY)), [14, 16]),
        ((changed(14), changed(16)), [14, 16]),
        ((changed(14), changed(16, LATE)), [14, 16]),
        ((changed(14, EARLY), changed(14, EARLY, "SUMMARY:other")), [14]),
        ((changed(14, EARLY), changed(16, EARLY, "STATUS:CANCELLED")), [14]),
        ((changed(14, EARLY), changed(16, LATE, "STATUS:CANCELLED")), []),
        ((changed(14, EARLY), changed(16, EARLY, of="RECURRENCE-ID;TZID=Europe/Berlin:20260303T100000")), [14, 16]),
        ((changed(14, LATE), changed(16, EARLY, of="RECURRENCE-ID;TZID=Europe/Berlin:20260303T100000")), [14]),
        ((changed(14, LATE), changed(16, EARLY, of="RECURRENCE-ID;VALUE=DATE:20260303")), [14]),
    ],
)  # fmt: skip
def test_several_changes_of_one_occurrence(versions: tuple[str, ...], expected: list[int]) -> None:
    """SEQUENCE, then DTSTAMP (RFC 5546 §2.1.5), whichever stands first and however each names the occurrence; where
    nothing tells which is the newer one, both are busy."""
    assert busy_hours(*versions) == expected
    assert busy_hours(*reversed(versions)) == expected


def test_several_changes_of_what_follows() -> None:
    """Where nothing tells which of two moves of this and all following occurrences is the newer, both are busy."""
    of = "RECURRENCE-ID;RANGE=THISANDFUTURE:20260302T090000Z"
    moves = [vevent(of, f"DTSTART:20260302T{hour}0000Z", EARLY) for hour in (14, 16)]
    assert busy_hours(*moves) == [14, 16]
    assert busy_hours(moves[0], moves[1].replace(EARLY, LATE)) == [16]


def test_changes_that_contradict_each_other_are_told() -> None:
    """Ids are unique, and each of the two says why it stands there."""
    file = read_calendar(calendar(at(9, DAILY), changed(14), changed(16)))
    assert len({event.remote_id for event in file.events}) == 3
    assert [TWO_VERSIONS in event.unread for event in file.events] == [False, True, True]
    assert [problem.kept for problem in file.problems] == [True, True]


def test_a_change_belongs_to_the_series_that_has_it() -> None:
    """Of two series with one UID the change goes to the one with its original start, else it stands alone."""
    daily = "RRULE:FREQ=DAILY;COUNT=5"
    change = vevent("RECURRENCE-ID:20260302T100000Z", "DTSTART:20260302T200000Z")
    lost = vevent("RECURRENCE-ID:20260302T120000Z", "DTSTART:20260302T210000Z")
    events = read_calendar(calendar(at(9, daily), at(10, daily), change, lost)).events
    assert events[2].master_id == events[1].remote_id
    assert events[3].master_id is None
    assert len({event.remote_id for event in events}) == 4


@pytest.mark.parametrize(
    ("lines", "notes"),
    [
        (("DTSTART:20270101T090000Z", "DURATION:huh"), ["Its DURATION is not a length of time: 'huh', so"]),
        (("DTSTART:20270101T090000Z", "DURATION"), ["Its DURATION is not a length of time: '', so"]),
        (("DTSTART:20270101T090000Z", "DTEND:huh"), ["Its DTEND is not a time: 'huh', so"]),
        (("DTSTART:huh", "DTEND:20270101T090000Z"), ["Its DTSTART is not a time: 'huh', so"]),
        (
            ("DTSTART;TZID=Mars:20270101T090000", "DTEND;TZID=Mars:20270101T100000"),
            ["It is not known here, so"],
        ),
    ],
)
def test_one_fault_is_told_once(lines: tuple[str, ...], notes: list[str]) -> None:
    """What could not be read, and what follows from it, is one sentence, of the event or of the whole file."""
    text = "\r\n".join(
        ("BEGIN:VCALENDAR", "BEGIN:VEVENT", "UID:a", *lines, "END:VEVENT", "END:VCALENDAR", "")
    )
    file = read_calendar(text)
    told = [why for event in file.events for why in event.unread] + [one.why for one in file.unread]
    assert [why[: len(start)] for why, start in zip(told, notes, strict=True)] == notes


def test_old_outlook_writes_offsets_with_a_dot() -> None:
    """The name under which Outlook showed zones for years is known with either sign."""
    names = ("(GMT-05.00) Eastern Time (US & Canada)", "(GMT-05:00) Eastern Time (US & Canada)")
    for name in names:
        file = read_calendar(
            "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\n"
            f'DTSTART;TZID="{name}":20270715T100000\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n'
        )
        assert file.events[0].start is not None
        assert file.events[0].start.zone == "America/New_York"
