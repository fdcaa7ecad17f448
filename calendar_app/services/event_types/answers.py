"""What a customer answered to an event type's questions, as people read it."""

from __future__ import annotations

from calendar_app.db.tables import Booking, EventType
from calendar_app.domain.intake import parse_questions


def answers_in_words(booking: Booking, event_type: EventType) -> list[tuple[str, str]]:
    """The customer's answers with the questions as they are asked today; those no longer asked go by their id."""
    labels = {question.id: question.label for question in parse_questions(event_type.questions)}
    words = {True: "yes", False: "no"}
    return [
        (labels.get(key, key), words[value] if isinstance(value, bool) else str(value))
        for key, value in booking.answers.items()
    ]
