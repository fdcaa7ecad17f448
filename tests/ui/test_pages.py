"""What pages make of what services tell, without a browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.domain.schedule import Schedule
from calendar_app.domain.unread import Unread
from calendar_app.errors import InvalidInput
from calendar_app.providers.base import AppointmentType, Capability, ConsentRefusal, ProviderKind
from calendar_app.services.accounts import passwords
from calendar_app.services.bookings.queries import HistoryView
from calendar_app.services.calendar_sync import calendar_use
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from calendar_app.services.connection_lifecycle.disconnect_job import AffectedBooking
from calendar_app.services.connections.receiving import HostWithoutCalendar
from calendar_app.services.event_types.meeting_places import PlaceView
from calendar_app.services.event_types.queries import HostView
from calendar_app.services.orders.queries import OrderLineView, OrderView
from calendar_app.services.workspaces.members import ColleagueView
from calendar_app.ui import oauth, session
from calendar_app.ui.components.connections import connection_rows
from calendar_app.ui.components.month import add_months, month_cells
from calendar_app.ui.pages import appointments, orders, sign_in
from calendar_app.ui.pages.availability import rows as hours
from calendar_app.ui.pages.bookings.rows import in_words, worst
from calendar_app.ui.pages.calendars import state
from calendar_app.ui.pages.dashboard import rows as dashboard
from calendar_app.ui.pages.dashboard import state as dashboard_state
from calendar_app.ui.pages.event_types import draft
from calendar_app.ui.pages.security import page as security_page
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@given(st.dates(min_value=date(1971, 1, 1), max_value=date(2150, 12, 31)))
def test_a_month_is_all_its_days_under_their_weekdays(day: date) -> None:
    """The grid starts on Monday and holds each date of the month once, in order."""
    cells = month_cells(day, {day}, day)
    dated = [cell for cell in cells if cell.key]
    assert [date.fromisoformat(cell.key).day for cell in dated] == list(range(1, len(dated) + 1))
    assert all(
        date.fromisoformat(cell.key).weekday() == index % 7 for index, cell in enumerate(cells) if cell.key
    )
    assert [cell.key for cell in cells if cell.free] == [day.isoformat()]
    assert add_months(day, 1) == date.fromisoformat(dated[-1].key) + timedelta(days=1)


@dataclass(frozen=True)
class Seen:
    """As much of an occurrence as the agenda reads."""

    start: datetime
    end: datetime
    title: str = "Meeting"
    all_day: bool = False
    start_date: date | None = None
    end_date: date | None = None
    id: str = "1"
    location: str = ""
    calendar_name: str = "Work"
    provider: str = "google"
    color: str = "#123456"
    booking_id: str | None = None
    event_id: str = "7"
    html_link: str = ""
    calendar_id: str | None = None
    event_color: str = ""
    booking_status: str = ""
    busy: bool = True
    people: tuple[str, ...] = ()
    owner_id: str = "p"
    owner_name: str = ""


def test_the_agenda_groups_by_the_viewers_day() -> None:
    """The same instant is today in one zone and tomorrow in another; what still lasts stands under today."""
    late = Seen(NOW.replace(hour=23), NOW.replace(hour=23, minute=30))
    running = Seen(NOW - timedelta(days=2), NOW + timedelta(hours=1))
    days: Any = dashboard.agenda_days([running, late], "UTC", False, NOW.date(), {})
    assert [(day.title, len(day.events)) for day in days] == [("Today", 2)]
    days = dashboard.agenda_days([late], "Asia/Tokyo", False, NOW.date(), {})
    assert [(day.title, day.events[0].time) for day in days] == [("Tomorrow", "08:00 – 08:30")]


def test_all_day_events_keep_their_date_in_every_zone() -> None:
    """An all-day event goes to the grid by date, so that no zone can shift it."""
    whole: Any = Seen(
        NOW, NOW + timedelta(days=1), all_day=True, start_date=NOW.date(), end_date=date(2026, 11, 22)
    )
    event = dashboard.grid_event(whole, {})
    assert (event["start"], event["end"], event["allDay"]) == ("2026-11-21", "2026-11-22", True)


@pytest.mark.parametrize("shown", [("", ""), ("x", "y"), ("2026-11-22T00:00:00Z", "2026-11-21T00:00:00Z")])
def test_a_nonsense_range_shows_nothing(shown: tuple[str, str]) -> None:
    """What a browser sends as the grid's range may be anything."""
    assert dashboard_state._bounds(shown, "UTC") is None
    assert dashboard_state._bounds(("2026-01-01", "2036-01-01"), "UTC") is None
    assert (
        dashboard_state._bounds(("2026-11-16T00:00:00+01:00", "2026-11-23T00:00:00+01:00"), "UTC") is not None
    )


def test_the_callbacks_answer_becomes_one_sentence() -> None:
    """Known codes have words of their own, unknown ones a plain sentence, none nothing."""
    assert oauth.outcome({"error": "consent_denied"})[1].startswith("Access was not granted")
    assert oauth.outcome({"error": "<script>"}) == ("", oauth.FALLBACK)
    assert oauth.outcome({"connected": "x"})[0]
    assert "administrator has agreed" in oauth.outcome({"agreed": "microsoft"})[0]
    for why in ConsentRefusal:
        assert oauth.outcome({"error": str(why)})[1] not in ("", oauth.FALLBACK)
    offered = {str(why) for why in ConsentRefusal if oauth.offers_link({"error": str(why)})}
    assert offered == {"admin_consent_required", "consent_declined"}
    assert oauth.outcome({}) == ("", "")


def test_initials_are_one_or_two_letters() -> None:
    """First and last name; an address alone still gives letters."""
    assert session.initials("Olivia Maria Owner") == "OO"
    assert session.initials("owner") == "O"
    assert session.initials("") == ""


def test_the_week_survives_the_form() -> None:
    """What the editor shows goes back as it came, and midnight as an end is 24:00."""
    weekly = {"mon": [["09:00", "12:00"], ["13:00", "24:00"]], "sun": []}
    stored = Schedule.from_json({"weekly": weekly}, "Europe/Berlin").to_json()["weekly"]
    assert hours.as_json(hours.week_rows(stored)) == stored
    late = [hours.DayRow("mon", "Monday", [hours.HoursRow("20:00", "00:00")])]
    assert hours.as_json(late) == {"mon": [["20:00", "24:00"]]}


FORM = {
    "title": "Call", "slug": "", "durations": "30, 60", "buffer_before": "0", "buffer_after": "5",
    "minimum_notice": "2", "minimum_notice_unit": "days", "cancel_notice": "90", "horizon_days": "60",
    "step_minutes": "15", "daily_cap": "0", "weekly_cap": "0", "seats": "1", "is_public": "true",
    "reminder-1440": "true", "reminder-60": "true",
}  # fmt: skip


def test_the_event_types_form_is_read_strictly() -> None:
    """Numbers are whole and have units, durations are a list; a missing address is left for the service to make."""
    fields = draft.read_form(FORM)
    assert fields["durations"] == [30, 60]
    assert (fields["minimum_notice"], fields["cancel_notice"]) == (2_880, 90)
    assert fields["reminders"] == [1_440, 60]
    assert (fields["is_public"], fields["requires_approval"]) == (True, False)
    assert "slug" not in fields
    for name, value in (("step_minutes", "1.5"), ("durations", "soon"), ("horizon_days", "")):
        with pytest.raises(InvalidInput) as caught:
            draft.read_form({**FORM, name: value})
        assert caught.value.field == name


@given(st.integers(min_value=0, max_value=527_040))
def test_minutes_survive_their_unit(minutes: int) -> None:
    """What the form shows as days, hours or minutes is read back as it was."""
    shown = draft.split(minutes)
    form = {**FORM, "buffer_after": shown.number, "buffer_after_unit": shown.unit}
    assert draft.read_form(form)["buffer_after"] == minutes


def test_hosts_who_stay_keep_their_schedule_and_weight() -> None:
    """Ticking somebody else does not undo what was set for the others; nothing is sent where nothing changed."""
    people = [ColleagueView(name, name.title(), "", Role.STAFF) for name in ("ann", "bob", "cy")]
    present = [HostView("bob", "Bob", "schedule", 3)]
    same = draft.read_hosts({"host-bob": "true", "hosting": "single"}, people, present)
    assert same == {"hosting": "single"}
    form = {"host-ann": "true", "host-bob": "true", "hosting": "collective"}
    both = draft.read_hosts(form, people, present)
    assert both["hosts"] == [
        {"person_id": "bob", "schedule_id": "schedule", "weight": 3},
        {"person_id": "ann"},
    ]
    for wrong in ({"hosting": "single"}, {**form, "hosting": "single"}):
        with pytest.raises(InvalidInput):
            draft.read_hosts(wrong, people, present)
    assert draft.read_hosts({}, people[:1], present) == {}


def test_questions_keep_what_the_editor_does_not_show() -> None:
    """Bounds that came through the API stay; a question of another type loses them; options are lines."""
    stored = {"age": {"id": "age", "label": "Age", "type": "number", "minimum": 18}}
    drafts = [draft.QuestionDraft("age", type="number"), draft.QuestionDraft("how", type="select")]
    form = {
        "q-age-label": "Your age",
        "q-age-required": "true",
        "q-how-label": "How?",
        "q-how-options": "A\n\n B ",
    }
    read = draft.read_questions(form, drafts, stored)
    assert read[0] == {"id": "age", "label": "Your age", "type": "number", "required": True, "minimum": 18}
    assert read[1]["options"] == ["A", "B"]
    drafts[0].type = "text"
    assert "minimum" not in draft.read_questions(form, drafts, stored)[0]


def test_the_history_reads_as_sentences() -> None:
    """Who did what, with the times of a move and the reason of a refusal."""
    moved = HistoryView(
        NOW,
        "customer",
        "rescheduled",
        {"from": NOW.isoformat(), "to": (NOW + timedelta(hours=1)).isoformat()},
    )
    assert in_words(moved, "Europe/Berlin", False) == (
        "Rescheduled by the customer, from Sat 21 Nov 2026, 13:00 to Sat 21 Nov 2026, 14:00"
    )
    assert (
        in_words(HistoryView(NOW, "staff", "declined", {"reason": "Ill"}), "UTC", False)
        == "Declined by staff: Ill"
    )


def test_the_worst_receipt_stands_for_the_booking() -> None:
    """A failure anywhere is what staff must see first."""
    assert worst(["verified", "failed", "queued"]) == "failed"
    assert worst(["verified", "written"]) == "written"
    assert worst([]) == ""


def test_a_booking_to_be_disconnected_stands_on_the_viewers_day() -> None:
    """Day and time are both of the viewer's zone, also where the day there is another one than in UTC."""
    late = AffectedBooking(
        "b", "Intro", "Ada", NOW.replace(hour=23), NOW.replace(hour=23, minute=30), "c", "Work"
    )
    line = state.booking_line(late, "Asia/Tokyo", False)
    assert (line.title, line.when) == ("Intro with Ada", "Sunday, 22 November 2026, 08:00")


@dataclass(frozen=True)
class Account:
    """As much of a connection as its card reads."""

    status: str = "connected"
    id: str = "1"
    provider: str = "file"
    provider_title: str = "Calendar file (.ics)"
    account_email: str = "holidays"
    server: str = ""
    last_sync_at: datetime | None = None
    next_sync_at: datetime | None = None
    last_error: str = ""
    missing_features: tuple[str, ...] = ()
    person_id: str = "ada"
    person_name: str = "Ada"
    grant_ends_at: datetime | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class OneCalendar:
    """As much of a calendar as its line reads."""

    id: str = "c"
    connection_id: str = "1"
    name: str = "Holidays"
    color: str = ""
    timezone: str = "Pacific/Auckland"
    timezone_source: str = "owner"
    provider_timezone: str = ""
    access_role: str = "reader"
    is_primary: bool = True
    checks_conflicts: bool = True
    receives_bookings: bool = False
    shown_on_dashboard: bool = True
    used: bool = True
    stale_policy: str = "keep"
    synced_at: datetime | None = NOW
    syncing: bool = False
    sync_progress: int = 0
    last_error: str = "Access ended."
    in_doubt: bool = False
    unread: tuple[Unread, ...] = ()
    unread_count: int = 0


def test_a_calendar_says_how_much_could_not_be_read() -> None:
    """The first things by name and reason, and how many there are beside them."""
    noted = OneCalendar(unread=(Unread("Choir", "No time."), Unread("Swim", "No end.")), unread_count=1_234)
    (row,) = connection_rows([Account()], [noted], [])
    (calendar,) = row.calendars
    assert (calendar.unread_title, calendar.unread_more) == (
        "1,234 things could not be read",
        "And 1,232 more.",
    )
    assert [(line.what, line.why) for line in calendar.unread] == [("Choir", "No time."), ("Swim", "No end.")]
    (row,) = connection_rows([Account()], [OneCalendar()], [])
    assert (row.calendars[0].unread_title, row.calendars[0].unread_more) == ("", "")


@pytest.mark.parametrize(
    ("reads", "said"), [(True, "Not used: its events are not read."), (False, "Not used: it blocks no time")]
)
def test_an_unused_calendar_says_so(reads: bool, said: str) -> None:
    """It says what becomes of its events; an account of which none is used has no age to show."""
    kind = SimpleNamespace(
        key=Account().provider,
        sign_in="oauth",
        reads=reads,
        note="",
        takes_bookings=False,
        asks_addresses=False,
    )
    unused = OneCalendar(used=False, shown_on_dashboard=False, checks_conflicts=False)
    (row,) = connection_rows([Account()], [unused], [kind])
    assert row.calendars[0].unused.startswith(said)
    assert row.unused
    (row,) = connection_rows([Account()], [unused, OneCalendar(id="d")], [kind])
    assert [one.unused != "" for one in row.calendars] == [True, False]
    assert not row.unused


@pytest.mark.parametrize(
    ("source", "viewer", "said"),
    [
        ("owner", "ada", "your own zone"),
        ("owner", "somebody else", "the zone of Ada"),
        ("set", "ada", "set here"),
        ("provider", "ada", "named by Google"),
    ],
)
def test_a_calendar_says_where_its_zone_comes_from(source: str, viewer: str, said: str) -> None:
    """The owner's zone, by name to colleagues, one that was set, or one that the provider names."""
    (row,) = connection_rows(
        [Account(provider="google", provider_title="Google")],
        [OneCalendar(timezone_source=source)],
        [],
        viewer=viewer,
    )
    assert (row.calendars[0].zone_text, row.calendars[0].zone_origin) == ("Pacific/Auckland", said)


def test_an_account_without_calendars_says_why() -> None:
    """Its card says what the provider lists and what to do; one with calendars, or one that is lost, does not."""
    account = Account(provider="caldav", provider_title="CalDAV", server="dav.example.com (ada)")
    (empty,) = connection_rows([account], [], [])
    assert "CalDAV lists no calendar for events" in empty.empty
    assert empty.server == "dav.example.com (ada)"
    (full,) = connection_rows([account], [OneCalendar()], [])
    (lost,) = connection_rows([replace(account, status="needs_reconnect")], [], [])
    assert (full.empty, lost.empty) == ("", "")


@pytest.mark.parametrize("key", ["file", "google"])
def test_only_what_is_read_again_can_go_stale(key: str) -> None:
    """A file that was imported once asks nobody what to do when it cannot be read."""
    kinds = [
        ProviderKind("file", "File", Capability(0), True),
        ProviderKind("google", "G", Capability.READ, True),
    ]
    (row,) = connection_rows([Account(provider=key)], [OneCalendar()], kinds, viewer="ada")
    assert (row.can_sync, row.calendars[0].can_go_stale, row.whose) == (key == "google", key == "google", "")


def test_a_lost_account_says_so_once() -> None:
    """What ails the account is not repeated at each calendar; a colleague's account says whose it is."""
    (row,) = connection_rows([Account("needs_reconnect")], [OneCalendar()], [], viewer="somebody else")
    assert (row.calendars[0].error, row.whose) == ("", "Ada")


@pytest.mark.parametrize(
    ("errors", "above", "below"),
    [
        (("", ""), "Down.", ("", "")),
        (("Down.", ""), "", ("Down.", "")),
        (("Down.", "Down."), "Down.", ("", "")),
        (("Down.", "Gone."), "", ("Down.", "Gone.")),
        (("Gone.", ""), "Down.", ("Gone.", "")),
    ],
)
def test_an_error_is_said_once_where_it_matters(
    errors: tuple[str, str], above: str, below: tuple[str, str]
) -> None:
    """At the calendar that it is about; above all of them where it is about all, or about the account itself."""
    failing = [OneCalendar(id=str(at), last_error=text) for at, text in enumerate(errors)]
    (row,) = connection_rows([Account("error", last_error="Down.")], failing, [])
    assert (row.error, tuple(one.error for one in row.calendars)) == (above, below)


def test_an_orders_lines_are_where_they_are_now() -> None:
    """A line that was moved since shows its booking's time and state; one that is not booked yet what was ordered."""
    line = OrderLineView(
        "t", "intro", "Intro", NOW, NOW + timedelta(minutes=30), 30, {}, {}, PlaceView(), "b"
    )
    moved = SimpleNamespace(
        id="b",
        start=NOW + timedelta(days=1),
        end=NOW + timedelta(days=1, minutes=30),
        status="confirmed",
        sync=[SimpleNamespace(state="verified"), SimpleNamespace(state="failed")],
    )
    view: Any = OrderView(
        "o",
        "w",
        "demo",
        "confirmed",
        "Ada",
        "ada+1@example.org",
        "UTC",
        "en",
        (line, replace(line, booking_id=None)),
        (moved,),
        "t",
        NOW,
        NOW,
    )  # type: ignore[arg-type]  # as much of a booking as the page reads
    row = orders.order_row(view, "Europe/Berlin", False)
    assert [(one.when, one.status, one.sync) for one in row.lines] == [
        ("Sunday, 22 November 2026, 13:00 – 13:30", "confirmed", "failed"),
        ("Saturday, 21 November 2026, 13:00 – 13:30", "", ""),
    ]
    assert (row.summary, row.find) == (
        "2 appointments, ordered 21 Nov 2026",
        "/bookings?search=ada%2B1%40example.org",
    )
    assert orders.order_row(replace(view, bookings=()), "UTC", False).find == ""


def test_what_others_take_bookings_for_reads_as_a_line() -> None:
    """An event type of a provider says its length and whether it is switched off; an appointment its day here."""
    kind = AppointmentType("r", "Intro", 45, "https://example.com/intro", active=False)
    assert appointments.type_row(kind).detail == "45 min, switched off"
    seen: Any = Seen(NOW.replace(hour=23), NOW.replace(hour=23, minute=30), title="")
    row = appointments.appointment_row(seen, "Asia/Tokyo", False, NOW)
    assert (row.title, row.when) == ("(no title)", "Tomorrow, 08:00 – 08:30")


def test_pages_ask_for_passwords_as_long_as_they_have_to_be() -> None:
    """Signing up and changing a password name, and ask the browser for, the number that the service insists on."""
    for page in (sign_in.signup(), security_page._password()):
        drawn = str(page)
        assert re.findall(r"minLength:(\d+)", drawn) == [str(passwords.SHORTEST)]
        assert re.findall(r"At least (\d+) characters", drawn) == [str(passwords.SHORTEST)]


def test_appointments_of_a_calendar_that_is_not_shown_are_listed(fake: FakeProvider, place: Place) -> None:
    """The page is about one calendar, on the dashboard or not; of one that is not used it knows that it is not read."""
    calendar_id = place.calendars[0].id
    fake.add_event(place.calendars[0].remote_id, place.at(10), place.at(11), summary="Fitting")
    sync_requests.sync_calendar(calendar_id)
    calendar_use.update_calendar(place.owner, calendar_id, shown_on_dashboard=False)
    _, used, found = appointments.coming(place.owner, calendar_id, place.at(0))
    assert (used, [one.title for one in found]) == (True, ["Fitting"])
    calendar_use.update_calendar(place.owner, calendar_id, checks_conflicts=False, receives_bookings=False)
    assert appointments.coming(place.owner, calendar_id, place.at(0))[1:] == (False, [])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        ([""], "No calendar receives your bookings."),
        (["Ada"], "No calendar receives the bookings of Ada."),
        (["", "Ada", "Bo"], "No calendar receives your bookings, nor those of Ada and Bo."),
        (["A", "B", "C", "D"], "No calendar receives the bookings of A, B and 2 others."),
    ],
)
def test_whose_bookings_no_calendar_receives_is_said(names: list[str], said: str) -> None:
    """The reader comes first, then colleagues by name, and of many only how many more there are."""
    text = session.unreceived([HostWithoutCalendar("p", name) for name in names])
    assert text.startswith(said)
    assert bool(text) == bool(names)
