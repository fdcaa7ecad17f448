"""What is said when something cannot be done, in the customer's language.

Services say it in English, for the API; here each kind of refusal has a sentence of its own in the catalogues.
"""

from __future__ import annotations

from calendar_app.booking_site import details_form
from calendar_app.booking_site.visit import Visit
from calendar_app.domain.booking import TransitionRefused
from calendar_app.domain.booking_form import MOST_GUESTS
from calendar_app.domain.intake import Question, QuestionType
from calendar_app.errors import AlmanacError, InvalidInput, NotFound, SlotUnavailable, TooManyRequests
from calendar_app.services.event_types.links import LinkUsed


def of_error(visit: Visit, error: AlmanacError) -> str:
    """The sentence for a refusal that concerns no field of a form."""
    _ = visit.language.gettext
    if isinstance(error, SlotUnavailable):
        return _("That time was just taken by somebody else. Please choose another one.")
    if isinstance(error, TooManyRequests):
        return too_many(visit, error.retry_after)
    if isinstance(error, TransitionRefused):
        return _("This booking cannot be changed here any more. Please contact the business.")
    if isinstance(error, NotFound):
        return _("This page does not exist, or not any more. Check the link.")
    if isinstance(error, LinkUsed):
        return _("This link has been used, or has ended. Please ask for a new one.")
    if error.code == "in_the_past":
        return _("That time has passed. Please choose a later one.")
    if error.code == "event_type_inactive":
        return _("This is not offered at the moment. Please ask the business.")
    return _("That did not work. Please check what you entered and try again.")


def too_many(visit: Visit, seconds: int) -> str:
    """Too many tries: when to try again."""
    minutes = max(1, -(-seconds // 60))
    text = visit.language.ngettext(
        "There were too many tries from your connection. Try again in a minute.",
        "There were too many tries from your connection. Try again in %(number)s minutes.",
        minutes,
    )
    return text % {"number": minutes} if "%(" in text else text


def of_field(visit: Visit, error: InvalidInput, questions: tuple[Question, ...]) -> tuple[str, str]:
    """The name of the form's field that an error is about, and the sentence to show beside it; empty for none."""
    _ = visit.language.gettext
    place = error.field or ""
    if place == "name":
        return "name", _("Please enter your name, in at most 200 characters.")
    if place == "email":
        return "email", _("Please enter an e-mail address like name@example.com.")
    if place == "reason":
        return "reason", _("This is too long, or contains characters that cannot be used here.")
    if (name := place.partition("[")[0]) in details_form.NAMES:
        return name, _of_detail(visit, error, name)
    asked = place.removeprefix("answers.")
    question = next((each for each in questions if each.id == asked), None)
    if question is None or place == asked:
        return "", of_error(visit, error)
    return f"answer-{question.id}", _of_answer(visit, question)


def _of_detail(visit: Visit, error: InvalidInput, name: str) -> str:
    _ = visit.language.gettext
    match name:
        case "meeting_place":
            return _("Please choose where to meet.")
        case "phone":
            return _("Please enter a phone number with its country, like +49 30 1234567.")
        case "guests" if "[" in (error.field or ""):
            return _("Please enter e-mail addresses like name@example.com, separated by commas or lines.")
        case "guests":
            return _("Please enter the e-mail addresses of one to %(most)s guests.") % {"most": MOST_GUESTS}
        case "booked_by_name" | "booked_by":
            return _("Please enter your name, in at most 200 characters.")
        case "booked_by_email":
            return _("Please enter an e-mail address like name@example.com.")
        case _:
            return _("Please answer this, in plain text that is not too long.")


def _of_answer(visit: Visit, question: Question) -> str:
    _ = visit.language.gettext
    match question.type:
        case QuestionType.NUMBER:
            return _of_number(visit, question)
        case QuestionType.PHONE:
            return _("Please enter a phone number like +49 30 1234567.")
        case QuestionType.SELECT:
            return _("Please choose one of the options.")
        case QuestionType.CHECKBOX:
            return _("Please tick this box to go on.")
        case _:
            return _("Please answer this, in plain text that is not too long.")


def _of_number(visit: Visit, question: Question) -> str:
    _ = visit.language.gettext
    low, high = question.minimum, question.maximum
    if low is not None and high is not None:
        return _("Please enter a number from %(low)s to %(high)s.") % {"low": f"{low:g}", "high": f"{high:g}"}
    if low is not None:
        return _("Please enter a number of at least %(low)s.") % {"low": f"{low:g}"}
    if high is not None:
        return _("Please enter a number of at most %(high)s.") % {"high": f"{high:g}"}
    return _("Please enter a number.")
