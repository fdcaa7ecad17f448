"""Short messages that appear and go: what an action has led to.

Reflex's own ``rx.toast`` reaches the browser from a handler as a script to be evaluated, which our
Content-Security-Policy forbids, and rightly. So the message is state, and a component shows each one once.
"""

from __future__ import annotations

import time

import reflex as rx
from reflex.event import EventSpec

from calendar_app.ui.components.browser import Notices

KINDS = ("success", "info", "warning", "error")


class NoticeState(rx.State):
    """The latest message; ``id`` tells it from the one before."""

    id: int = 0
    kind: str = "info"
    text: str = ""

    @rx.event
    def show(self, kind: str, text: str) -> None:
        """Show a message. Whoever calls this from a browser shows it to themselves."""
        self.kind = kind if kind in KINDS else "info"
        self.text = text[:500]
        self.id = time.time_ns() // 1_000


def success(text: str) -> EventSpec:
    return NoticeState.show("success", text)


def info(text: str) -> EventSpec:
    return NoticeState.show("info", text)


def warning(text: str) -> EventSpec:
    return NoticeState.show("warning", text)


def error(text: str) -> EventSpec:
    return NoticeState.show("error", text)


def notices() -> rx.Component:
    """Shows messages; part of every page's frame."""
    return Notices.create(notice=NoticeState.id, kind=NoticeState.kind, text=NoticeState.text)
