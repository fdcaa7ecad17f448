"""What every stand-in of a provider gives to the sandbox's page, its control interface and its fault switches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from starlette.datastructures import Headers
from starlette.routing import BaseRoute

from calendar_app.sandbox.delivery import Delivery
from calendar_app.sandbox.grants import Grants, bearer_token
from calendar_app.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Listed:
    """Which of a calendar's events are listed: at most ``limit``, those that begin within ``days`` from today."""

    days: int
    limit: int


FOR_THE_PAGE = Listed(days=60, limit=25)
FOR_PROGRAMS = Listed(days=400, limit=1000)
"""As far ahead as anything can be booked or read."""


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event as the page shows it; ``notes`` are short remarks ("from Almanac", "repeats weekly").

    ``end`` is exclusive; an all-day event begins and ends at midnight. ``series``: the id of the whole series, for an
    occurrence of a stand-in that can delete it (:class:`KeepsSeries`).
    """

    id: str
    title: str
    start: datetime
    end: datetime
    all_day: bool = False
    notes: tuple[str, ...] = ()
    series: str = ""


@dataclass(frozen=True, slots=True)
class HeldCalendar:
    """A calendar with its next events (:class:`Listed`); ``total`` counts all. ``timezone`` is an IANA name.

    ``role`` is what its account may do with it (:class:`KeepsRights`); with ``none`` no events are given.
    """

    id: str
    name: str
    timezone: str
    color: str
    events: tuple[HeldEvent, ...]
    total: int
    writable: bool = True
    role: str = "owner"


@dataclass(frozen=True, slots=True)
class HeldAccount:
    """An account; ``connected`` tells whether it has given consent. ``hint`` says how to sign in, where needed.

    ``access`` says that it is open to the application, ``end_access`` what its owner does to change that.
    """

    email: str
    name: str
    calendars: tuple[HeldCalendar, ...]
    connected: bool
    channels: int = 0
    hint: str = ""
    access: str = "connected to the application"
    end_access: str = "Remove access"


class StandIn(Protocol):
    """One provider's stand-in. Changes made through it are outside changes: push channels hear of them.

    ``key`` is the registry's name of the provider; its routes live below ``/sandbox/<key>``. Methods that take an id
    raise ``KeyError`` for an unknown one, ``ValueError`` for values that no event can have.
    """

    key: str
    title: str

    def routes(self) -> Sequence[BaseRoute]:
        """What is mounted at ``/sandbox/<key>``."""

    def accounts(self, listed: Listed = FOR_THE_PAGE) -> Sequence[HeldAccount]:
        """What it holds."""

    def add_event(self, calendar_id: str, title: str, start: datetime, end: datetime) -> str:
        """Add an event; its id."""

    def move_event(self, calendar_id: str, event_id: str, start: datetime) -> None:
        """Move an event, keeping its length."""

    def rename_event(self, calendar_id: str, event_id: str, title: str) -> None:
        """Give an event another title."""

    def delete_event(self, calendar_id: str, event_id: str) -> None:
        """Delete an event."""

    def remove_access(self, email: str) -> None:
        """End every grant of the account, as its owner can at the provider."""

    async def close(self) -> None:
        """Stop what runs beside requests."""


class OAuthStandIn:
    """What the stand-ins share whose accounts are connected on a consent page."""

    store: Store
    grants: Grants
    delivery: Delivery

    def sequence(self) -> int:
        """Grows with every change."""
        return self.store.sequence()

    def account_of(self, headers: Headers) -> str:
        """The e-mail address behind a request's access token; empty where there is none."""
        grant = self.grants.find("access", bearer_token(headers))
        return grant.account if grant else ""

    def remove_access(self, email: str) -> None:
        self.grants.withdraw(email)

    def expire_access_tokens(self, account: str | None) -> None:
        """The next call answers 401; of one e-mail address, or of all."""
        self.grants.expire_access_tokens(account)

    async def close(self) -> None:
        await self.delivery.close()
        self.store.close()


# What a stand-in may offer besides; the page and the control interface show it where it is there.


@runtime_checkable
class KeepsSeries(Protocol):
    """Whole days and weekly repetition; a series is deleted as any event, by its id."""

    def add_special(
        self,
        calendar_id: str,
        title: str,
        start: datetime,
        end: datetime,
        *,
        all_day: bool,
        weekly: bool,
    ) -> str:
        """Like ``add_event``; whole days begin and end at midnight of the calendar's zone."""


@runtime_checkable
class Counts(Protocol):
    """Tells when the page has to be shown anew."""

    def sequence(self) -> int:
        """Grows with every change."""


@runtime_checkable
class Recognises(Protocol):
    """Lets fault switches tell accounts apart."""

    def account_of(self, headers: Headers) -> str:
        """The e-mail address behind a request's token; empty where there is none."""


@runtime_checkable
class Expires(Protocol):
    """What ends without anybody's doing, brought about now; ``account`` is an e-mail address, ``None`` everybody's."""

    def expire_access_tokens(self, account: str | None) -> None:
        """The next call answers 401."""

    def expire_sync_tokens(self, calendar_id: str | None) -> None:
        """The next incremental listing is refused; of one calendar, or of all."""

    def expire_channels(self, account: str | None) -> None:
        """Push channels end as if their time had come, silently."""


@runtime_checkable
class SendsNotices(Protocol):
    """What a provider tells about its push channels themselves, brought about now."""

    def notices(self) -> Mapping[str, str]:
        """Their names, and what pages call them."""

    def send_notice(self, kind: str, account: str | None) -> int:
        """To the channels of one e-mail address, or all; how many. :raises ValueError: no such kind."""


ROLES = ("owner", "reader", "none")
"""What the account may do with a calendar at any provider; ``none``: it is deleted, or no longer shared."""


@runtime_checkable
class KeepsRights(Protocol):
    """Rights that are taken away and given back, with what stands in the calendar untouched. ``roles``: those that the
    provider knows, :data:`ROLES` among them."""

    roles: Sequence[str]

    def set_role(self, calendar_id: str, role: str) -> None:
        """One of ``roles``."""


def set_role(stand_in: StandIn, calendar_id: str, role: str) -> None:
    """:raises ValueError: no such role, or the stand-in keeps none. :raises KeyError: no such calendar."""
    if not isinstance(stand_in, KeepsRights):
        raise ValueError(f"{stand_in.title} keeps no rights that could be changed.")
    if role not in stand_in.roles:
        raise ValueError(f"role must be one of {', '.join(stand_in.roles)}.")
    stand_in.set_role(calendar_id, role)


def let_expire(stand_in: StandIn, what: str, account: str) -> None:
    """``what``: ``tokens``, ``sync`` or ``channels``, of one e-mail address or, if that is empty, of everybody.

    :raises ValueError: for anything else, and where nothing expires.
    """
    if not isinstance(stand_in, Expires):
        raise ValueError(f"{stand_in.title} has nothing that expires on demand.")
    match what:
        case "tokens":
            stand_in.expire_access_tokens(account or None)
        case "sync":
            stand_in.expire_sync_tokens(None)
        case "channels":
            stand_in.expire_channels(account or None)
        case _:
            raise ValueError("What expires must be tokens, sync or channels.")


def send_notice(stand_in: StandIn, kind: str, account: str) -> int:
    """To the channels of one e-mail address, or of everybody; how many. :raises ValueError: it is not sent here."""
    if not isinstance(stand_in, SendsNotices):
        raise ValueError(f"{stand_in.title} sends no notices about its channels.")
    return stand_in.send_notice(kind, account or None)
