"""A calendar provider in memory: real OAuth rules, real deltas, etags and pages, and failures on demand.

It implements the protocols of :mod:`calendar_app.providers.base` as a vendor would, so services are tested against
behaviour and not against recorded calls::

    fake = FakeProvider()
    account = fake.account("ada@example.com")
    with fake.installed():                       # registry key "fake"
        url = connections.start(actor, "fake", binding="b")
        answer = fake.allow(url, account)        # what the browser brings back: {"state": …, "code": …}

``fake.fail("refresh", GrantRevoked())`` makes the next call of that name raise; ``None`` lets one call through.
``fake.calls`` lists ``(name, calendar_id)`` of every call that was made.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from urllib.parse import parse_qs, urlencode, urlsplit
from zoneinfo import ZoneInfo

from calendar_app.domain.event import CalendarEvent, EventDraft, EventStatus, EventTime
from calendar_app.domain.meeting import PENDING, Meeting, MeetingState
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.domain.timespan import Span, instant, merge
from calendar_app.domain.unread import Unread
from calendar_app.errors import (
    AuthExpired,
    CalendarNotFound,
    ChannelExists,
    EventNotFound,
    GrantRevoked,
    InvalidRequest,
    PreconditionFailed,
    SyncTokenInvalid,
)
from calendar_app.providers import registry
from calendar_app.providers.base import (
    AccessRole,
    Account,
    BusyAnswer,
    Capability,
    ClientAnswer,
    EventPage,
    Grant,
    PushChannel,
    RemoteCalendar,
    ScopeNeed,
    WrittenEvent,
)
from calendar_app.providers.google.push import read_push

SCOPES = (
    ScopeNeed("profile", "show which account is connected", required=True),
    ScopeNeed("calendar", "read your events and write bookings into your calendars", required=True),
    ScopeNeed(
        "freebusy",
        "check a time once more before a booking is confirmed",
        required=False,
        capability=Capability.FREEBUSY,
    ),
)
ALL_SCOPES = tuple(need.scope for need in SCOPES)


@dataclass
class FakeCalendar:
    """A calendar at the vendor: current events by id, and the order in which they last changed. ``counts`` tells which
    events free/busy takes for busy, ``None`` that there is no free/busy; ``also_busy`` is what it knows besides.
    ``zone`` is what its listings name, ``None`` where they say nothing of one; ``unread`` what they could not read.
    """

    listed: RemoteCalendar
    events: dict[str, CalendarEvent] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    clock: int = 0
    epoch: int = 0
    counts: Callable[[CalendarEvent], bool] | None = attrgetter("blocks_time")
    also_busy: list[Span] = field(default_factory=list)
    zone: str | None = None
    unread: tuple[Unread, ...] = ()

    def save(self, event: CalendarEvent) -> CalendarEvent:
        self.clock += 1
        event = replace(event, etag=f'"{self.clock}"', updated=datetime.now(UTC))
        self.events[event.remote_id] = event
        self.changed[event.remote_id] = self.clock
        return event


@dataclass
class FakeAccount:
    """Somebody's account at the vendor, with calendars by their remote id."""

    account_id: str
    email: str
    calendars: dict[str, FakeCalendar] = field(default_factory=dict)

    def add_calendar(
        self,
        remote_id: str,
        name: str = "",
        *,
        timezone: str = "Europe/Berlin",
        access_role: AccessRole = AccessRole.OWNER,
        color: str = "#3366ff",
        is_primary: bool = False,
        meeting_kinds: tuple[PlaceKind, ...] = (PlaceKind.GOOGLE_MEET,),
    ) -> FakeCalendar:
        listed = RemoteCalendar(
            remote_id,
            name or remote_id,
            timezone,
            access_role,
            color,
            is_primary,
            meeting_kinds=meeting_kinds,
        )
        return self.calendars.setdefault(remote_id, FakeCalendar(listed))


@dataclass
class _Grant:
    account: FakeAccount
    scopes: tuple[str, ...]
    refresh_tokens: set[str] = field(default_factory=set)
    access_tokens: set[str] = field(default_factory=set)


@dataclass
class _Code:
    account: FakeAccount
    scopes: tuple[str, ...]
    challenge: str
    redirect_uri: str


class FakeProvider:
    """The vendor: accounts, grants, calls made and failures to come. ``rotate``: each refresh retires its token.

    ``shorter``: by how much channels end before what was asked for. With ``Capability.RENEW`` each has an id of its
    own, and a calendar may have one. Where it does not take guests (``takes_guests``), events are made without.
    ``meetings``: how far an online meeting is that an event asks for; :meth:`make_meetings` ends what is pending.
    """

    def __init__(self, key: str = "fake", *, rotate: bool = True, page_size: int = 100) -> None:
        self.key = key
        self.rotate = rotate
        self.page_size = page_size
        self.lifetime = timedelta(hours=1)
        self.grant_ends_at: datetime | None = None
        self.shorter = timedelta()
        self.takes_guests = True
        self.meetings = MeetingState.READY
        self.capabilities = (
            Capability.READ | Capability.WRITE | Capability.FREEBUSY | Capability.DELTA | Capability.PUSH
        )
        self.accounts: dict[str, FakeAccount] = {}
        self.calls: list[tuple[str, str]] = []
        self.channels: dict[str, tuple[str, str, str]] = {}
        self._failures: dict[str, deque[Exception | None]] = defaultdict(deque)
        self._codes: dict[str, _Code] = {}
        self._grants: list[_Grant] = []
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self.oauth = FakeOAuth(self)

    @contextmanager
    def installed(self) -> Iterator[FakeProvider]:
        """Stand under ``key`` in the registry for the length of a ``with`` block."""
        with registry.override(
            self.key,
            oauth=self.oauth,
            calendar=lambda token: FakeClient(self, token),
            title="Fake",
            push=read_push,
        ):
            yield self

    def account(self, email: str, *, calendars: Sequence[str] = ("main",)) -> FakeAccount:
        """An account; its first calendar is the primary one."""
        account = FakeAccount(f"id-of-{email}", email)
        for position, name in enumerate(calendars):
            account.add_calendar(f"{name}@{email}", name.title(), is_primary=position == 0)
        self.accounts[account.account_id] = account
        return account

    def grant(self, account: FakeAccount, scopes: Sequence[str] = ALL_SCOPES) -> Grant:
        """Tokens without the browser, for tests that start connected."""
        with self._lock:
            held = _Grant(account, tuple(scopes))
            self._grants.append(held)
            return self._issue(held, with_refresh=True)

    def allow(self, url: str, account: FakeAccount, *, scopes: Sequence[str] = ALL_SCOPES) -> dict[str, str]:
        """The person presses "Allow" (ticking ``scopes``): the query that the browser brings to the redirect URI."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        with self._lock:
            self._codes[code] = _Code(account, tuple(scopes), query["code_challenge"], query["redirect_uri"])
        return {"state": query["state"], "code": code}

    def deny(self, url: str) -> dict[str, str]:
        """The person presses "Deny" (RFC 6749 §4.1.2.1)."""
        return {"state": parse_qs(urlsplit(url).query)["state"][0], "error": "access_denied"}

    def fail(self, name: str, *errors: Exception | None) -> None:
        """The next calls of ``name`` (a protocol method, or ``page``) raise these, in order; ``None`` succeeds."""
        self._failures[name].extend(errors)

    def count(self, name: str, calendar_id: str | None = None) -> int:
        """How often a call was made."""
        return sum(1 for call in self.calls if call[0] == name and calendar_id in (None, call[1]))

    def expire_access_tokens(self) -> None:
        """Every access token answers 401 from now on; refresh tokens still work."""
        with self._lock:
            for held in self._grants:
                held.access_tokens.clear()

    def revoke_grants(self, account: FakeAccount) -> None:
        """The person withdraws access at the vendor's own page."""
        with self._lock:
            self._grants = [held for held in self._grants if held.account is not account]

    def live_grants(self, account: FakeAccount) -> int:
        return sum(held.account is account for held in self._grants)

    def calendar(self, remote_id: str) -> FakeCalendar:
        """The calendar as the vendor holds it, whoever's it is."""
        for account in self.accounts.values():
            if remote_id in account.calendars:
                return account.calendars[remote_id]
        raise KeyError(remote_id)

    def change(self, calendar_id: str, event: CalendarEvent) -> CalendarEvent:
        """Add or change an event from outside."""
        with self._lock:
            return self.calendar(calendar_id).save(event)

    def add_event(
        self,
        calendar_id: str,
        start: datetime,
        end: datetime,
        *,
        zone: str = "Europe/Berlin",
        **parts: object,
    ) -> CalendarEvent:
        """Add a timed event from outside; ``start`` and ``end`` are aware."""
        remote_id = str(parts.pop("remote_id", "")) or f"event{next(self._numbers)}"
        event = CalendarEvent(remote_id, start=_time(start, zone), end=_time(end, zone), **parts)  # type: ignore[arg-type]
        return self.change(calendar_id, event)

    def remove(self, calendar_id: str, remote_id: str) -> None:
        """Delete an event from outside: deltas tell it as cancelled."""
        with self._lock:
            held = self.calendar(calendar_id)
            held.save(replace(held.events[remote_id], status=EventStatus.CANCELLED))

    def make_meetings(self) -> None:
        """What is pending of online meetings is made by now."""
        with self._lock:
            for account in self.accounts.values():
                for held in account.calendars.values():
                    for event in list(held.events.values()):
                        if event.meeting == PENDING:
                            held.save(replace(event, meeting=self._meeting()))

    def _meeting(self) -> Meeting:
        return Meeting(MeetingState.READY, f"https://meet.fake.example/{next(self._numbers)}")

    def standing(self, calendar_id: str) -> list[CalendarEvent]:
        """Events that are not deleted."""
        events = self.calendar(calendar_id).events.values()
        return [event for event in events if event.status is not EventStatus.CANCELLED]

    def expire_cursors(self, calendar_id: str) -> None:
        """Every cursor given out so far answers "410 Gone"."""
        with self._lock:
            self.calendar(calendar_id).epoch += 1

    def _called(self, name: str, calendar_id: str = "") -> None:
        with self._lock:
            if name != "page":
                self.calls.append((name, calendar_id))
            waiting = self._failures[name]
            error = waiting.popleft() if waiting else None
        if error is not None:
            raise error

    def _issue(self, held: _Grant, *, with_refresh: bool) -> Grant:
        access = f"at-{secrets.token_urlsafe(12)}"
        held.access_tokens.add(access)
        refresh = None
        if with_refresh:
            refresh = f"rt-{secrets.token_urlsafe(12)}"
            held.refresh_tokens.add(refresh)
        return Grant(access, refresh, datetime.now(UTC) + self.lifetime, held.scopes, self.grant_ends_at)

    def _holder(self, access_token: str) -> _Grant:
        for held in self._grants:
            if access_token in held.access_tokens:
                return held
        raise AuthExpired


class FakeOAuth:
    """The vendor's authorization server, as :class:`calendar_app.providers.base.OAuthClient`."""

    scopes: Sequence[ScopeNeed] = SCOPES
    issuer = "https://fake.example"

    def __init__(self, vendor: FakeProvider) -> None:
        self._vendor = vendor

    def authorization_url(
        self, *, state: str, code_verifier: str, redirect_uri: str, login_hint: str = ""
    ) -> str:
        query = {
            "response_type": "code",
            "client_id": "fake-client",
            "state": state,
            "code_challenge": _challenge(code_verifier),
            "code_challenge_method": "S256",
            "redirect_uri": redirect_uri,
            "scope": " ".join(ALL_SCOPES),
        }
        return "https://fake.example/authorize?" + urlencode(
            query | ({"login_hint": login_hint} if login_hint else {})
        )

    def exchange(self, *, code: str, code_verifier: str, redirect_uri: str) -> Grant:
        self._vendor._called("exchange")
        with self._vendor._lock:
            issued = self._vendor._codes.pop(code, None)
            if issued is None or issued.challenge != _challenge(code_verifier):
                raise GrantRevoked("Fake did not accept the code.")
            if issued.redirect_uri != redirect_uri:
                raise InvalidRequest(
                    "Fake does not know this redirect address.", reason="redirect_uri_mismatch"
                )
            return self._vendor.grant(issued.account, issued.scopes)

    def refresh(self, refresh_token: str) -> Grant:
        self._vendor._called("refresh")
        with self._vendor._lock:
            for held in self._vendor._grants:
                if refresh_token in held.refresh_tokens:
                    if self._vendor.rotate:
                        held.refresh_tokens.discard(refresh_token)
                    return self._vendor._issue(held, with_refresh=self._vendor.rotate)
        raise GrantRevoked("Fake no longer accepts this sign-in: connect the account again.")

    def revoke(self, token: str) -> None:
        """Every grant of the account ends with it, as at Google."""
        self._vendor._called("revoke")
        with self._vendor._lock:
            for held in list(self._vendor._grants):
                if token in held.refresh_tokens | held.access_tokens:
                    self._vendor.revoke_grants(held.account)

    def check_client(self, redirect_uri: str) -> ClientAnswer:
        return ClientAnswer.ACCEPTED

    def account(self, access_token: str) -> Account:
        self._vendor._called("account")
        found = self._vendor._holder(access_token).account
        return Account(found.account_id, found.email)


class FakeClient:
    """The vendor's calendar API on one access token, as :class:`calendar_app.providers.base.CalendarProvider`."""

    def __init__(self, vendor: FakeProvider, access_token: str) -> None:
        self._vendor = vendor
        self._token = access_token

    @property
    def capabilities(self) -> Capability:
        return self._vendor.capabilities

    def list_calendars(self) -> list[RemoteCalendar]:
        account = self._enter("list_calendars")
        return [held.listed for held in account.calendars.values()]

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        held = self._calendar("event_pages", calendar_id)
        with self._vendor._lock:
            after = -1
            if cursor is not None:
                epoch, _, position = cursor.partition(":")
                if int(epoch) != held.epoch:
                    raise SyncTokenInvalid
                after = int(position)
            found = [
                event
                for event in sorted(held.events.values(), key=lambda event: held.changed[event.remote_id])
                if held.changed[event.remote_id] > after
                and (cursor is not None or event.status is not EventStatus.CANCELLED or event.master_id)
                and (cursor is not None or _ends_after(event, since))
            ]
            done = f"{held.epoch}:{held.clock}"
        size = self._vendor.page_size
        pages = [tuple(found[first : first + size]) for first in range(0, len(found), size)] or [()]
        for number, page in enumerate(pages, start=1):
            self._vendor._called("page", calendar_id)
            last = done if number == len(pages) else None
            yield EventPage(page, last, timezone=held.zone, unread=held.unread if last else ())

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        event = self._calendar("get_event", calendar_id).events.get(remote_id)
        if event is None or event.status is EventStatus.CANCELLED:
            raise EventNotFound
        return event

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        held = self._calendar("put_event", calendar_id)
        uninvited = () if self._vendor.takes_guests else tuple(one.email for one in draft.attendees)
        draft = replace(draft, attendees=() if uninvited else draft.attendees)
        with self._vendor._lock:
            current = held.events.get(draft.remote_id)
            if etag and (current is None or current.status is EventStatus.CANCELLED):
                raise EventNotFound
            if etag and current is not None and current.etag != etag:
                raise PreconditionFailed
            wanted = _event(draft, current)
            if draft.meeting and (wanted.meeting is None or wanted.meeting.state is MeetingState.FAILED):
                ready = self._vendor.meetings is MeetingState.READY
                made = self._vendor._meeting() if ready else Meeting(self._vendor.meetings)
                wanted = replace(wanted, meeting=made)
            if current is None or wanted != replace(current, etag="", updated=None):
                current = held.save(wanted)
        self._vendor._called("after_put", calendar_id)
        link = f"https://fake.example/{current.remote_id}"
        return WrittenEvent(current.remote_id, current.etag, link, uninvited, current.meeting)

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        held = self._calendar("delete_event", calendar_id)
        with self._vendor._lock:
            current = held.events.get(remote_id)
            if current is None or current.status is EventStatus.CANCELLED:
                return
            if etag and current.etag != etag:
                raise PreconditionFailed
            held.save(replace(current, status=EventStatus.CANCELLED, meeting=None))

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, BusyAnswer]:
        account = self._enter("freebusy")
        answer: dict[str, BusyAnswer] = {}
        for calendar_id in calendar_ids:
            held = account.calendars.get(calendar_id)
            if held is None:
                answer[calendar_id] = CalendarNotFound()
                continue
            if held.counts is None:
                answer[calendar_id] = None
                continue
            zone = held.listed.timezone
            busy = [
                _span(event, zone) for event in held.events.values() if event.start and held.counts(event)
            ]
            answer[calendar_id] = merge(
                Span(max(one.start, span.start), min(one.end, span.end))
                for one in (*busy, *held.also_busy)
                if one.overlaps(span)
            )
        return answer

    def events_in(self, calendar_id: str, span: Span) -> list[CalendarEvent]:
        return list(self._calendar("events_in", calendar_id).events.values())

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        self._calendar("watch", calendar_id)
        resource_id = f"resource-{calendar_id}"
        if Capability.RENEW in self.capabilities:
            for one, (held, _, _) in self._vendor.channels.items():
                if held == calendar_id:
                    raise ChannelExists(f"own-{one}")
            resource_id = f"own-{channel_id}"
        self._vendor.channels[channel_id] = (calendar_id, token, address)
        return PushChannel(channel_id, resource_id, expires_at - self._vendor.shorter)

    def renew_channel(self, channel: PushChannel, expires_at: datetime) -> PushChannel:
        self._enter("renew_channel")
        if channel.resource_id.removeprefix("own-") not in self._vendor.channels:
            raise EventNotFound
        return replace(channel, expires_at=expires_at - self._vendor.shorter)

    def stop_channel(self, channel: PushChannel) -> None:
        self._enter("stop_channel")
        self._vendor.channels.pop(channel.channel_id or channel.resource_id.removeprefix("own-"), None)

    def _enter(self, name: str, calendar_id: str = "") -> FakeAccount:
        self._vendor._called(name, calendar_id)
        return self._vendor._holder(self._token).account

    def _calendar(self, name: str, calendar_id: str) -> FakeCalendar:
        held = self._enter(name, calendar_id).calendars.get(calendar_id)
        if held is None:
            raise CalendarNotFound
        return held


def _challenge(verifier: str) -> str:
    """RFC 7636 §4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _time(moment: datetime, zone: str) -> EventTime:
    return EventTime(moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None), zone)


def _event(draft: EventDraft, current: CalendarEvent | None) -> CalendarEvent:
    base = replace(current, etag="", updated=None) if current else CalendarEvent(draft.remote_id)
    return replace(
        base,
        status=EventStatus.CONFIRMED,
        start=_time(draft.start, draft.zone),
        end=_time(draft.end, draft.zone),
        summary=draft.summary,
        description=draft.description,
        location=draft.location,
        color=draft.color,
        ical_uid=draft.uid,
        sequence=draft.sequence,
        attendees=tuple(draft.attendees) or base.attendees,
        private=dict(draft.private),
    )


def _moment(point: EventTime, calendar_zone: str) -> datetime:
    value: date | datetime = point.value
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return value.replace(tzinfo=ZoneInfo(point.zone or calendar_zone))


def _span(event: CalendarEvent, calendar_zone: str) -> Span:
    assert event.start is not None
    assert event.end is not None
    return Span(instant(_moment(event.start, calendar_zone)), instant(_moment(event.end, calendar_zone)))


def _ends_after(event: CalendarEvent, since: datetime | None) -> bool:
    if since is None or event.end is None or event.recurrence:
        return True
    return _moment(event.end, "UTC") > since
