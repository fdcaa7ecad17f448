"""What a calendar provider is, for everybody who is not one.

A provider is a folder with two modules: ``provider`` (calls) and ``mapping`` (pure: vendor JSON or iCalendar <->
:mod:`calendar_app.domain.event`). Services talk to the two protocols below and look at :class:`Capability` flags before
a call; they never ask which provider it is. Every method raises only the ``ProviderError`` branch of
:mod:`calendar_app.errors`; all are synchronous and carry their own time-outs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Flag, StrEnum, auto
from typing import Protocol, runtime_checkable

from calendar_app.domain.event import CalendarEvent, EventDraft
from calendar_app.domain.meeting import Meeting
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.domain.timespan import Span
from calendar_app.domain.unread import Unread
from calendar_app.errors import ProviderError


class Capability(Flag):
    """What a provider can do; checked before the call. APPOINTMENTS: it is :class:`Appointments` besides; RENEW:
    it is :class:`RenewsChannels`; UNCHANGED: it is :class:`TellsUnchanged`."""

    READ = auto()
    WRITE = auto()
    FREEBUSY = auto()
    DELTA = auto()
    PUSH = auto()
    APPOINTMENTS = auto()
    RENEW = auto()
    UNCHANGED = auto()


class AccessRole(StrEnum):
    """Rights on a calendar, weakest first: see only free/busy, read, write events, own."""

    FREEBUSY = "freebusy"
    READER = "reader"
    WRITER = "writer"
    OWNER = "owner"

    @property
    def can_write(self) -> bool:
        return self in (AccessRole.WRITER, AccessRole.OWNER)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token endpoint gave us; ``refresh_token`` is ``None`` where the old one stays valid. ``expires_at`` is
    ``None`` for what never ends: a password, an address. ``ends_at``: when the whole grant ends, whatever we do, where
    the provider says so."""

    access_token: str
    refresh_token: str | None
    expires_at: datetime | None
    scopes: tuple[str, ...]
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Whose grant it is: the provider's stable ``account_id``, and the e-mail address people know it by."""

    account_id: str
    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ScopeNeed:
    """One permission we ask for; ``feature`` completes "without it we cannot …", empty where nobody would notice;
    ``required``: no use without. ``capability``: what of the provider is not to be asked for where it was not given."""

    scope: str
    feature: str
    required: bool
    capability: Capability | None = None


@dataclass(frozen=True, slots=True)
class RemoteCalendar:
    """A calendar as its provider lists it. ``color`` is ``#rrggbb``; ``timezone`` is the IANA name of the calendar's
    own zone, empty where its provider names none. ``is_selected``: its owner has it displayed at
    the provider, where that says so. ``meeting_kinds``: the online meetings that it can make for its events."""

    remote_id: str
    name: str
    timezone: str
    access_role: AccessRole
    color: str = ""
    is_primary: bool = False
    is_selected: bool = False
    meeting_kinds: tuple[PlaceKind, ...] = ()


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of a full or incremental listing.

    ``events`` include cancelled ones (status CANCELLED) in an incremental listing. ``cursor`` is set on the last page
    only, and only then may it be stored. ``snapshot``: the pages together hold everything, although a cursor was given,
    so that what they lack is gone. ``unread``: what could not be read, beyond what single events say
    in :attr:`CalendarEvent.unread`. ``timezone``: the IANA zone that the calendar itself names, empty if it names
    none, ``None`` where this page does not say. ``wish``: how long the publisher wants the calendar not to be asked,
    ``None`` where the answer does not say anything new of it.
    """

    events: tuple[CalendarEvent, ...]
    cursor: str | None = None
    snapshot: bool = False
    unread: tuple[Unread, ...] = ()
    timezone: str | None = None
    wish: timedelta | None = None


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """What a provider says of an event that we just wrote. ``uninvited``: addresses of guests whom it did not take;
    ``meeting``: the online meeting that was asked for."""

    remote_id: str
    etag: str
    html_link: str = ""
    uninvited: tuple[str, ...] = ()
    meeting: Meeting | None = None


@dataclass(frozen=True, slots=True)
class PushChannel:
    """A push channel as granted: the provider may shorten the life we asked for."""

    channel_id: str
    resource_id: str
    expires_at: datetime


class SignIn(StrEnum):
    """How a person connects an account: pages choose their form by this, not by the provider."""

    OAUTH = "oauth"
    PASSWORD = "password"  # noqa: S105  # a kind of sign-in
    ADDRESS = "address"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person types where there is no OAuth: a server's or feed's ``address`` (or an e-mail address to find it
    by), and for :attr:`SignIn.PASSWORD` a user name and an app password."""

    address: str
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """An account that credentials opened. ``secret`` is what the provider needs to open it again; it is kept encrypted
    and handed back as the access token of :meth:`CalendarProvider`'s factory."""

    account: Account
    secret: str = field(repr=False)


class CredentialClient(Protocol):
    """The sign-in side of a provider without OAuth."""

    def open(self, credentials: Credentials) -> Opened:
        """Find the account and prove that it can be read.

        :raises CredentialsRejected: wrong user name or password. :raises InvalidInput: the address is no such server,
            or may not be called. :raises ProviderError: the server cannot be reached or does not answer as it should.
        """


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What arrived at a provider's webhook: headers (lower-case names), the query string's fields, the raw body."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


class PushSignal(StrEnum):
    """What a push says: read the calendar; the channel ends soon; it has ended; pushes were lost; or nothing, because
    it does not prove where it comes from."""

    CHANGED = "changed"
    EXPIRING = "expiring"
    ENDED = "ended"
    MISSED = "missed"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class PushNotice:
    """One notification about one channel.

    ``authentic`` tells, from the channel's secret, whether the provider sent it; nothing else in it may be believed
    before. ``number`` rises with each message of a channel where the provider counts them, else 0. ``once`` is what
    tells a message from any other where it does not: one that comes again within minutes is a replay.
    """

    channel_id: str
    authentic: Callable[[str], bool]
    signal: PushSignal = PushSignal.CHANGED
    number: int = 0
    once: str = ""


@dataclass(frozen=True, slots=True)
class PushEcho:
    """A provider's check that the webhook is ours: ``text`` has to be sent back as plain text."""

    text: str


BusyAnswer = list[Span] | ProviderError | None
"""When one calendar is busy, why that cannot be told, or ``None``: nobody there tells such a thing.
See :meth:`CalendarProvider.freebusy`."""

PushReader = Callable[[PushRequest], "PushEcho | Sequence[PushNotice]"]
"""Takes a webhook request apart, pure and quick. :raises InvalidInput: it is none of the provider's."""


class ConsentRefusal(StrEnum):
    """Why a provider did not let a person consent, as far as it says so: an administrator has to; an administrator was
    asked already; it may be the one or the person's own "no"; the account is not among those that may use the
    application; a policy of the organization blocked the sign-in; the person has to sign in once more."""

    ADMINISTRATOR = "admin_consent_required"
    REQUESTED = "admin_consent_requested"
    DECLINED = "consent_declined"
    NOT_ASSIGNED = "not_assigned"
    POLICY = "blocked_by_policy"
    SIGN_IN = "sign_in_again"


@runtime_checkable
class AsksAdministrators(Protocol):
    """The sign-in of a provider where an organization's administrator may have to consent for its people."""

    def administrator_url(self, *, state: str, redirect_uri: str) -> str:
        """Where an administrator consents for everybody; empty where there is no such place."""

    def refusal(self, error: str, description: str) -> ConsentRefusal | None:
        """What the provider's refusal means; ``None`` where it does not say more than RFC 6749 §4.1.2.1."""


class ClientAnswer(StrEnum):
    """What a token endpoint says of our client id and secret when it is given a code that nobody issued.

    ``UNPROVEN``: it refused the code before it said anything of the secret.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"
    REDIRECT = "redirect"
    UNPROVEN = "unproven"


class OAuthClient(Protocol):
    """The OAuth 2.0 side of a provider: authorization code with PKCE S256 (RFC 6749 §4.1, RFC 7636).

    ``issuer`` is what RFC 9207's ``iss`` must be in an answer that carries one; empty where nobody can know it.
    """

    scopes: Sequence[ScopeNeed]
    issuer: str

    def authorization_url(
        self, *, state: str, code_verifier: str, redirect_uri: str, login_hint: str = ""
    ) -> str:
        """Where to send the browser."""

    def exchange(self, *, code: str, code_verifier: str, redirect_uri: str) -> Grant:
        """Trade the code for tokens. :raises GrantRevoked: bad code. :raises InvalidRequest: bad client credentials."""

    def refresh(self, refresh_token: str) -> Grant:
        """A new access token. :raises GrantRevoked: ``invalid_grant``, the person must reconnect."""

    def revoke(self, token: str) -> None:
        """Withdraw the grant (RFC 7009); a token that is already dead is success."""

    def account(self, access_token: str) -> Account:
        """Whose grant it is."""

    def check_client(self, redirect_uri: str) -> ClientAnswer:
        """Whether the provider takes our client id and secret; changes nothing there.

        :raises ProviderUnavailable: it does not answer, or not in a way that can be read.
        """


class CalendarProvider(Protocol):
    """The calendar side of a provider, for one access token. ``calendar_id`` is always the provider's own id."""

    capabilities: Capability

    def list_calendars(self) -> list[RemoteCalendar]:
        """Every calendar of the account that is not deleted."""

    def event_pages(
        self, calendar_id: str, cursor: str | None, *, since: datetime | None = None
    ) -> Iterator[EventPage]:
        """All events (``cursor`` ``None``) or the changes since ``cursor``, page by page, masters unexpanded.

        ``since`` bounds a full listing to events that end after it (recurring ones always count), where the provider
        can still give a cursor with such a bound. :raises SyncTokenInvalid: the cursor is too old; list everything.
        """

    def get_event(self, calendar_id: str, remote_id: str) -> CalendarEvent:
        """One event. :raises EventNotFound: unknown, or deleted."""

    def put_event(self, calendar_id: str, draft: EventDraft, *, etag: str = "") -> WrittenEvent:
        """Make the event equal to ``draft``, creating it if need be; repeating it changes nothing.

        ``draft.remote_id`` equals ``draft.key``, our own stable id, until the event was written; from then on it is
        what :attr:`WrittenEvent.remote_id` said. Where the provider chooses ids, ``key`` is what keeps a repeat from
        making a second event. With ``etag``, only if the event is still at that version. An online meeting is asked for
        where the event has none; a repeat makes no second one, and where the calendar refuses it the event is written
        without.

        :raises PreconditionFailed: it is not, or what stands there does not fit (409, 410): read it.
        :raises EventNotFound: the written event is gone.
        """

    def delete_event(self, calendar_id: str, remote_id: str, *, etag: str = "") -> None:
        """Remove the event; one that is already gone is success.

        ``remote_id`` may still be our key, where nobody knows whether the write took effect: an event that was made
        with that key is then found and removed. :raises PreconditionFailed: ``etag`` is stale, or the provider says
        409 or 410, which may mean that the event is gone: read it.
        """

    def freebusy(self, calendar_ids: Sequence[str], span: Span) -> Mapping[str, BusyAnswer]:
        """Busy spans per calendar, or the error that kept that one calendar from being read (FREEBUSY). ``None`` where
        the server has no such answer for it: then :meth:`events_in` tells."""

    def events_in(self, calendar_id: str, span: Span) -> Sequence[CalendarEvent]:
        """The events that may lie in ``span``, as they stand now (READ): single ones, and of series either the
        occurrences or the master with its changed occurrences. There may be more of them; what cannot be read is an
        error, and never left out."""

    def watch(
        self, calendar_id: str, *, channel_id: str, token: str, address: str, expires_at: datetime
    ) -> PushChannel:
        """Ask for a push to ``address`` when the calendar changes (PUSH).

        :raises ChannelExists: the calendar has a channel already, and may have one only (RENEW).
        """

    def stop_channel(self, channel: PushChannel) -> None:
        """End a push channel; one that is already gone is success."""


@runtime_checkable
class RenewsChannels(Protocol):
    """Push channels that go on under their own id (RENEW), where a calendar may have one of an application only."""

    def renew_channel(self, channel: PushChannel, expires_at: datetime) -> PushChannel:
        """Let the channel live until ``expires_at``, and vouch for it with this access token.

        :raises EventNotFound: it has ended.
        """


@runtime_checkable
class TellsUnchanged(Protocol):
    """Tells of many calendars at once which of them need not be read (UNCHANGED)."""

    def unchanged(self, cursors: Mapping[str, str]) -> set[str]:
        """Ids of the calendars that are as they were when these cursors, by calendar id, were given. Of others nothing
        is said: they are read. Errors as in any call."""


@dataclass(frozen=True, slots=True)
class AppointmentType:
    """Something that customers can book at a provider that takes bookings itself."""

    remote_id: str
    name: str
    minutes: int
    booking_url: str
    description: str = ""
    active: bool = True


@runtime_checkable
class Appointments(Protocol):
    """What a provider can do besides that takes bookings itself (APPOINTMENTS), whoever may write its events."""

    def appointment_types(self, calendar_id: str) -> list[AppointmentType]:
        """What customers can book there."""

    def cancel_appointment(self, calendar_id: str, remote_id: str, reason: str) -> None:
        """Cancel an event for everybody; the provider tells its guests, with ``reason``. Cancelled already is success.

        :raises EventNotFound: unknown. :raises PermissionDenied: it is over, or another's.
        """


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """A provider as the registry lists it: names for people, what to set when it is not configured.

    ``configured`` tells whether credentials are set; ``missing`` names the environment variables that are not.
    ``parallel`` is how many calls one account may have in flight at once, ``per_account`` and ``per_project`` how many
    requests a minute one account and all together may make; 0 for no limit. ``note`` is one sentence
    about what the provider cannot do, shown where people choose calendars. ``access_page`` says where the owner of an
    account ends our access, for providers that we cannot tell. ``administrators``: some people need the consent of one
    first. ``asks_addresses``: answers to invitations are told by the owner's addresses, which a server may not know,
    so that the owner can give them.
    """

    key: str
    title: str
    capabilities: Capability
    configured: bool
    missing: tuple[str, ...] = ()
    sign_in: SignIn = SignIn.OAUTH
    parallel: int = 0
    per_account: int = 0
    per_project: int = 0
    note: str = ""
    access_page: str = ""
    administrators: bool = False
    asks_addresses: bool = False

    @property
    def reads(self) -> bool:
        """Whether there is anything to read again."""
        return Capability.READ in self.capabilities

    @property
    def takes_bookings(self) -> bool:
        """Whether customers can book at the provider itself."""
        return Capability.APPOINTMENTS in self.capabilities
