"""What a page does when a handler fails: known errors speak for themselves, unknown ones are logged and admitted."""

from __future__ import annotations

import logging

import reflex as rx
from reflex.event import EventSpec

from calendar_app.errors import AlmanacError
from calendar_app.ui import notices
from calendar_app.ui.reloading import NotLoaded
from calendar_app.ui.session import SignInFirst

log = logging.getLogger(__name__)


def show(exception: Exception) -> EventSpec | None:
    """The application's backend exception handler: a redirect to sign-in, or a toast with one sentence."""
    if isinstance(exception, NotLoaded):
        return None
    if isinstance(exception, SignInFirst):
        return rx.redirect(exception.target)
    if isinstance(exception, AlmanacError):
        return notices.error(exception.detail)
    log.error("an event handler failed", exc_info=exception)
    return notices.error("Something went wrong on our side. It has been logged; please try again.")
