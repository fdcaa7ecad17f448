"""The form of a time that is kept: what it asks, what is wrong with what was typed, and what else is to be said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from calendar_app.booking_site import answers, details_form, forms, times, words
from calendar_app.booking_site.visit import Visit, path_of
from calendar_app.domain.intake import clean_answers, clean_email, clean_name, parse_questions
from calendar_app.errors import InvalidInput, SlotUnavailable
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.bookings import holds
from calendar_app.services.common import signed_links
from calendar_app.services.event_types.queries import PublicEventType
from calendar_app.translations import formats, zones

_OTHERS = 12
"""Other times that are offered in the form when its own has been taken."""


@dataclass
class HoldForm:
    """The form of one hold: what was typed, what is wrong, and what else is to be said."""

    visit: Visit
    offer: PublicEventType
    token: str
    hold_id: str
    state: holds.HoldState
    zone: str
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    trouble: str = ""
    others: list[times.Time] = field(default_factory=list)
    asks_approval: bool = False


def page(visit: Visit, template: str, status: int, **context: Any) -> Response:
    """A page whose address holds a token."""
    return answers.page(visit, template, status=status, embeddable=True, secret=True, **context)


def wrong(form: HoldForm, error: InvalidInput) -> Response:
    """Say what a booking was refused for, beside its field if it has one."""
    name, sentence = words.of_field(form.visit, error, parse_questions(form.offer.questions))
    if name:
        form.errors[name] = sentence
    else:
        form.trouble = sentence
    return shown(form, 422)


def find_errors(form: HoldForm) -> None:
    """Everything that is wrong with what was typed, at once, before anything is asked of a calendar."""
    questions, given = parse_questions(form.offer.questions), forms.answers(form.typed)
    checks: list[Callable[[], object]] = [
        partial(clean_name, form.typed.get("name", "")),
        partial(clean_email, form.typed.get("email", "")),
        *(partial(clean_answers, (each,), {each.id: given.get(each.id)}) for each in questions),
        *details_form.checks(form.offer, form.typed),
    ]
    for check in checks:
        try:
            check()
        except InvalidInput as error:
            name, sentence = words.of_field(form.visit, error, questions)
            form.errors.setdefault(name, sentence)


def taken(form: HoldForm, error: SlotUnavailable) -> Response:
    """The time is somebody else's by now: the form stays, with the other times of that day to choose from."""
    form.trouble = words.of_error(form.visit, error)
    form.others = _others(form)
    return shown(form, 409)


def _others(form: HoldForm) -> list[times.Time]:
    """Free times near the one that was wanted: of its day, or else the next ones."""
    minutes = int((form.state.end - form.state.start) / timedelta(minutes=1))
    local = form.state.start.astimezone(ZoneInfo(form.zone))
    begin = local.replace(hour=0, minute=0, second=0, microsecond=0)
    locale, hour12 = form.visit.language.locale, form.visit.hour12
    view = available_slots.slots(
        form.offer.id,
        begin,
        begin + timedelta(days=8),
        zone=form.zone,
        duration=minutes if minutes in form.offer.durations else None,
        own_holds=[signed_links.hold_row_id(form.token)],
        link=form.visit.private_link,
    )
    same = [slot for slot in view.slots if slot.start.date() == local.date() and slot.start != local]
    found = []
    for slot in (same or [slot for slot in view.slots if slot.start != local])[:_OTHERS]:
        label = formats.clock(slot.start, form.zone, locale, hour12)
        if not same:
            label = f"{formats.full_date(slot.start.date(), locale)}, {label}"
        found.append(times.Time(times.rfc3339(slot.start), label))
    return found


def asks_approval(form: HoldForm) -> bool:
    """Whether the booking would wait for approval because a calendar could not be read: the customer is told first."""
    if form.offer.requires_approval:
        return False
    here = form.state.start
    view = available_slots.slots(
        form.offer.id, here, here + timedelta(minutes=1), zone=form.zone, link=form.visit.private_link
    )
    return view.freshness.needs_approval


def shown(form: HoldForm, status: int = 200) -> Response:
    """The page of the form, as it stands."""
    visit, state = form.visit, form.state
    _ = visit.language.gettext
    locale = visit.language.locale
    path = path_of(form.offer.workspace_slug, form.offer.slug)
    local = state.start.astimezone(ZoneInfo(form.zone))
    end = max(state.end, state.start)
    labels = {"name": _("Name"), "email": _("Email")}
    return answers.page(
        visit,
        "details.html",
        status=status,
        embeddable=True,
        secret=True,
        offer=form.offer,
        fields=forms.fields(
            labels,
            parse_questions(form.offer.questions),
            details_form.fields(visit, form.offer, form.zone),
            form.typed,
            form.errors,
        ),
        booker=details_form.BOOKER,
        trouble=form.trouble,
        errors=form.errors,
        others=form.others,
        asks_approval=form.asks_approval or bool(form.typed.get("approval")),
        kept=state.kept,
        keeps=form.offer.seats == 1,
        seconds=state.seconds,
        until=formats.clock(visit.now + timedelta(seconds=state.seconds), form.zone, locale, visit.hour12),
        start=times.rfc3339(state.start),
        day=formats.full_date(local.date(), locale),
        time=formats.span(state.start, end, form.zone, locale, visit.hour12),
        zone=zones.described(form.zone, state.start, locale),
        minutes=int((end - state.start) / timedelta(minutes=1)),
        action=visit.link(f"{path}/hold/{form.token}"),
        again=visit.link(f"{path}/hold/{form.token}/again"),
        back=visit.link(path, day=local.date().isoformat(), hold=form.token),
        path=path,
        typed_key=f"{path}#{answers.digest(repr(visit.prefill))}" if visit.prefill else path,
    )
