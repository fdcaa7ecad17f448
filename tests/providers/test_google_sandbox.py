"""Our Google provider against the sandbox over real HTTP, every exchange held against Google's discovery document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from calendar_app.domain.event import Attendee, CalendarEvent, EventDraft, EventStatus, EventTime
from calendar_app.domain.timespan import Span, instant
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    EventNotFound,
    GrantRevoked,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    SyncTokenInvalid,
    UsageLimited,
)
from calendar_app.providers.base import AccessRole, PushChannel
from calendar_app.providers.google.errors import to_error
from calendar_app.providers.google.mapping import merged_body
from calendar_app.providers.google.oauth import google_oauth
from calendar_app.providers.google.provider import GoogleCalendar
from calendar_app.providers.http import ProviderHttp, shared_client
from calendar_app.settings import Settings
from tests.contracts import ContractTransport, requires_google_contract
from tests.sandbox.server import OWNER, REDIRECT_URI, Sandbox, running_sandbox

pytestmark = requires_google_contract

START = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)
DRAFT = EventDraft(
    remote_id="a1b2c3d4e5f6g7h8",
    key="a1b2c3d4e5f6g7h8",
    uid="b1@almanac",
    summary="Intro call with Ada",
    start=START,
    end=START + timedelta(minutes=30),
    zone="Europe/Berlin",
    description="What is it about? Curtains.",
    location="Phone",
    color="tomato",
    attendees=(Attendee("ada@example.org", "Ada"),),
    private={"almanac_booking": "b1"},
)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(strict=True) as running:
        yield running


@pytest.fixture
def google(sandbox: Sandbox) -> Iterator[GoogleCalendar]:
    """The provider on a signed-in token, with every exchange checked and no waiting between tries."""
    token = sandbox.sign_in()
    with httpx.Client(transport=ContractTransport(httpx.HTTPTransport(verify=False))) as client:
        yield GoogleCalendar(
            ProviderHttp(sandbox.api_url, token, to_error, client=client, sleep=lambda _seconds: None),
            now=sandbox.clock,
        )


def everything(google: GoogleCalendar, cursor: str | None = None) -> tuple[dict[str, CalendarEvent], str]:
    """Events by id, and the cursor, which only the last page may carry."""
    pages = list(google.event_pages(OWNER, cursor))
    assert [page.cursor is not None for page in pages] == [False] * (len(pages) - 1) + [True]
    cursor = pages[-1].cursor
    assert cursor
    return {event.remote_id: event for page in pages for event in page.events}, cursor


def set_role(sandbox: Sandbox, role: str) -> None:
    """What the account may do with its calendar from now on."""
    path = f"/sandbox/api/google/calendars/{OWNER}/role"
    sandbox.client.put(path, json={"role": role}).raise_for_status()


def test_consent_tokens_account_and_calendars(sandbox: Sandbox) -> None:
    """The whole sign-in through the provider's own code: consent, exchange with PKCE, userinfo, refresh, revoke."""
    environment = {name: value for name, value in sandbox.environment.items() if name.startswith("GOOGLE_")}
    oauth = google_oauth(Settings.model_validate(environment))
    verifier = "v" * 64
    url = httpx.URL(oauth.authorization_url(state="st", code_verifier=verifier, redirect_uri=REDIRECT_URI))
    answer = sandbox.decide(**dict(url.params))
    assert answer["state"] == "st"
    grant = oauth.exchange(code=answer["code"], code_verifier=verifier, redirect_uri=REDIRECT_URI)
    assert {need.scope for need in oauth.scopes} == set(grant.scopes)
    assert oauth.account(grant.access_token).email == OWNER
    assert grant.refresh_token
    again = oauth.refresh(grant.refresh_token)
    assert again.access_token != grant.access_token
    oauth.revoke(grant.refresh_token)
    with pytest.raises(GrantRevoked):
        oauth.refresh(grant.refresh_token)
    with pytest.raises(AuthExpired):
        oauth.account(again.access_token)


def test_a_code_cannot_be_used_twice(sandbox: Sandbox) -> None:
    """A replayed code is refused as a dead grant."""
    environment = {name: value for name, value in sandbox.environment.items() if name.startswith("GOOGLE_")}
    oauth = google_oauth(Settings.model_validate(environment))
    url = httpx.URL(oauth.authorization_url(state="st", code_verifier="v" * 64, redirect_uri=REDIRECT_URI))
    code = sandbox.decide(**dict(url.params))["code"]
    oauth.exchange(code=code, code_verifier="v" * 64, redirect_uri=REDIRECT_URI)
    with pytest.raises(GrantRevoked):
        oauth.exchange(code=code, code_verifier="v" * 64, redirect_uri=REDIRECT_URI)


def test_calendars_come_with_role_zone_and_primary(google: GoogleCalendar) -> None:
    """The owner's calendars are listed with what the product shows of them."""
    calendars = {calendar.remote_id: calendar for calendar in google.list_calendars()}
    assert calendars[OWNER].is_primary
    assert calendars[OWNER].timezone == "Europe/Berlin"
    assert calendars[OWNER].access_role.can_write
    assert calendars[OWNER].color.startswith("#")


def test_every_role_is_known(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """Who may write without seeing private details may write; every role below only reads."""
    found = {}
    for role in ("owner", "writer", "writerWithoutPrivateAccess", "reader", "freeBusyReader"):
        set_role(sandbox, role)
        (listed,) = (one for one in google.list_calendars() if one.remote_id == OWNER)
        found[role] = (listed.access_role, listed.access_role.can_write)
        if listed.access_role.can_write:
            google.put_event(OWNER, replace(DRAFT, summary=role))
        else:
            with pytest.raises(PermissionDenied):
                google.put_event(OWNER, replace(DRAFT, summary=role))
    assert found == {
        "owner": (AccessRole.OWNER, True),
        "writer": (AccessRole.WRITER, True),
        "writerWithoutPrivateAccess": (AccessRole.WRITER, True),
        "reader": (AccessRole.READER, False),
        "freeBusyReader": (AccessRole.FREEBUSY, False),
    }


def test_hidden_calendars_are_listed(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """Somebody who hides a calendar in their list is as busy as before."""
    hidden = google.list_calendars()
    sandbox.rule("hidden_calendars", on=False)
    assert google.list_calendars() == hidden
    assert len(hidden) > 1


def test_what_a_customer_writes_arrives_as_they_wrote_it(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """Descriptions are HTML at Google: an address in angle brackets stays, and a link that somebody typed is no link in
    the host's calendar."""
    said = "Jane <jane@example.org>\nBudget: 3 < 5 & more\n<a href='https://evil.example'>Confirm</a> <br>"
    google.put_event(OWNER, replace(DRAFT, description=said))
    assert google.get_event(OWNER, DRAFT.remote_id).description == said
    path = f"/sandbox/api/calendars/{OWNER}/events"
    stored = {one["id"]: one for one in sandbox.client.get(path).json()["items"]}[DRAFT.remote_id]
    assert "<" not in stored["description"]


def test_what_the_owner_formatted_stays(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """A description that says what it should is not written again for the sake of its markup."""
    google.put_event(OWNER, replace(DRAFT, description="Bring the plans"))
    path = f"/sandbox/api/calendars/{OWNER}/events/{DRAFT.remote_id}"
    sandbox.client.patch(path, json={"description": "Bring <b>the plans</b>"}).raise_for_status()
    later = replace(DRAFT, description="Bring the plans", location="Room 2")
    google.put_event(OWNER, later)
    assert sandbox.client.get(f"/sandbox/api/calendars/{OWNER}/events").json()["items"][0]["description"] == (
        "Bring <b>the plans</b>"
    )


def test_free_and_busy_of_a_calendar_come_as_occurrences_with_an_end(
    sandbox: Sandbox, google: GoogleCalendar
) -> None:
    """A weekly meeting of a calendar that shows no more than free and busy is listed within bounds, each time whole,
    also where more was seen before; once more is seen, changes are listed again."""
    known, cursor = everything(google)
    series = next(event for event in known.values() if event.recurrence)
    set_role(sandbox, "freeBusyReader")
    with pytest.raises(SyncTokenInvalid):
        list(google.event_pages(OWNER, cursor))
    pages = list(google.event_pages(OWNER, None, since=sandbox.clock.now - timedelta(days=35)))
    events = [event for page in pages for event in page.events]
    weekly = [event for event in events if event.remote_id.startswith(series.remote_id)]
    assert 52 <= len(weekly) <= 70
    assert not any(event.recurrence or event.master_id or event.summary for event in events)
    assert all(page.snapshot for page in pages)
    again = list(google.event_pages(OWNER, pages[-1].cursor))
    assert [event.remote_id for page in again for event in page.events] == [one.remote_id for one in events]
    set_role(sandbox, "reader")
    with pytest.raises(SyncTokenInvalid):
        list(google.event_pages(OWNER, again[-1].cursor))
    assert any(event.recurrence for event in everything(google)[0].values())


def test_full_listing_then_only_changes(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """After a full listing the cursor gives exactly what changed, and then nothing, with one request."""
    before, cursor = everything(google)
    assert any(event.recurrence for event in before.values())
    assert any(event.master_id for event in before.values())
    google.put_event(OWNER, DRAFT)
    delta, cursor = everything(google, cursor)
    assert set(delta) == {DRAFT.remote_id}
    google.delete_event(OWNER, DRAFT.remote_id)
    delta, cursor = everything(google, cursor)
    assert delta[DRAFT.remote_id].status is EventStatus.CANCELLED
    assert everything(google, cursor)[0] == {}


def test_many_events_come_in_pages(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """More events than a page holds arrive complete and once."""
    sandbox.client.post(f"/sandbox/api/calendars/{OWNER}/generate", json={"count": 6000}).raise_for_status()
    pages = list(google.event_pages(OWNER, None))
    assert len(pages) == 3
    ids = [event.remote_id for page in pages for event in page.events]
    assert len(ids) == len(set(ids)) > 6000


def test_a_refused_cursor_is_its_own_error(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """410 and a cursor that Google cannot read both mean: list everything again."""
    _, cursor = everything(google)
    sandbox.client.post("/sandbox/api/expire-sync-tokens", json={}).raise_for_status()
    for refused in (cursor, "never-issued"):
        with pytest.raises(SyncTokenInvalid):
            list(google.event_pages(OWNER, refused))


def test_a_bounded_listing_still_gives_a_cursor(google: GoogleCalendar) -> None:
    """``since`` leaves the past out and the chain goes on."""
    pages = list(google.event_pages(OWNER, None, since=datetime(2027, 6, 1, tzinfo=UTC)))
    assert pages[-1].cursor
    assert list(google.event_pages(OWNER, pages[-1].cursor))[-1].events == ()


def test_writing_twice_makes_one_event(google: GoogleCalendar) -> None:
    """The same draft again finds its event and changes nothing, not even the etag."""
    _before, cursor = everything(google)
    first = google.put_event(OWNER, DRAFT)
    assert google.put_event(OWNER, DRAFT) == first
    assert set(everything(google, cursor)[0]) == {DRAFT.remote_id}
    stored = google.get_event(OWNER, DRAFT.remote_id)
    assert (stored.summary, stored.color, stored.private) == (
        DRAFT.summary,
        "tomato",
        {"almanac_booking": "b1"},
    )
    assert stored.start == EventTime(datetime(2026, 11, 25, 14, 0), "Europe/Berlin")  # noqa: DTZ001  # wall-clock
    assert first.html_link


def test_a_deleted_event_can_be_written_again(google: GoogleCalendar) -> None:
    """Google keeps a deleted id; writing it again brings the event back instead of failing for ever."""
    google.put_event(OWNER, DRAFT)
    google.delete_event(OWNER, DRAFT.remote_id)
    with pytest.raises(EventNotFound):
        google.get_event(OWNER, DRAFT.remote_id)
    google.put_event(OWNER, DRAFT)
    assert google.get_event(OWNER, DRAFT.remote_id).status is EventStatus.CONFIRMED


@pytest.mark.parametrize("rule", ["purged_ids", "no_revival"])
def test_an_id_that_is_used_up_gives_way_to_the_next(
    sandbox: Sandbox, google: GoogleCalendar, rule: str
) -> None:
    """A deleted event that nobody can bring back: the booking's event is made under an id that follows from ours, once
    however often it is written, and is found when it has to go, also by who knows our id only."""
    sandbox.rule(rule)
    google.put_event(OWNER, DRAFT)
    google.delete_event(OWNER, DRAFT.remote_id)
    _before, cursor = everything(google)
    again = google.put_event(OWNER, DRAFT)
    assert again.remote_id == f"{DRAFT.remote_id}r1"
    assert google.put_event(OWNER, DRAFT) == again
    assert set(everything(google, cursor)[0]) == {again.remote_id}
    google.delete_event(OWNER, DRAFT.remote_id)
    with pytest.raises(EventNotFound):
        google.get_event(OWNER, again.remote_id)
    google.delete_event(OWNER, DRAFT.remote_id)


def test_a_written_event_that_is_gone_is_said_to_be(google: GoogleCalendar) -> None:
    """With an etag the event is known to have stood there: that it is gone is news, and no other id is tried."""
    written = google.put_event(OWNER, DRAFT)
    with pytest.raises(EventNotFound):
        google.put_event(OWNER, replace(DRAFT, remote_id="never0was0here"), etag=written.etag)


def test_a_right_that_is_missing_is_no_used_up_id(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """403 to the change of an event that stands says that we may not write: nothing is made under another id."""
    google.put_event(OWNER, DRAFT)
    set_role(sandbox, "reader")
    with pytest.raises(PermissionDenied):
        google.put_event(OWNER, replace(DRAFT, summary="Other"), etag="")


def test_reaching_the_usage_limit_costs_the_guests_not_the_event(
    sandbox: Sandbox, google: GoogleCalendar
) -> None:
    """Google invites nobody more for some hours: the event stands at its time without new guests, keeps those it has,
    and the next write after that invites them."""
    sandbox.rule("no_invitations")
    written = google.put_event(OWNER, DRAFT)
    assert google.get_event(OWNER, DRAFT.remote_id).attendees == ()
    assert written.uninvited == ("ada@example.org",)
    later = replace(DRAFT, start=DRAFT.start + timedelta(hours=1), end=DRAFT.end + timedelta(hours=1))
    google.put_event(OWNER, later, etag=written.etag)
    assert google.get_event(OWNER, DRAFT.remote_id).attendees == ()
    sandbox.rule("no_invitations", on=False)
    assert google.put_event(OWNER, later).uninvited == ()
    assert [one.email for one in google.get_event(OWNER, DRAFT.remote_id).attendees] == ["ada@example.org"]


def test_the_usage_limit_is_not_asked_again_within_the_call(sandbox: Sandbox) -> None:
    """It lasts hours: one request says so, and what follows waits an hour."""
    fault = {"provider": "google", "kind": "full", "times": None}
    sandbox.client.post("/sandbox/api/faults", json=fault).raise_for_status()
    asked: list[str] = []
    with httpx.Client(event_hooks={"request": [lambda request: asked.append(request.method)]}) as client:
        google = GoogleCalendar(
            ProviderHttp(sandbox.api_url, "t", to_error, client=client, sleep=lambda _seconds: None)
        )
        with pytest.raises(UsageLimited) as limited:
            google.put_event(OWNER, replace(DRAFT, attendees=()))
    assert (asked, limited.value.retry_after) == (["POST"], 3600)


@pytest.mark.parametrize(
    ("stands", "painted"),
    [
        ({"colorId": "11"}, True),
        ({}, False),
        ({"colorId": "11", "eventLabelId": "42617328-8756-4291-8273-192837465647"}, False),
        ({"status": "cancelled"}, True),
    ],
)
def test_a_colour_is_changed_only_where_it_is_ours(stands: dict[str, str], painted: bool) -> None:
    """A label, or no colour at all, is what the calendar's owner chose; an event that is made again gets ours."""
    assert ("colorId" in merged_body(replace(DRAFT, color="pink"), stands)) is painted


def test_google_is_told_that_we_read_compressed_answers() -> None:
    """It compresses for user agents whose name holds "gzip"."""
    assert "gzip" in shared_client().headers["user-agent"]
    assert "gzip" in shared_client().headers["accept-encoding"]


def test_deleting_what_is_gone_is_success(google: GoogleCalendar) -> None:
    """Twice deleted, or never there: both are the state we wanted."""
    google.put_event(OWNER, DRAFT)
    google.delete_event(OWNER, DRAFT.remote_id)
    google.delete_event(OWNER, DRAFT.remote_id)
    google.delete_event(OWNER, "never0was0here")


def test_a_stale_etag_is_refused_and_a_person_s_edit_survives(
    sandbox: Sandbox, google: GoogleCalendar
) -> None:
    """An outside edit makes our etag stale; writing without it keeps the guest that somebody added."""
    written = google.put_event(OWNER, DRAFT)
    outside = {
        "attendees": [{"email": "ada@example.org"}, {"email": "guest@example.org"}],
        "summary": "Renamed",
    }
    path = f"/sandbox/api/calendars/{OWNER}/events/{DRAFT.remote_id}"
    sandbox.client.patch(path, json=outside).raise_for_status()
    with pytest.raises(PreconditionFailed):
        google.put_event(OWNER, DRAFT, etag=written.etag)
    with pytest.raises(PreconditionFailed):
        google.delete_event(OWNER, DRAFT.remote_id, etag=written.etag)
    google.put_event(OWNER, DRAFT)
    stored = google.get_event(OWNER, DRAFT.remote_id)
    assert stored.summary == DRAFT.summary
    assert {attendee.email for attendee in stored.attendees} == {"ada@example.org", "guest@example.org"}


def test_a_moved_draft_moves_the_event(google: GoogleCalendar) -> None:
    """A later version of the draft, written with the current etag, moves the one event."""
    written = google.put_event(OWNER, DRAFT)
    later = replace(DRAFT, start=DRAFT.start + timedelta(hours=1), end=DRAFT.end + timedelta(hours=1))
    moved = google.put_event(OWNER, later, etag=written.etag)
    assert moved.etag != written.etag
    start = google.get_event(OWNER, DRAFT.remote_id).start
    assert start
    assert start.value == datetime(2026, 11, 25, 15, 0)  # noqa: DTZ001  # wall-clock in Berlin


def test_free_busy_names_what_cannot_be_read(google: GoogleCalendar) -> None:
    """Busy spans for one calendar, and for an unknown one an error of its own that spoils nothing."""
    google.put_event(OWNER, DRAFT)
    span = Span(instant(DRAFT.start) - 60, instant(DRAFT.end) + 60)
    answer = google.freebusy([OWNER, "nobody@example.com"], span)
    assert answer[OWNER] == [Span(instant(DRAFT.start), instant(DRAFT.end))]
    assert isinstance(answer["nobody@example.com"], ProviderError)


def test_free_busy_without_its_permission_is_none(sandbox: Sandbox) -> None:
    """Its scope is ticked off: Google says 403, and the answer is that there is none, so that the events tell."""
    base = "https://www.googleapis.com/auth/calendar"
    token = sandbox.sign_in(scope=f"openid email {base}.calendarlist.readonly {base}.events")
    with httpx.Client() as client:
        google = GoogleCalendar(ProviderHttp(sandbox.api_url, token, to_error, client=client))
        assert google.freebusy([OWNER], Span(0, 60)) == {OWNER: None}


def test_an_unknown_calendar_is_said_to_be_gone(google: GoogleCalendar) -> None:
    """Listing or writing a calendar that does not exist is not mistaken for a missing event."""
    with pytest.raises(CalendarNotFound):
        list(google.event_pages("nobody@example.com", None))
    with pytest.raises(CalendarNotFound):
        google.put_event("nobody@example.com", DRAFT)


def test_push_channels_open_once_and_stop_twice(google: GoogleCalendar) -> None:
    """A channel is granted with an end; a second one of the same id is refused; stopping twice is success."""
    expires = datetime(2026, 11, 19, tzinfo=UTC)
    address = "http://localhost:3000/api/v1/hooks/google"
    channel = google.watch(OWNER, channel_id="c1", token="t", address=address, expires_at=expires)
    assert channel.resource_id
    assert channel.expires_at <= expires
    with pytest.raises(InvalidRequest):
        google.watch(OWNER, channel_id="c1", token="t", address=address, expires_at=expires)
    google.stop_channel(channel)
    google.stop_channel(PushChannel("c1", channel.resource_id, expires))


def test_a_domain_that_is_not_verified_means_no_pushes(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """Google says 401 to ``watch``, and means the address: the request is refused, not the account."""
    sandbox.rule("unverified_domain")
    with pytest.raises(InvalidRequest, match="domain is not verified"):
        google.watch(
            OWNER,
            channel_id="c1",
            token="t",
            address="https://unverified.example/hook",
            expires_at=datetime(2026, 11, 19, tzinfo=UTC),
        )
    assert google.list_calendars()


def test_an_expired_access_token_is_auth_expired(sandbox: Sandbox, google: GoogleCalendar) -> None:
    """The sandbox's API really checks the token; ours says what has to happen next."""
    sandbox.client.post("/sandbox/api/expire-access-tokens", json={}).raise_for_status()
    with pytest.raises(AuthExpired):
        google.list_calendars()


def test_the_store_survives_a_restart(tmp_path: Path) -> None:
    """What was written is still there when the provider's server comes back."""
    store = tmp_path / "sandbox.db"
    for turn in (1, 2):
        with running_sandbox(store) as running, httpx.Client() as client:
            calendar = GoogleCalendar(
                ProviderHttp(running.api_url, running.sign_in(), to_error, client=client)
            )
            if turn == 1:
                calendar.put_event(OWNER, DRAFT)
            assert calendar.get_event(OWNER, DRAFT.remote_id).summary == DRAFT.summary
