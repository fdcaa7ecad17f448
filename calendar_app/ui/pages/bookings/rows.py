"""Bookings as the staff's page shows them: a line each, and everything about the one that is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.domain.phone import readable_phone
from calendar_app.services.bookings.queries import HistoryView
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.event_types.meeting_places import TITLES, place_in_words
from calendar_app.services.external_changes.queries import DeviationView
from calendar_app.ui import formats

HOLDING = ("pending", "confirmed")


@dataclass
class Receipt:
    """How far one calendar has come with the booking; ``verified_at`` and ``next_try`` are RFC 3339 or empty."""

    calendar: str
    provider: str
    state: str
    attempts: str
    error: str
    verified_at: str
    next_try: str
    html_link: str


@dataclass
class Difference:
    """A calendar that does not say what the booking says, and what can be done about it.

    ``follow`` is what following the calendar means, empty where it cannot be followed.
    """

    id: str
    sentence: str
    found: str
    reason: str
    follow: str
    can_restore: bool


@dataclass
class BookingRow:
    """A booking in the list; ``differs``: a calendar does not say the same, whatever was verified before."""

    id: str
    title: str
    who: str
    day: str
    time: str
    status: str
    sync: str
    differs: bool = False


@dataclass
class Fact:
    """A line of the details."""

    label: str
    value: str


@dataclass
class BookingDetail:
    """The booking that is open, and what may be done with it now."""

    id: str = ""
    title: str = ""
    when: str = ""
    status: str = ""
    can_approve: bool = False
    can_move: bool = False
    can_cancel: bool = False
    can_miss: bool = False
    can_retry: bool = False
    manage_url: str = ""
    facts: list[Fact] = field(default_factory=list)
    answers: list[Fact] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    history: list[Fact] = field(default_factory=list)


def worst(states: list[str]) -> str:
    """The state that stands for all calendars of a booking: the one that needs most attention."""
    return next(
        (state for state in ("failed", "queued", "written", "verified", "removed") if state in states), ""
    )


def as_row(view: BookingView, zone: str, hour12: bool, now: datetime, *, differs: bool = False) -> BookingRow:
    day = view.start.astimezone(ZoneInfo(zone)).date()
    today = now.astimezone(ZoneInfo(zone)).date()
    state = worst([receipt.state for receipt in view.sync] + ["failed"] * bool(view.meeting_error))
    return BookingRow(
        id=view.id,
        title=view.title,
        who=view.name,
        day=formats.relative_day(day, today),
        time=formats.span(view.start, view.end, zone, hour12=hour12),
        status=view.status,
        sync="" if differs and state == "verified" else state,
        differs=differs,
    )


def as_difference(view: DeviationView, zone: str, hour12: bool) -> Difference:
    found = ""
    if view.found_start and view.found_end:
        day = formats.day(view.found_start.astimezone(ZoneInfo(zone)).date())
        found = f"There: {day}, {formats.span(view.found_start, view.found_end, zone, hour12=hour12)}"
    follow = "Follow the calendar" if view.kind == "moved" else "Cancel the booking"
    return Difference(
        id=view.id,
        sentence=view.sentence,
        found=found,
        reason=view.reason,
        follow=follow if "follow" in view.choices else "",
        can_restore="restore" in view.choices,
    )


def as_detail(
    view: BookingView,
    history: Iterable[HistoryView],
    zone: str,
    hour12: bool,
    now: datetime,
    deviations: Iterable[DeviationView] = (),
) -> BookingDetail:
    their_zone = formats.known_zone(view.timezone)
    their_day = formats.day(view.start.astimezone(ZoneInfo(their_zone)).date())
    theirs = f"{their_day}, {formats.span(view.start, view.end, their_zone, hour12=hour12)}"
    facts = [
        Fact("Customer", view.name),
        Fact("Email", view.email),
        Fact("Customer’s time", f"{theirs}, {formats.zone_name(their_zone, view.start)}"),
        Fact("Host", ", ".join(host.name for host in view.hosts)),
    ]
    facts += _entered(view)
    facts += [Fact("Came from", " · ".join(view.campaign.values()))] if view.campaign else []
    facts += [Fact("Reason", view.cancel_reason)] if view.cancel_reason else []
    receipts = [
        Receipt(
            calendar=receipt.calendar,
            provider=receipt.provider,
            state=receipt.state,
            attempts=formats.count(receipt.attempts, "attempt"),
            error=receipt.last_error or "",
            verified_at=formats.rfc3339(receipt.verified_at),
            next_try=formats.rfc3339(receipt.next_attempt_at) if receipt.state == "queued" else "",
            html_link=receipt.html_link or "",
        )
        for receipt in view.sync
    ]
    holds = view.status in HOLDING
    return BookingDetail(
        id=view.id,
        title=f"{view.title} with {view.name}",
        when=_moment(view.start, zone, hour12),
        status=view.status,
        can_approve=view.status == "pending" and now < view.start,
        can_move=holds,
        can_cancel=holds,
        can_miss=view.status in ("confirmed", "completed") and now >= view.start,
        can_retry=bool(view.meeting_error) or any(receipt.state == "failed" for receipt in receipts),
        manage_url=view.manage_url,
        facts=facts,
        answers=[Fact(question, answer) for question, answer in view.answers_in_words],
        receipts=receipts,
        differences=[as_difference(one, zone, hour12) for one in deviations],
        history=[Fact(_moment(entry.at, zone, hour12), in_words(entry, zone, hour12)) for entry in history],
    )


def _entered(view: BookingView) -> list[Fact]:
    """Where it takes place, and what was entered beside the answers."""
    where = place_in_words(view.place, for_host=True)
    if view.place.kind and view.place.link:
        where = f"{TITLES[PlaceKind(view.place.kind)]}: {where}"
    if view.link_follows and not view.meeting_error:
        where = f"{TITLES[PlaceKind(view.place.kind)]}: the link is on its way"
    lines = [
        ("Location", where),
        ("No link to join", view.meeting_error),
        ("Phone", readable_phone(view.phone)),
        ("Booked by", f"{view.booked_by_name} <{view.booked_by_email}>" if view.booked_by_email else ""),
        ("Guests", ", ".join(view.guests)),
        ("Notes", view.notes),
    ]
    return [Fact(label, value) for label, value in lines if value]


_DONE = {
    "created": "Booked",
    "confirmed": "Confirmed",
    "declined": "Declined",
    "cancelled": "Cancelled",
    "completed": "Took place",
    "no_show": "Marked as no-show",
    "rescheduled": "Rescheduled",
    "sync_retried": "Calendars tried again",
    "moved_calendar": "Moved to another calendar",
    "event_restored": "Event put back",
    "deviation_kept": "Difference kept",
}
_WHO = {"customer": "the customer", "staff": "staff", "system": "the system"}


def in_words(entry: HistoryView, zone: str, hour12: bool) -> str:
    """``Rescheduled by the customer, from … to …``: an entry of the history as a sentence."""
    text = _DONE.get(entry.action, entry.action.replace("_", " ").capitalize())
    if entry.who.startswith("changed in "):
        text += f" ({entry.who})"
    elif entry.who:
        text += f" by {_WHO.get(entry.who, entry.who)}"
    text += _from_to(entry.detail, zone, hour12) if entry.action == "rescheduled" else ""
    reason = entry.detail.get("reason")
    return f"{text}: {reason}" if reason else text


def _from_to(detail: Mapping[str, Any], zone: str, hour12: bool) -> str:
    try:
        before, after = (datetime.fromisoformat(str(detail[key])) for key in ("from", "to"))
    except (KeyError, ValueError):
        return ""
    return f", from {_moment(before, zone, hour12)} to {_moment(after, zone, hour12)}"


def _moment(at: datetime, zone: str, hour12: bool) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %Y}, {formats.clock(at, zone, hour12=hour12)}"
