"""What every email about a booking says: to the customer, to a guest, to a host, each in their language.

Times are in the reader's zone and habits, and the zone is named. What customers type reaches hosts as it is, but nobody
else: a booking form must not become a way to send other people's addresses a text of one's own choice.

Sentences stand in the catalogues (:mod:`calendar_app.translations`). A catalogue has each of them whole, with its own
first letter: after a greeting some languages go on with a small one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from calendar_app.domain import calendar_links
from calendar_app.domain.event import Attendee
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.services.event_types.meeting_places import TITLES, PlaceView, place_in_words
from calendar_app.services.mail import follow_ups
from calendar_app.services.mail.rendering import Block, Content, Lead, Links, Paragraph
from calendar_app.services.mail.rendering import Facts as FactsBlock
from calendar_app.translations import Language, formats, zones


class News(StrEnum):
    """What an email tells."""

    CONFIRMED = "confirmed"
    REQUESTED = "requested"
    MOVED = "moved"
    MOVE_REQUESTED = "move_requested"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    REMINDER = "reminder"
    LINK = follow_ups.LINK
    NO_LINK = follow_ups.NO_LINK


GONE = frozenset({News.DECLINED, News.CANCELLED})
WAITING = frozenset({News.REQUESTED, News.MOVE_REQUESTED})


@dataclass(frozen=True, slots=True)
class Facts:
    """A booking as emails tell it at ``now``. Times are aware. ``language``: the reader's.

    ``before``: the start before it was moved. ``deadline``: the customer's last moment to change it. ``by``: who
    brought the news about, ``customer``, ``staff`` or ``system``. ``again_url``: where it can be booked anew, or
    nothing. ``answers``: questions and answers. ``place`` may have no link yet: ``link_follows``
    by another email, or ``no_link``, which hosts are told.
    """

    language: Language
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
    link_follows: bool = False
    no_link: bool = False

    @property
    def host_names(self) -> str:
        return ", ".join(host.name or host.email for host in self.hosts)


class _Opening(NamedTuple):
    """What the subject begins with, the first sentence, and what follows it."""

    head: str
    lead: str
    more: str = ""


_LINK_LIKE = re.compile(r"[/@]|\w\.\w{2}")


def for_customer(news: News, facts: Facts, reader: Attendee | None = None) -> Content:
    """The email to the customer, or to the ``reader`` who booked for them."""
    _, zone = facts.language.gettext, facts.customer_zone
    opening = _for_customers(news, facts)
    rows = [(_("With"), facts.host_names)] if facts.hosts else []
    rows += [(_("For"), facts.customer.name)] if reader else []
    blocks = [
        Paragraph(_greeting((reader or facts.customer).name, facts.language)),
        *_opened(opening),
        _facts(facts, zone, rows),
    ]
    if facts.reason and news in GONE and facts.by != "customer":
        said = _("%(business)s wrote: %(reason)s")
        blocks.append(Paragraph(said % {"business": facts.business, "reason": facts.reason}))
    if news not in GONE:
        blocks += _what_can_be_done(news, facts)
    elif facts.again_url:
        blocks.append(Links("", ((_("Book another time"), facts.again_url),)))
    if facts.hosts:
        blocks.append(Paragraph(_("Questions? Just answer this e-mail.")))
    blocks.append(Paragraph(facts.business))
    return Content(_subject(opening.head, facts.title, facts, zone), tuple(blocks))


def _for_customers(news: News, facts: Facts) -> _Opening:
    _, names = facts.language.gettext, {"business": facts.business}
    kept = _("The time is kept for you. You will hear by e-mail as soon as it is confirmed or declined.")
    match news:
        case News.CONFIRMED:
            return _Opening(_("Confirmed"), _("Your booking with %(business)s is confirmed.") % names)
        case News.REQUESTED:
            return _Opening(_("Request received"), _("Your request has reached %(business)s.") % names, kept)
        case News.MOVED:
            return _Opening(_("New time"), _("Your booking with %(business)s has a new time.") % names)
        case News.MOVE_REQUESTED:
            lead = _("Your wish for another time has reached %(business)s.") % names
            return _Opening(_("Request received"), lead, kept)
        case News.DECLINED:
            lead = _("%(business)s cannot take your booking and has declined it.") % names
            return _Opening(_("Declined"), lead)
        case News.CANCELLED if facts.by == "customer":
            lead = _("Your booking with %(business)s is cancelled, as you asked.") % names
            return _Opening(_("Cancelled"), lead)
        case News.CANCELLED:
            return _Opening(_("Cancelled"), _("%(business)s has cancelled your booking.") % names)
        case News.REMINDER:
            lead = _("This is a reminder of your booking with %(business)s.") % names
            return _Opening(_("Reminder"), lead)
        case News.LINK | News.NO_LINK:
            return _Opening(
                _("Link to join"), _("Your booking with %(business)s has its link to join now.") % names
            )


def for_host(news: News, facts: Facts, host: Attendee, zone: str, *, is_new: bool = False) -> Content:
    """The email to a host, whose IANA zone is ``zone``. ``is_new``: a booking that needed no approval."""
    _, customer = facts.language.gettext, facts.customer
    opening = _for_hosts(news, facts, is_new=is_new)
    others = ", ".join(other.name or other.email for other in facts.hosts if other.email != host.email)
    rows = [(_("Who"), f"{customer.name} <{customer.email}>")]
    if facts.customer_zone != zone:
        rows.append((_("Their time"), _span(facts, facts.customer_zone)))
    rows += [(_("With"), others)] if others else []
    stands = news not in GONE
    blocks: list[Block] = [
        Paragraph(_greeting(host.name, facts.language)),
        *_opened(opening),
        _facts(facts, zone, rows + (entered(facts) if stands else []), for_host=True),
    ]
    if facts.no_link and stands:
        blocks.append(Paragraph(_what_to_do_without_link(facts)))
    if facts.answers and stands:
        blocks.append(
            Paragraph("\n".join(f"{question}\n  {_indented(answer)}" for question, answer in facts.answers))
        )
    if facts.reason and news is not News.CONFIRMED:
        blocks.append(Paragraph(_("Reason given:") + f"\n  {_indented(facts.reason)}"))
    what = _("Approve or decline it") if news in WAITING else _("Details")
    blocks.append(Links("", ((what, facts.staff_url),)))
    title = with_names(facts.title, customer.name, facts.language)
    return Content(_subject(opening.head, title, facts, zone), tuple(blocks))


def _for_hosts(news: News, facts: Facts, *, is_new: bool) -> _Opening:
    _, names = facts.language.gettext, {"customer": facts.customer.name}
    match news:
        case _ if is_new:
            return _Opening(_("New booking"), _("%(customer)s has booked an appointment with you.") % names)
        case News.REQUESTED:
            lead = _("%(customer)s asks for an appointment with you.") % names
            more = _("The time is reserved until you approve or decline.")
            return _Opening(_("Please approve"), lead, more)
        case News.MOVED:
            return _Opening(_("New time"), _("The booking of %(customer)s has a new time.") % names)
        case News.MOVE_REQUESTED:
            lead = _("%(customer)s asks for another time.") % names
            more = _("The new time is reserved until you approve or decline; the old one is free again.")
            return _Opening(_("Please approve"), lead, more)
        case News.DECLINED:
            lead = _("The request of %(customer)s was declined by your team.") % names
            return _Opening(_("Declined"), lead)
        case News.CANCELLED if facts.by == "customer":
            return _Opening(_("Cancelled"), _("%(customer)s has cancelled the booking with you.") % names)
        case News.CANCELLED:
            lead = _("The booking of %(customer)s was cancelled by your team.") % names
            return _Opening(_("Cancelled"), lead)
        case News.LINK:
            lead = _("Here is the link for the booking of %(customer)s.") % names
            return _Opening(_("Link to join"), lead)
        case News.NO_LINK:
            lead = _("The booking of %(customer)s stands, but it has no link to join.") % names
            return _Opening(_("No link to join"), lead)
        case _:
            return _Opening(_("Confirmed"), _("The booking of %(customer)s is confirmed.") % names)


def _what_to_do_without_link(facts: Facts) -> str:
    return facts.language.gettext(
        "No link could be made for the online meeting: the booking says why, and “Retry” there asks for one once more. "
        "Or send the customer a link yourself."
    )


def for_guest(news: News, facts: Facts) -> Content:
    """The email to a guest whom the customer named: in the customer's language and zone, and without anything that they
    typed."""
    _, zone = facts.language.gettext, facts.customer_zone
    opening = _for_guests(news, facts)
    rows = [(_("With"), facts.host_names)] if facts.hosts else []
    blocks = (
        Paragraph(_greeting("", facts.language)),
        *_opened(opening),
        _facts(facts, zone, rows),
        Paragraph(facts.business),
    )
    return Content(_subject(opening.head, facts.title, facts, zone), blocks)


def _for_guests(news: News, facts: Facts) -> _Opening:
    _, names = facts.language.gettext, {"business": facts.business}
    match news:
        case News.MOVED:
            lead = _("The appointment with %(business)s that you are invited to has a new time.") % names
            return _Opening(_("New time"), lead)
        case News.MOVE_REQUESTED:
            lead = _("Another time was asked for. You will hear once it is confirmed.")
            return _Opening(_("Not confirmed"), lead)
        case News.DECLINED | News.CANCELLED:
            lead = _("The appointment with %(business)s does not take place.") % names
            return _Opening(_("Cancelled"), lead)
        case News.LINK:
            lead = (
                _("Here is the link for the appointment with %(business)s that you are invited to.") % names
            )
            return _Opening(_("Link to join"), lead)
        case _:
            lead = _("You are invited to an appointment with %(business)s.") % names
            return _Opening(_("Invitation"), lead)


def with_names(title: str, names: str, language: Language) -> str:
    """``Intro call with Grace Hopper``: what an appointment is called by whoever meets these people."""
    return language.gettext("%(title)s with %(names)s") % {"title": title, "names": names}


def entered(facts: Facts) -> list[tuple[str, str]]:
    """What was entered beside name, e-mail and answers, by its label, for hosts."""
    _ = facts.language.gettext
    rows = [
        (_("Phone"), facts.phone),
        (_("Booked by"), f"{facts.booker.name} <{facts.booker.email}>" if facts.booker else ""),
        (_("Guests"), ", ".join(facts.guests)),
        (_("Notes"), facts.notes),
    ]
    return [(label, value) for label, value in rows if value]


def _opened(opening: _Opening) -> Iterator[Block]:
    yield Lead(opening.lead)
    if opening.more:
        yield Paragraph(opening.more)


def _what_can_be_done(news: News, facts: Facts) -> Iterator[Block]:
    """Move it, cancel it, look at it; once it stands, put it into a calendar that took no invitation."""
    _, language, zone = facts.language.gettext, facts.language, facts.customer_zone
    see = (_("See your booking"), facts.manage_url)
    if facts.now > facts.deadline:
        yield Links(_("It is too late to move or cancel it online."), (see,))
    else:
        until = _("You can move or cancel it until %(time)s.") % {
            "time": _moment(facts.deadline, language, zone)
        }
        intro = until if facts.deadline != facts.start else _("You can move or cancel it until it begins.")
        changes = ((_("Move"), f"{facts.manage_url}/move"), (_("Cancel"), f"{facts.manage_url}/cancel"))
        yield Links(intro, changes)
        yield Links("", (see,), buttons=False)
    if news not in WAITING:
        where = place_in_words(facts.place, for_host=False, _=_)
        yield Links(
            _("If the invitation has not entered it into your calendar already:"),
            (
                ("Google", calendar_links.google(facts.title, facts.start, facts.end, where)),
                ("Outlook", calendar_links.outlook(facts.title, facts.start, facts.end, where)),
                (_("Calendar file (.ics)"), f"{facts.manage_url}/booking.ics"),
            ),
            buttons=False,
        )


def _subject(head: str, what: str, facts: Facts, zone: str) -> str:
    locale = facts.language.locale
    day = formats.short_date(facts.start.astimezone(ZoneInfo(zone)).date(), locale)
    at = formats.clock(facts.start, zone, locale, formats.counts_to_12(locale))
    when = f"{day}, {at} ({zones.place(zone, locale).city})"
    return facts.language.gettext("%(news)s: %(title)s, %(time)s") % {
        "news": head,
        "title": what,
        "time": when,
    }


def _greeting(name: str, language: Language) -> str:
    """Names that mail readers would show as links, or that are no names, are left out."""
    if not name or len(name) > 60 or _LINK_LIKE.search(name):
        return language.gettext("Hello,")
    return language.gettext("Hello %(name)s,") % {"name": name}


def _facts(facts: Facts, zone: str, more: list[tuple[str, str]], *, for_host: bool = False) -> FactsBlock:
    _ = facts.language.gettext
    rows = [(_("What"), facts.title), (_("When"), _span(facts, zone))]
    if facts.before:
        rows.append((_("Before"), _moment(facts.before, facts.language, zone)))
    where = place_in_words(facts.place, for_host=for_host, _=_)
    if facts.link_follows:
        where = f"{TITLES[PlaceKind(facts.place.kind)]}\n{_('The link follows by e-mail.')}"
    rows += [(_("Where"), where)] if where else []
    return FactsBlock((*rows, *more))


def _span(facts: Facts, zone: str) -> str:
    """Day and times, and below them the zone."""
    locale = facts.language.locale
    day = formats.full_date(facts.start.astimezone(ZoneInfo(zone)).date(), locale)
    times = formats.span(facts.start, facts.end, zone, locale, formats.counts_to_12(locale))
    return f"{day}, {times}\n{zones.described(zone, facts.start, locale, until=facts.end)}"


def _moment(at: datetime, language: Language, zone: str) -> str:
    return formats.moment(at, zone, language.locale)


def _indented(text: str) -> str:
    return "\n  ".join(text.splitlines())
