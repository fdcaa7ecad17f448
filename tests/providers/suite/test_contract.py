"""The contract that every calendar provider keeps, run for each against its counterpart.

What a provider cannot do is part of the contract: a call without its capability flag is refused with a typed error that
is final, and nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from calendar_app.domain.event import Attendee, EventDraft, EventStatus, write_key
from calendar_app.domain.meeting import FAILED, PENDING, Meeting, MeetingState
from calendar_app.domain.timespan import Span, instant, merge
from calendar_app.errors import (
    AuthExpired,
    ChannelExists,
    EventNotFound,
    GrantRevoked,
    InvalidInput,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SyncTokenInvalid,
)
from calendar_app.providers import registry
from calendar_app.providers.base import (
    Appointments,
    CalendarProvider,
    Capability,
    PushChannel,
    RenewsChannels,
)
from calendar_app.services.availability.event_judgement import judge
from tests.providers.suite.harness import Harness, Series, busy, listed, spans
from tests.providers.suite.harnesses import HARNESSES, Counterparts, HarnessMaker

HALF_HOUR = timedelta(minutes=30)
KEY = write_key("suite", "booking")


@pytest.fixture(params=sorted(HARNESSES), scope="module")
def harness_of(request: pytest.FixtureRequest) -> HarnessMaker:
    """The provider; module-wide, so that the tests of one stand together and its server is warm."""
    return HARNESSES[request.param]


@pytest.fixture
def harness(harness_of: HarnessMaker, counterparts: Counterparts) -> Iterator[Harness]:
    """A fresh account at the provider's counterpart."""
    with harness_of(counterparts) as made:
        yield made
        made.switch.close()


@pytest.fixture
def provider(harness: Harness) -> CalendarProvider:
    return harness.provider()


def draft(start: datetime, **changes: object) -> EventDraft:
    """A booking that we want to stand in the calendar."""
    wanted = EventDraft(
        remote_id=KEY,
        key=KEY,
        uid=f"{KEY}@almanac.example",
        summary="Intro call with Ada",
        start=start,
        end=start + HALF_HOUR,
        zone="Europe/Berlin",
        description="What is it about? Curtains.",
        location="Phone",
        attendees=(Attendee("ada@example.org", "Ada"),),
        private={"almanac_booking": "b1"},
    )
    return replace(wanted, **changes)  # type: ignore[arg-type]


def refused(harness: Harness, call: Callable[[], object]) -> None:
    """The call is refused for good, with a sentence, and nothing was sent."""
    before = harness.switch.requests
    with pytest.raises(ProviderError) as caught:
        call()
    assert not caught.value.retryable
    assert not isinstance(caught.value, AuthExpired | GrantRevoked)
    assert caught.value.detail
    assert harness.switch.requests == before, "it was attempted"


def can(provider: CalendarProvider, flag: Capability) -> bool:
    return flag in provider.capabilities


def test_the_registry_says_what_the_provider_can_do(harness: Harness, provider: CalendarProvider) -> None:
    """Pages and jobs go by the registry's flags: they are the provider's own."""
    assert registry.kind(harness.key).capabilities == provider.capabilities
    assert can(provider, Capability.READ)
    assert isinstance(provider, Appointments) == can(provider, Capability.APPOINTMENTS)


def test_calendars_are_listed_with_what_people_see_of_them(
    harness: Harness, provider: CalendarProvider
) -> None:
    """Each has an id, a name, a zone that exists (or none) and a role; nobody writes where nothing can be written."""
    calendars = {calendar.remote_id: calendar for calendar in provider.list_calendars()}
    found = calendars[harness.calendar_id]
    assert found.name
    assert not found.timezone or ZoneInfo(found.timezone)
    assert found.access_role.can_write == can(provider, Capability.WRITE)
    assert sum(calendar.is_primary for calendar in calendars.values()) <= 1


def test_a_first_listing_holds_everything_and_ends_with_a_cursor(
    harness: Harness, provider: CalendarProvider
) -> None:
    """What stands in the calendar is listed with title, time and id; with DELTA a cursor comes at the end."""
    start = harness.at(3, 9)
    remote_id = harness.add("Dentist", start, start + HALF_HOUR)
    found = listed(provider, harness.calendar_id, since=harness.now - timedelta(days=35))
    assert found.events[remote_id].summary == "Dentist"
    assert busy(found.events, _around(start), "Dentist") == spans(start)
    assert found.cursor or not can(provider, Capability.DELTA)


def test_an_event_is_read_by_its_id(harness: Harness, provider: CalendarProvider) -> None:
    """One event says what the listing said; one that never was, or is gone, is not found."""
    start = harness.at(3, 9)
    remote_id = harness.add("Dentist", start, start + HALF_HOUR)
    assert provider.get_event(harness.calendar_id, remote_id).summary == "Dentist"
    harness.delete(remote_id)
    for gone in (remote_id, "neverwas0here"):
        with pytest.raises(EventNotFound):
            provider.get_event(harness.calendar_id, gone)


def test_later_listings_tell_what_was_added_moved_and_deleted(
    harness: Harness, provider: CalendarProvider
) -> None:
    """Whoever applies the listings in order has the calendar as it is; with DELTA they tell the changes and no more."""
    stays, start = harness.at(2, 9), harness.at(4, 9)
    kept = harness.add("Stays", stays, stays + HALF_HOUR)
    found = listed(provider, harness.calendar_id)
    known = found.on({})
    delta = can(provider, Capability.DELTA)

    remote_id = harness.add("Changes", start, start + HALF_HOUR)
    found = listed(provider, harness.calendar_id, found.cursor)
    known = found.on(known)
    assert busy(known, _around(start), "Changes") == spans(start)
    assert (kept in found.events) != delta

    later = start + timedelta(days=1)
    moved_id = harness.move(remote_id, later)
    found = listed(provider, harness.calendar_id, found.cursor)
    known = found.on(known)
    assert busy(known, _around(start), "Changes") == []
    assert busy(known, _around(later), "Changes") == spans(later)

    harness.delete(moved_id)
    found = listed(provider, harness.calendar_id, found.cursor)
    known = found.on(known)
    assert moved_id not in known
    assert busy(known, _around(stays), "Stays") == spans(stays)
    if delta:
        assert found.events[moved_id].status is EventStatus.CANCELLED
    quiet = listed(provider, harness.calendar_id, found.cursor)
    assert quiet.on(known) == known
    assert not delta or quiet.events == {}


def test_a_moved_meeting_of_a_series_leaves_its_old_time(
    harness: Harness, provider: CalendarProvider
) -> None:
    """The second of four weekly meetings was moved: three stand where they were and one elsewhere."""
    first = harness.at(7, 10)
    weeks = [first + timedelta(weeks=number) for number in range(4)]
    series = Series(first, weeks[1], weeks[1] + timedelta(hours=5))
    recurring = harness.series(series)
    events = listed(provider, harness.calendar_id, since=harness.now - timedelta(days=35)).events
    window = Span(instant(harness.now), instant(harness.at(60, 0)))
    expected = [weeks[0], series.now, *weeks[2:]] if recurring else []
    assert busy(events, window, "Weekly") == spans(*expected)
    assert recurring or not any(event.recurrence or event.master_id for event in events.values())


def test_a_refused_cursor_is_an_error_of_its_own(harness: Harness, provider: CalendarProvider) -> None:
    """A cursor too old and one that cannot be read both mean "list everything"; then the chain goes on.

    A provider without DELTA may take any cursor, and answers with everything.
    """
    start = harness.at(2, 9)
    kept = harness.add("Stays", start, start + HALF_HOUR)
    cursor = listed(provider, harness.calendar_id).cursor
    bad_ones = ["never-issued", "💥", "x" * 3000] + [cursor or ""] * harness.refuse_cursors()
    for bad in bad_ones:
        if can(provider, Capability.DELTA):
            with pytest.raises(SyncTokenInvalid):
                list(provider.event_pages(harness.calendar_id, bad))
        else:
            again = listed(provider, harness.calendar_id, bad)
            assert again.whole
            assert kept in again.events
    again = listed(provider, harness.calendar_id)
    assert kept in again.on({})
    assert listed(provider, harness.calendar_id, again.cursor).on(again.events) == again.on({})


def test_writing_twice_makes_one_event(harness: Harness, provider: CalendarProvider) -> None:
    """The same draft again, by somebody who does not know that it was written, finds its event and changes nothing."""
    start = harness.at(3, 13)
    wanted = draft(start)
    if not can(provider, Capability.WRITE):
        refused(harness, lambda: provider.put_event(harness.calendar_id, wanted))
        return
    first = provider.put_event(harness.calendar_id, wanted)
    again = provider.put_event(harness.calendar_id, wanted)
    assert (again.remote_id, again.etag) == (first.remote_id, first.etag)
    known = replace(wanted, remote_id=first.remote_id)
    assert provider.put_event(harness.calendar_id, known, etag=first.etag).remote_id == first.remote_id
    events = listed(provider, harness.calendar_id).events
    assert busy(events, _around(start), wanted.summary) == spans(start)
    stored = provider.get_event(harness.calendar_id, first.remote_id)
    assert stored.private["almanac_booking"] == "b1"
    assert (stored.summary, stored.location) == (wanted.summary, wanted.location)


def test_a_changed_draft_moves_its_event(harness: Harness, provider: CalendarProvider) -> None:
    """Putting a new time with the etag that we hold moves the event that is there, and the etag changes."""
    start, later = harness.at(3, 13), harness.at(4, 15)
    if not can(provider, Capability.WRITE):
        refused(harness, lambda: provider.put_event(harness.calendar_id, draft(start), etag='"1"'))
        return
    first = provider.put_event(harness.calendar_id, draft(start))
    wanted = draft(later, remote_id=first.remote_id, sequence=1)
    second = provider.put_event(harness.calendar_id, wanted, etag=first.etag)
    assert second.remote_id == first.remote_id
    assert second.etag != first.etag
    events = listed(provider, harness.calendar_id).events
    assert busy(events, Span(instant(start), instant(later + HALF_HOUR)), wanted.summary) == spans(later)


def test_a_stale_etag_is_refused(harness: Harness, provider: CalendarProvider) -> None:
    """After an edit by the calendar's owner neither writing nor deleting with our etag goes through."""
    start = harness.at(3, 13)
    if not can(provider, Capability.WRITE):
        refused(harness, lambda: provider.delete_event(harness.calendar_id, KEY, etag='"1"'))
        return
    first = provider.put_event(harness.calendar_id, draft(start))
    harness.touch(first.remote_id)
    wanted = draft(start + HALF_HOUR, remote_id=first.remote_id)
    with pytest.raises(PreconditionFailed):
        provider.put_event(harness.calendar_id, wanted, etag=first.etag)
    with pytest.raises(PreconditionFailed):
        provider.delete_event(harness.calendar_id, first.remote_id, etag=first.etag)
    assert provider.get_event(harness.calendar_id, first.remote_id).summary != wanted.summary


@pytest.mark.parametrize("by_key", [False, True], ids=["by id", "by our key"])
def test_deleting_twice_is_success(harness: Harness, provider: CalendarProvider, by_key: bool) -> None:
    """What is gone stays gone without complaint, also for one who knows only the key that it was written with."""
    if not can(provider, Capability.WRITE):
        refused(harness, lambda: provider.delete_event(harness.calendar_id, KEY))
        return
    start = harness.at(3, 13)
    written = provider.put_event(harness.calendar_id, draft(start))
    for _time in range(2):
        provider.delete_event(harness.calendar_id, KEY if by_key else written.remote_id)
    events = listed(provider, harness.calendar_id).events
    assert busy(events, _around(start), "Intro call with Ada") == []


def test_an_event_that_was_deleted_can_be_written_again(harness: Harness, provider: CalendarProvider) -> None:
    """A booking that comes back stands in the calendar again, once."""
    if not can(provider, Capability.WRITE):
        refused(harness, lambda: provider.put_event(harness.calendar_id, draft(harness.at(3, 13))))
        return
    start = harness.at(3, 13)
    first = provider.put_event(harness.calendar_id, draft(start))
    provider.delete_event(harness.calendar_id, first.remote_id)
    provider.put_event(harness.calendar_id, draft(start))
    events = listed(provider, harness.calendar_id).events
    assert busy(events, _around(start), "Intro call with Ada") == spans(start)


def test_an_event_that_its_owner_deleted_is_not_changed_but_made_again(
    harness: Harness, provider: CalendarProvider
) -> None:
    """With the version that we hold the write is refused; somebody who then asks for it anew gets one event."""
    start = harness.at(3, 13)
    if not can(provider, Capability.WRITE):
        refused(harness, lambda: provider.put_event(harness.calendar_id, draft(start), etag='"1"'))
        return
    first = provider.put_event(harness.calendar_id, draft(start))
    harness.delete(first.remote_id)
    moved = draft(start + HALF_HOUR, remote_id=first.remote_id)
    with pytest.raises((EventNotFound, PreconditionFailed)):
        provider.put_event(harness.calendar_id, moved, etag=first.etag)
    provider.put_event(harness.calendar_id, draft(start + HALF_HOUR))
    events = listed(provider, harness.calendar_id).events
    assert busy(events, Span(instant(start), instant(harness.at(4, 0))), moved.summary) == spans(
        start + HALF_HOUR
    )


def test_an_online_meeting_is_made_once_and_stays(harness: Harness, provider: CalendarProvider) -> None:
    """Its link may come some time after the event; a repeat and a move keep it, and deleting the event ends it."""
    meetings, calendar_id = harness.meetings, harness.calendar_id
    if meetings is None:
        assert makes_none(harness, provider)
        return
    (primary,) = [one for one in provider.list_calendars() if one.remote_id == calendar_id]
    assert primary.meeting_kinds == (meetings.kind,)
    start = harness.at(3, 9)
    wanted = draft(start, meeting=meetings.kind, location="")
    written = provider.put_event(calendar_id, wanted)
    assert written.meeting == PENDING
    again = provider.put_event(calendar_id, wanted)  # the answer was lost
    assert again.remote_id == written.remote_id
    link = _link(provider, calendar_id, written.remote_id)
    event = provider.get_event(calendar_id, written.remote_id)
    moved = replace(
        wanted,
        remote_id=written.remote_id,
        start=start + HALF_HOUR,
        end=start + 2 * HALF_HOUR,
        description="Soon",
    )
    kept = provider.put_event(calendar_id, moved, etag=event.etag)
    assert kept.meeting == Meeting(MeetingState.READY, link)
    event = provider.get_event(calendar_id, written.remote_id)
    assert (event.meeting, event.etag) == (kept.meeting, kept.etag)
    assert provider.put_event(calendar_id, moved, etag=event.etag).etag == event.etag, (
        "it was written once more"
    )
    provider.delete_event(calendar_id, written.remote_id)
    with pytest.raises(EventNotFound):
        provider.get_event(calendar_id, written.remote_id)


def test_two_events_have_two_meetings(harness: Harness, provider: CalendarProvider) -> None:
    """Nobody meets somebody else's customers; an event that does not ask for a meeting has none."""
    meetings, calendar_id = harness.meetings, harness.calendar_id
    if meetings is None:
        assert makes_none(harness, provider)
        return
    links = set()
    for number in range(2):
        key = write_key("suite", f"meeting {number}")
        start = harness.at(3 + number, 9)
        written = provider.put_event(calendar_id, draft(start, remote_id=key, key=key, meeting=meetings.kind))
        links.add(_link(provider, calendar_id, written.remote_id))
    assert len(links) == 2
    plain = provider.put_event(calendar_id, draft(harness.at(6, 9)))
    assert plain.meeting is None
    assert provider.get_event(calendar_id, plain.remote_id).meeting is None


@pytest.mark.parametrize("how", ["fails", "refused"])
def test_an_event_stands_without_the_meeting_that_was_refused(
    harness: Harness, provider: CalendarProvider, how: str
) -> None:
    """Its time is what counts; the next write asks again, and an event that was written without one gets one too."""
    meetings, calendar_id = harness.meetings, harness.calendar_id
    if meetings is None:
        assert makes_none(harness, provider)
        return
    harness.rule(getattr(meetings, how), on=True)
    wanted = draft(harness.at(3, 9), meeting=meetings.kind)
    written = provider.put_event(calendar_id, wanted)
    assert written.meeting == FAILED
    event = provider.get_event(calendar_id, written.remote_id)
    assert event.meeting in (None, FAILED)
    assert event.summary == wanted.summary
    harness.rule(getattr(meetings, how), on=False)
    wanted = replace(wanted, remote_id=written.remote_id)
    assert provider.put_event(calendar_id, wanted, etag=event.etag).meeting == PENDING
    assert _link(provider, calendar_id, written.remote_id)


def test_a_meeting_that_never_comes_is_asked_for_once(harness: Harness, provider: CalendarProvider) -> None:
    """As long as the calendar is at it, later writes ask for no second one."""
    meetings, calendar_id = harness.meetings, harness.calendar_id
    if meetings is None:
        assert makes_none(harness, provider)
        return
    harness.rule(meetings.never, on=True)
    wanted = draft(harness.at(3, 9), meeting=meetings.kind)
    written = provider.put_event(calendar_id, wanted)
    for _ in range(4):
        event = provider.get_event(calendar_id, written.remote_id)
        assert event.meeting == PENDING
    again = provider.put_event(calendar_id, replace(wanted, remote_id=written.remote_id), etag=event.etag)
    assert (again.meeting, again.etag) == (PENDING, event.etag)


def makes_none(harness: Harness, provider: CalendarProvider) -> bool:
    """Whether the calendar says that it makes no online meetings."""
    calendars = {calendar.remote_id: calendar for calendar in provider.list_calendars()}
    return calendars[harness.calendar_id].meeting_kinds == ()


def _link(provider: CalendarProvider, calendar_id: str, remote_id: str) -> str:
    """The link of an event's meeting, once it is there."""
    for _ in range(5):
        meeting = provider.get_event(calendar_id, remote_id).meeting
        assert meeting is not None
        if meeting.state is MeetingState.READY:
            return meeting.link
        assert meeting == PENDING
    raise AssertionError("the meeting was never made")


def test_free_busy_says_when_the_calendar_is_taken(harness: Harness, provider: CalendarProvider) -> None:
    """An event that the owner has just added blocks its time, and no other."""
    start = harness.at(3, 9)
    harness.add("Dentist", start, start + HALF_HOUR)
    span = Span(instant(start - timedelta(hours=1)), instant(start + timedelta(hours=2)))
    if not can(provider, Capability.FREEBUSY):
        refused(harness, lambda: provider.freebusy([harness.calendar_id], span))
        return
    answer = provider.freebusy([harness.calendar_id], span)[harness.calendar_id]
    assert isinstance(answer, list)
    assert merge(answer) == spans(start)


def test_the_events_of_a_span_are_judged_as_the_mirror_judges_them(
    harness: Harness, provider: CalendarProvider
) -> None:
    """What was added a moment ago blocks its time and is told apart from what lies elsewhere; so does each occurrence
    of a series, where it is and where it was moved to."""
    start = harness.at(3, 9)
    harness.add("Dentist", start, start + HALF_HOUR)
    harness.add("Elsewhere", harness.at(9, 9), harness.at(9, 10))
    span = Span(instant(start - timedelta(hours=1)), instant(start + timedelta(hours=2)))
    found = judge(provider.events_in(harness.calendar_id, span), "UTC", span)
    assert [one for one in found.busy if one.overlaps(span)] == spans(start)
    series = Series(harness.at(4, 13), harness.at(11, 13), harness.at(11, 16))
    if harness.series(series):
        for at, busy in ((series.first, True), (series.was, False), (series.now, True)):
            around = _around(at)
            judged = judge(provider.events_in(harness.calendar_id, around), "UTC", around)
            assert any(one.overlaps(around) for one in judged.busy) is busy


def test_a_push_channel_opens_and_ends(harness: Harness, provider: CalendarProvider) -> None:
    """A channel is granted for a time; ending it twice is success."""
    ends = harness.now + timedelta(days=2)

    def watch() -> PushChannel:
        return provider.watch(
            harness.calendar_id,
            channel_id="01suitechannel0000000000000",
            token="secret-of-the-channel",
            address=harness.hook,
            expires_at=ends,
        )

    if not can(provider, Capability.PUSH):
        refused(harness, watch)
        return
    channel = watch()
    assert channel.resource_id
    assert harness.now < channel.expires_at <= ends + timedelta(minutes=1)
    if can(provider, Capability.RENEW):
        assert isinstance(provider, RenewsChannels)
        with pytest.raises(ChannelExists) as caught:
            watch()
        assert caught.value.resource_id == channel.resource_id
        renewed = provider.renew_channel(channel, ends + timedelta(hours=6))
        assert (renewed.resource_id, renewed.expires_at > channel.expires_at) == (channel.resource_id, True)
    provider.stop_channel(channel)
    provider.stop_channel(channel)


def test_a_rate_limit_says_how_long_to_wait(harness: Harness, provider: CalendarProvider) -> None:
    """A wait that is too long to be slept through comes out as an error that carries it."""
    with harness.failing(harness.rate_limited), pytest.raises(RateLimited) as caught:
        list(provider.event_pages(harness.calendar_id, None))
    assert caught.value.retry_after == harness.retry_after


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: httpx.Response(503, request=request),
        lambda request: httpx.Response(200, text='{"cut sho', request=request),
        lambda request: httpx.Response(200, text="<html>Please log in</html>", request=request),
    ],
    ids=["503", "cut short", "a web page"],
)
def test_an_answer_that_is_none_is_worth_another_try(
    harness: Harness, provider: CalendarProvider, answer: Callable[[httpx.Request], httpx.Response]
) -> None:
    """Nothing of a broken answer gets through: the listing fails as a whole, and may be tried again."""
    with harness.failing(answer), pytest.raises(ProviderUnavailable):
        list(provider.event_pages(harness.calendar_id, None))


def test_a_listing_that_breaks_off_is_none(harness: Harness, provider: CalendarProvider) -> None:
    """From whichever request on the provider is out of reach: the listing fails, or nothing of any time is missing."""
    starts = [harness.at(day, 9) for day in (2, 3)]
    for start in starts:
        harness.add("Dentist", start, start + HALF_HOUR)
    window = Span(instant(harness.now), instant(harness.at(30, 0)))
    begin = harness.switch.requests
    assert busy(listed(provider, harness.calendar_id).events, window, "Dentist") == spans(*starts)
    for good in range(harness.switch.requests - begin):
        from_now = harness.switch.requests + good

        def answer(request: httpx.Request, limit: int = from_now) -> httpx.Response:
            if harness.switch.requests > limit:
                return httpx.Response(503, request=request)
            return harness.switch.inner.handle_request(request)

        with harness.failing(answer):
            try:
                found = listed(provider, harness.calendar_id)
            except ProviderUnavailable:
                continue
        assert busy(found.events, window, "Dentist") == spans(*starts)


def test_silence_is_worth_another_try(harness: Harness, provider: CalendarProvider) -> None:
    """A time-out and a lost connection are the provider's absence, not the calendar's emptiness."""

    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer", request=request)

    def lost(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    for answer in (silent, lost):
        with harness.failing(answer), pytest.raises(ProviderUnavailable):
            list(provider.event_pages(harness.calendar_id, None))


def test_an_expired_token_is_told_from_a_dead_grant(harness: Harness, provider: CalendarProvider) -> None:
    """Every call on an expired token says so; a new one works."""
    span = Span(instant(harness.now), instant(harness.at(1, 0)))
    harness.expire()
    calls: list[Callable[[], object]] = [
        provider.list_calendars,
        lambda: list(provider.event_pages(harness.calendar_id, None)),
        lambda: provider.get_event(harness.calendar_id, "neverwas0here"),
    ]
    if can(provider, Capability.WRITE):
        calls.append(lambda: provider.put_event(harness.calendar_id, draft(harness.at(3, 13))))
        calls.append(lambda: provider.delete_event(harness.calendar_id, KEY))
    calls.append(lambda: provider.events_in(harness.calendar_id, span))
    if can(provider, Capability.FREEBUSY):
        calls.append(lambda: provider.freebusy([harness.calendar_id], span))
    for call in calls:
        with pytest.raises(AuthExpired):
            call()
    harness.renew()
    assert harness.provider().list_calendars()


def test_a_revoked_grant_ends_everything(harness: Harness, provider: CalendarProvider) -> None:
    """After the owner withdrew access calls fail, and so does every attempt to renew it; what was typed in is refused
    as wrong input."""
    harness.revoke()
    with pytest.raises(AuthExpired):
        list(provider.event_pages(harness.calendar_id, None))
    with pytest.raises(GrantRevoked if harness.oauth else InvalidInput):
        harness.renew()


def _around(start: datetime) -> Span:
    """The half hour that begins then."""
    return Span(instant(start), instant(start + HALF_HOUR))


def test_every_provider_is_held_to_the_contract() -> None:
    """A provider that is added is added here too; an imported file, which has no other side, refuses everything."""
    keys = {name.partition("-")[0] for name in HARNESSES}
    assert keys == {kind.key for kind in registry.kinds() if kind.capabilities}
    for kind in registry.kinds():
        if not kind.capabilities:
            provider = registry.calendar_provider(kind.key, "")
            with pytest.raises(ProviderError):
                provider.list_calendars()
            with pytest.raises(ProviderError):
                list(provider.event_pages("c", None))
