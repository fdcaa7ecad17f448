"""The words of every letter about a booking: one subject and one plain text for the customer, one for a host.

Times are in the reader's zone, and the zone is named. What customers type reaches hosts as it is, but nobody else: a
booking form must not become a way to send other people's addresses a text of one's own choice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from calendar_app.domain.event import Attendee
from calendar_app.services.event_types.meeting_places import PlaceView, place_in_words
from calendar_app.services.mail import rendering as mail_rendering


class News(StrEnum):
    """What a letter tells."""

    CONFIRMED = "confirmed"
    REQUESTED = "requested"
    MOVED = "moved"
    MOVE_REQUESTED = "move_requested"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    REMINDER = "reminder"


GONE = frozenset({News.DECLINED, News.CANCELLED})
WAITING = frozenset({News.REQUESTED, News.MOVE_REQUESTED})


@dataclass(frozen=True, slots=True)
class Facts:
    """A booking as letters tell it at ``now``. Times are aware.

    ``before``: the start before it was moved. ``deadline``: the customer's last moment to change it. ``by``: who
    brought the news about, ``customer``, ``staff`` or ``system``. ``again_url``: where it can be booked anew, or
    nothing. ``answers``: questions and answers.
    """

    title: str
    business: str
    start: datetime
    end: datetime
    customer: Attendee
    customer_zone: str
    hosts: tuple[Attendee, ...]
    place: PlaceView
    answers: tuple[tuple[str, str], ...]
    deadline: datetime
    manage_url: str
    staff_url: str
    again_url: str
    now: datetime
    by: str = "customer"
    reason: str = ""
    before: datetime | None = None
    guests: tuple[str, ...] = ()
    booker: Attendee | None = None
    phone: str = ""
    notes: str = ""


class Text(NamedTuple):
    subject: str
    body: str


_FOR_CUSTOMERS = {
    News.CONFIRMED: ("Confirmed", "your booking with {business} is confirmed."),
    News.REQUESTED: (
        "Request received",
        "your request has reached {business}. The time is kept for you; you will hear by e-mail as soon as it is "
        "confirmed or declined.",
    ),
    News.MOVED: ("New time", "your booking with {business} has a new time."),
    News.MOVE_REQUESTED: (
        "Request received",
        "your wish for another time has reached {business}. The new time is kept for you; you will hear by e-mail as "
        "soon as it is confirmed or declined.",
    ),
    News.DECLINED: ("Declined", "{business} cannot take your booking and has declined it."),
    News.CANCELLED: ("Cancelled", "{business} has cancelled your booking."),
    News.REMINDER: ("Reminder", "this is a reminder of your booking with {business}."),
}
_FOR_HOSTS = {
    News.CONFIRMED: ("Confirmed", "The booking of {customer} is confirmed."),
    News.REQUESTED: (
        "Please approve",
        "{customer} asks for an appointment with you. The time is reserved until you approve or decline.",
    ),
    News.MOVED: ("New time", "The booking of {customer} has a new time."),
    News.MOVE_REQUESTED: (
        "Please approve",
        "{customer} asks for another time. The new time is reserved until you approve or decline; the old one is free "
        "again.",
    ),
    News.DECLINED: ("Declined", "The request of {customer} was declined by your team."),
    News.CANCELLED: ("Cancelled", "The booking of {customer} was cancelled by your team."),
}
_AS_THEY_ASKED = "your booking with {business} is cancelled, as you asked."
_BY_CUSTOMER = "{customer} has cancelled the booking with you."
_BOOKED = ("New booking", "{customer} has booked an appointment with you.")

_LINK_LIKE = re.compile(r"[/@]|\w\.\w{2}")


def for_customer(news: News, facts: Facts, reader: Attendee | None = None) -> Text:
    """The letter to the customer, or to the ``reader`` who booked for them."""
    head, opening = _FOR_CUSTOMERS[news]
    if news is News.CANCELLED and facts.by == "customer":
        opening = _AS_THEY_ASKED
    zone = facts.customer_zone
    rows = [("With", ", ".join(host.name or host.email for host in facts.hosts))]
    rows += [("For", facts.customer.name)] if reader else []
    parts = [
        f"{_greeting((reader or facts.customer).name)}\n\n{opening.format(business=facts.business)}",
        _table(facts, zone, rows),
    ]
    if facts.reason and news in GONE and facts.by != "customer":
        parts.append(f"{facts.business} wrote: {facts.reason}")
    if news in GONE:
        if facts.again_url:
            parts.append(f"Other times can be booked here:\n{facts.again_url}")
    else:
        parts.append(_how_to_change(facts))
    if facts.hosts:
        parts.append("Questions? Just answer this e-mail.")
    parts.append(facts.business)
    return Text(_subject(head, facts.title, facts.start, zone), "\n\n".join(parts) + "\n")


def for_host(news: News, facts: Facts, host: Attendee, zone: str, *, is_new: bool = False) -> Text:
    """The letter to a host, whose IANA zone is ``zone``. ``is_new``: a booking that needed no approval."""
    head, opening = _BOOKED if is_new else _FOR_HOSTS[news]
    if news is News.CANCELLED and facts.by == "customer":
        opening = _BY_CUSTOMER
    others = ", ".join(other.name or other.email for other in facts.hosts if other.email != host.email)
    rows = [("Who", f"{facts.customer.name} <{facts.customer.email}>")]
    if facts.customer_zone != zone:
        rows.append(("", f"their time: {mail_rendering.span(facts.start, facts.end, facts.customer_zone)}"))
    rows += [("With", others)] if others else []
    parts = [
        f"{_greeting(host.name)}\n\n{opening.format(customer=facts.customer.name)}",
        _table(facts, zone, rows, for_host=True),
    ]
    if (lines := entered(facts)) and news not in GONE:
        parts.append("\n".join(lines))
    if facts.answers and news not in GONE:
        parts.append("\n".join(f"{question}\n  {_indented(answer)}" for question, answer in facts.answers))
    if facts.reason and news is not News.CONFIRMED:
        parts.append(f"Reason given:\n  {_indented(facts.reason)}")
    what = "Approve or decline it" if news in WAITING else "Details"
    parts.append(f"{what}:\n{facts.staff_url}")
    return Text(
        _subject(head, f"{facts.title} with {facts.customer.name}", facts.start, zone),
        "\n\n".join(parts) + "\n",
    )


_FOR_GUESTS = {
    News.CONFIRMED: ("Invitation", "you are invited to an appointment with {business}."),
    News.MOVED: ("New time", "the appointment with {business} that you are invited to has a new time."),
    News.MOVE_REQUESTED: ("Not confirmed", "another time was asked for; you will hear once it is confirmed."),
    News.DECLINED: ("Cancelled", "the appointment with {business} does not take place."),
    News.CANCELLED: ("Cancelled", "the appointment with {business} does not take place."),
}


def for_guest(news: News, facts: Facts) -> Text:
    """The letter to a guest whom the customer named: in the customer's zone, and without anything that they typed."""
    head, opening = _FOR_GUESTS[news]
    names = ", ".join(host.name or host.email for host in facts.hosts)
    parts = [
        f"{_greeting('')}\n\n{opening.format(business=facts.business)}",
        _table(facts, facts.customer_zone, [("With", names)]),
        facts.business,
    ]
    return Text(_subject(head, facts.title, facts.start, facts.customer_zone), "\n\n".join(parts) + "\n")


def entered(facts: Facts) -> list[str]:
    """What was entered beside name, e-mail and answers, a line each, for hosts."""
    lines = [
        ("Phone", facts.phone),
        ("Booked by", f"{facts.booker.name} <{facts.booker.email}>" if facts.booker else ""),
        ("Guests", ", ".join(facts.guests)),
        ("Notes", _indented(facts.notes)),
    ]
    return [f"{label}: {value}" for label, value in lines if value]


def _how_to_change(facts: Facts) -> str:
    if facts.now > facts.deadline:
        return f"It is too late to move or cancel it online. Your booking:\n{facts.manage_url}"
    until = (
        ""
        if facts.deadline == facts.start
        else f", until {mail_rendering.long_time(facts.deadline, facts.customer_zone)}"
    )
    return f"To move or cancel it{until}:\n{facts.manage_url}"


def _subject(head: str, what: str, start: datetime, zone: str) -> str:
    local = start.astimezone(ZoneInfo(zone))
    return f"{head}: {what}, {local:%a} {local.day} {local:%b %Y}, {local:%H:%M} ({zone})"


def _greeting(name: str) -> str:
    """Names that mail readers would show as links, or that are no names, are left out."""
    return "Hello," if not name or len(name) > 60 or _LINK_LIKE.search(name) else f"Hello {name},"


def _table(facts: Facts, zone: str, more: list[tuple[str, str]], *, for_host: bool = False) -> str:
    rows = [("What", facts.title), ("When", mail_rendering.span(facts.start, facts.end, zone))]
    if facts.before:
        rows.append(("", f"before: {mail_rendering.long_time(facts.before, zone)}"))
    if where := place_in_words(facts.place, for_host=for_host):
        rows.append(("Where", where))
    return "\n".join(f"{label + ':' if label else '':<7}{value}" for label, value in rows + more)


def _indented(text: str) -> str:
    return "\n  ".join(text.splitlines())
