"""An event type as the editor's form holds it, and what the form says when it comes back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calendar_app.domain.booking_form import Asked, FormPart
from calendar_app.domain.hosting import Hosting
from calendar_app.domain.intake import QuestionType
from calendar_app.domain.meeting_place import WITH_VALUE, MeetingPlace, PlaceKind
from calendar_app.errors import InvalidInput
from calendar_app.services.event_types.meeting_places import TITLES
from calendar_app.services.event_types.queries import EventTypeView, HostView
from calendar_app.services.workspaces.members import ColleagueView
from calendar_app.ui import formats

TEXTS = ("title", "slug", "description", "color", "category", "priority")
LENGTHS = ("buffer_before", "buffer_after", "minimum_notice", "cancel_notice", "step_minutes")
"""Stored in minutes; the form has a number and a unit for each."""
COUNTS = ("horizon_days", "daily_cap", "weekly_cap", "seats")
FLAGS = ("requires_approval", "is_public")
UNITS = {"minutes": 1, "hours": 60, "days": 1440}
REMINDERS = (10_080, 2_880, 1_440, 240, 60, 15)
NAMES = {
    "buffer_before": "Before",
    "buffer_after": "After",
    "minimum_notice": "Notice before booking",
    "cancel_notice": "Notice before changes",
    "step_minutes": "Start times every",
    "horizon_days": "Bookable ahead",
    "daily_cap": "Per day",
    "weekly_cap": "Per week",
    "seats": "Seats",
}


@dataclass
class Length:
    """Minutes as a number of the largest unit that leaves no rest."""

    number: str = "0"
    unit: str = "minutes"


@dataclass
class QuestionDraft:
    """A question in the editor; ``options`` has one a line."""

    id: str
    label: str = ""
    type: str = "text"
    required: bool = False
    options: str = ""


@dataclass
class PlaceDraft:
    """A meeting place in the editor."""

    id: str
    kind: str = PlaceKind.ADDRESS.value
    value: str = ""
    label: str = ""


@dataclass
class PlaceKindChoice:
    """A kind of meeting place to choose; ``missing`` says what it needs where it cannot be offered."""

    kind: str
    title: str
    missing: str = ""


@dataclass
class Choice:
    """A box that can be ticked."""

    id: str
    name: str
    ticked: bool = False


@dataclass
class EventTypeDraft:
    """The fields of the form, as it opens."""

    title: str = ""
    slug: str = ""
    description: str = ""
    guests: str = ""
    booked_by: str = ""
    phone: str = ""
    notes: str = ""
    color: str = ""
    category: str = ""
    priority: str = ""
    durations: str = "30"
    buffer_before: Length = field(default_factory=Length)
    buffer_after: Length = field(default_factory=Length)
    minimum_notice: Length = field(default_factory=Length)
    cancel_notice: Length = field(default_factory=Length)
    step_minutes: Length = field(default_factory=lambda: Length("15"))
    horizon_days: str = "60"
    daily_cap: str = "0"
    weekly_cap: str = "0"
    seats: str = "1"
    requires_approval: bool = False
    is_public: bool = True
    hosting: str = Hosting.SINGLE.value
    hosts: list[Choice] = field(default_factory=list)
    reminders: list[Choice] = field(default_factory=list)


def split(minutes: int) -> Length:
    """``1440`` is 1 day, ``90`` is 90 minutes."""
    unit = next(name for name in reversed(UNITS) if minutes % UNITS[name] == 0) if minutes else "minutes"
    return Length(str(minutes // UNITS[unit]), unit)


def as_draft(view: EventTypeView | None, colleagues: Sequence[ColleagueView], me: str) -> EventTypeDraft:
    """The form on an event type, or on a new one, which the person at work hosts."""
    hosts = {host.person_id for host in view.hosts} if view else {me}
    people = [Choice(who.person_id, who.name, who.person_id in hosts) for who in colleagues]
    if view is None:
        asked = Asked.OPTIONAL.value
        return EventTypeDraft(hosts=people, reminders=_reminders(()), guests=asked, notes=asked)
    return EventTypeDraft(
        **{name: getattr(view, name) for name in (*TEXTS, *FLAGS, "hosting")},
        **{name: str(getattr(view, name)) for name in COUNTS},
        **{name: split(getattr(view, name)) for name in LENGTHS},
        **{part.value: view.form_parts.get(part, "") for part in FormPart},
        durations=", ".join(map(str, view.durations)),
        hosts=people,
        reminders=_reminders(view.reminders),
    )


def _reminders(chosen: Sequence[int]) -> list[Choice]:
    offered = sorted({*REMINDERS, *chosen}, reverse=True)
    return [Choice(str(m), f"{formats.length(m)} before", m in chosen) for m in offered]


def question_drafts(documents: Sequence[Mapping[str, Any]]) -> list[QuestionDraft]:
    """Stored questions as the editor shows them."""
    return [
        QuestionDraft(
            str(document["id"]),
            str(document["label"]),
            str(document.get("type", "text")),
            bool(document.get("required", False)),
            "\n".join(map(str, document.get("options", ()))),
        )
        for document in documents
    ]


def place_drafts(places: Sequence[MeetingPlace]) -> list[PlaceDraft]:
    """Stored places as the editor shows them."""
    return [PlaceDraft(place.id, place.kind.value, place.value, place.label) for place in places]


def place_kinds(missing: Mapping[PlaceKind, str]) -> list[PlaceKindChoice]:
    """Every kind of place, with what those need that cannot be offered."""
    return [PlaceKindChoice(kind.value, words, missing.get(kind, "")) for kind, words in TITLES.items()]


def read_places(form: Mapping[str, Any], drafts: Sequence[PlaceDraft]) -> list[dict[str, str]]:
    """The editor's places as JSON objects."""
    return [
        {
            "id": draft.id,
            "kind": draft.kind,
            "label": str(form.get(f"p-{draft.id}-label", "")),
            "value": str(form.get(f"p-{draft.id}-value", "")) if draft.kind in WITH_VALUE else "",
        }
        for draft in drafts
    ]


def read_form(form: Mapping[str, Any]) -> dict[str, Any]:
    """The posted form as the service's fields, without questions and hosts. :raises InvalidInput: naming the field."""
    fields: dict[str, Any] = {name: str(form.get(name, "")) for name in TEXTS}
    if not fields["slug"]:
        del fields["slug"]
    for name in COUNTS:
        fields[name] = _whole(form, name)
    for name in LENGTHS:
        unit = str(form.get(f"{name}_unit", "minutes"))
        fields[name] = _whole(form, name) * UNITS.get(unit, 1)
    for name in FLAGS:
        fields[name] = bool(form.get(name))
    fields["form_parts"] = {part.value: str(form[part]) for part in FormPart if form.get(part)}
    durations = [part for part in re.split(r"[,;\s]+", str(form.get("durations", ""))) if part]
    if not durations or not all(re.fullmatch(r"[0-9]{1,5}", part) for part in durations):
        raise InvalidInput("Durations are minutes, separated by commas: 30, 60.", field="durations")
    fields["durations"] = [int(part) for part in durations]
    ticked = (key.removeprefix("reminder-") for key in form if key.startswith("reminder-") and form[key])
    fields["reminders"] = [int(minutes) for minutes in ticked if minutes.isdecimal()]
    return fields


def _whole(form: Mapping[str, Any], name: str) -> int:
    text = str(form.get(name, "")).strip()
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise InvalidInput(f"“{NAMES[name]}” must be a whole number.", field=name)
    return int(text)


def read_hosts(
    form: Mapping[str, Any], colleagues: Sequence[ColleagueView], present: Sequence[HostView]
) -> dict[str, Any]:
    """``hosting``, and ``hosts`` if they are others than at present; those who stay keep their schedule and weight.

    :raises InvalidInput: nobody is ticked, or several without a way to share.
    """
    if len(colleagues) < 2:
        return {}
    known = {host.person_id: host for host in present}
    ticked = {who.person_id for who in colleagues if form.get(f"host-{who.person_id}")}
    chosen = [host for host in known if host in ticked]
    chosen += [who.person_id for who in colleagues if who.person_id in ticked - set(known)]
    hosting = str(form.get("hosting", Hosting.SINGLE.value))
    if not chosen:
        raise InvalidInput("Choose at least one host.", field="hosts")
    if len(chosen) > 1 and hosting == Hosting.SINGLE:
        raise InvalidInput(
            "With several hosts, choose whether they take turns or all take part.", field="hosting"
        )
    fields: dict[str, Any] = {"hosting": hosting}
    if chosen != list(known):
        fields["hosts"] = [
            {"person_id": host, "schedule_id": known[host].schedule_id, "weight": known[host].weight}
            if host in known
            else {"person_id": host}
            for host in chosen
        ]
    return fields


def read_questions(
    form: Mapping[str, Any], drafts: Sequence[QuestionDraft], stored: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The editor's questions as JSON objects; bounds that only the API can set stay as they were."""
    questions = []
    for draft in drafts:
        kind, part = draft.type, f"q-{draft.id}-"
        options = str(form.get(f"{part}options", "")).splitlines()
        bounds = {"number": ("minimum", "maximum"), "text": ("max_length",), "textarea": ("max_length",)}
        before = stored.get(draft.id, {})
        kept = {
            key: before[key] for key in bounds.get(kind, ()) if key in before and before.get("type") == kind
        }
        question: dict[str, Any] = {
            "id": draft.id,
            "label": str(form.get(f"{part}label", "")),
            "type": kind,
            "required": bool(form.get(f"{part}required")),
            **kept,
        }
        if kind == QuestionType.SELECT:
            question["options"] = [option.strip() for option in options if option.strip()]
        questions.append(question)
    return questions


def summary(view: EventTypeView) -> str:
    """``30 min · 10 min before · notice 2 h · 60 days ahead · every 15 min``; what is zero is left out."""
    parts = [" or ".join(formats.length(minutes) for minutes in view.durations)]
    if len(view.hosts) > 1:
        how = "in turns" if view.hosting == Hosting.ROUND_ROBIN else "together"
        parts.append(f"{len(view.hosts)} hosts {how}")
    parts += [f"{view.seats} seats"] if view.seats > 1 else []
    parts += ["needs approval"] if view.requires_approval else []
    parts += [f"{formats.length(view.buffer_before)} before"] if view.buffer_before else []
    parts += [f"{formats.length(view.buffer_after)} after"] if view.buffer_after else []
    parts += [f"notice {formats.length(view.minimum_notice)}"] if view.minimum_notice else []
    parts += [f"{view.horizon_days} days ahead", f"every {formats.length(view.step_minutes)}"]
    return " · ".join(parts)
