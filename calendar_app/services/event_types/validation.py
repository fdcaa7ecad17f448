"""What may be set of an event type, each field checked; and what of it the slot engine reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calendar_app.db.tables import EventType
from calendar_app.domain.booking_form import parse_asked
from calendar_app.domain.colors import Priority, parse_color
from calendar_app.domain.hosting import EventRules, Hosting
from calendar_app.domain.intake import Question, clean_text, parse_questions
from calendar_app.domain.meeting_place import parse_places, place_in_text
from calendar_app.errors import InvalidInput
from calendar_app.services.event_types.meeting_places import assign_places, places_of

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
RULES = (
    "buffer_before",
    "buffer_after",
    "minimum_notice",
    "horizon_days",
    "step_minutes",
    "daily_cap",
    "weekly_cap",
    "seats",
)
"""The fields that the engine's rules have under the same names."""
_FLAGS = ("requires_approval", "is_public", "is_active")
_LONGEST_NOTICE = 366 * 1440
_EARLIEST_REMINDER, _MOST_REMINDERS = 28 * 1440, 5


def rules_of(row: EventType, duration: int = 0) -> EventRules:
    """The engine's rules of a stored event type. :raises RulesError: ``duration`` (minutes) is not offered."""
    return EventRules(
        durations=tuple(row.durations), duration=duration, **{name: getattr(row, name) for name in RULES}
    )


def assign(row: EventType, fields: Mapping[str, Any]) -> None:
    """Check and set what ``fields`` names. :raises InvalidInput: naming the field; a rule of the engine's too."""
    if "title" in fields or not row.title:
        row.title = clean_text(fields.get("title"), "title", 200)
        if not row.title:
            raise InvalidInput("Please give the event type a title.", field="title")
    if "slug" in fields:
        row.slug = _checked_slug(fields["slug"])
    if "description" in fields:
        row.description = clean_text(fields["description"], "description", 5_000, lines=True)
    if "meeting_places" in fields:
        assign_places(row, parse_places(fields["meeting_places"]))
    elif "location" in fields:
        place = place_in_text(clean_text(fields["location"], "location", 500))
        if place is None or [each.value for each in places_of(row)] != [place.value]:
            assign_places(row, (place,) if place else ())
    if "form_parts" in fields:
        asked = parse_asked(fields["form_parts"])
        row.form_parts = {part.value: how.value for part, how in asked.items()}
    if "color" in fields:
        color = parse_color(str(fields["color"]))
        if fields["color"] and color is None:
            raise InvalidInput("This colour is not known.", field="color")
        row.color = color.value if color else ""
    if "category" in fields:
        row.category = clean_text(fields["category"], "category", 32).casefold()
    if "priority" in fields:
        row.priority = str(fields["priority"])
        if row.priority and row.priority not in set(Priority):
            raise InvalidInput(f"priority is one of {', '.join(Priority)}, or empty.", field="priority")
    if "reminders" in fields:
        row.reminders = _checked_reminders(fields["reminders"])
    if "questions" in fields:
        row.questions = [_written(question) for question in parse_questions(fields["questions"])]
    if "cancel_notice" in fields:
        notice = fields["cancel_notice"]
        if type(notice) is not int or not 0 <= notice <= _LONGEST_NOTICE:
            raise InvalidInput("cancel_notice is minutes, at most a year.", field="cancel_notice")
        row.cancel_notice = notice
    if "hosting" in fields:
        try:
            row.hosting = Hosting(fields["hosting"]).value
        except ValueError:
            raise InvalidInput(f"hosting is one of {', '.join(Hosting)}.", field="hosting") from None
    for name in _FLAGS:
        if name in fields:
            if not isinstance(fields[name], bool):
                raise InvalidInput(f"{name} is true or false.", field=name)
            setattr(row, name, fields[name])
    if "durations" in fields:
        durations = fields["durations"]
        row.durations = list(durations) if isinstance(durations, list | tuple) else []
    for name in RULES:
        if name in fields:
            setattr(row, name, fields[name])
    rules_of(row)


def _checked_reminders(value: object) -> list[int]:
    minutes = value if isinstance(value, list | tuple) else None
    if minutes is None or not all(type(m) is int and 0 < m <= _EARLIEST_REMINDER for m in minutes):
        raise InvalidInput("reminders are minutes before the start, at most four weeks.", field="reminders")
    if len(set(minutes)) > _MOST_REMINDERS:
        raise InvalidInput(f"At most {_MOST_REMINDERS} reminders are sent.", field="reminders")
    return sorted(set(minutes), reverse=True)


def _written(question: Question) -> dict[str, Any]:
    """A question as stored: what was understood of it, without what is as by default."""
    kept = {name: getattr(question, name) for name in ("max_length", "minimum", "maximum")}
    if question.options:
        kept["options"] = list(question.options)
    return {
        "id": question.id,
        "label": question.label,
        "type": question.type.value,
        "required": question.required,
        **{
            name: value
            for name, value in kept.items()
            if value is not None and (value or name != "max_length")
        },
    }


def slug_from(title: object) -> str:
    """An address made of a title's letters and digits."""
    words = re.sub(r"[^a-z0-9]+", "-", str(title or "").lower()).strip("-")[:60].strip("-")
    return words or "meeting"


def _checked_slug(value: object) -> str:
    slug = str(value)
    if len(slug) > 64 or not _SLUG.fullmatch(slug):
        raise InvalidInput("A slug is up to 64 letters a-z, digits and single dashes.", field="slug")
    return slug
