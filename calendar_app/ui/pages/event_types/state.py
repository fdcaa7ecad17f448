"""The list of event types, and the one that is being edited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import reflex as rx

from calendar_app.domain.intake import QuestionType
from calendar_app.domain.meeting_place import MOST as MOST_PLACES
from calendar_app.domain.meeting_place import PlaceKind
from calendar_app.errors import AlmanacError
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.event_types import commands as event_type_commands
from calendar_app.services.event_types import meeting_calendars
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.event_types.queries import EventTypeView
from calendar_app.services.workspaces import members
from calendar_app.ui import notices
from calendar_app.ui.pages.event_types.draft import (
    EventTypeDraft,
    PlaceDraft,
    PlaceKindChoice,
    QuestionDraft,
    as_draft,
    place_drafts,
    place_kinds,
    question_drafts,
    read_form,
    read_hosts,
    read_places,
    read_questions,
    summary,
)
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import acting, enter

NEW = "new"
MOST_QUESTIONS = 50


@dataclass
class EventTypeRow:
    """An event type in the list."""

    id: str
    title: str
    summary: str
    path: str
    url: str
    color: str
    is_active: bool
    is_public: bool
    may_change: bool = True


def as_row(view: EventTypeView, viewer: Actor) -> EventTypeRow:
    path = view.url[view.url.index("/book/") :]
    return EventTypeRow(
        view.id,
        view.title,
        summary(view),
        path,
        view.url,
        view.color,
        view.is_active,
        view.is_public,
        may_change=viewer.role >= Role.MANAGER
        or [host.person_id for host in view.hosts] == [viewer.person_id],
    )


class EventTypesState(rx.State):
    """``editing`` is the id of the event type whose dialog is open, ``"new"`` or empty; ``used_ids`` are those of its
    stored questions."""

    loaded: bool = False
    rows: list[EventTypeRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    editing: str = ""
    draft: EventTypeDraft = EventTypeDraft()
    questions: list[QuestionDraft] = []  # noqa: RUF012
    places: list[PlaceDraft] = []  # noqa: RUF012
    place_kinds: list[PlaceKindChoice] = []  # noqa: RUF012
    error: str = ""
    used_ids: list[str] = []  # noqa: RUF012

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the workspace's event types."""
        await enter(self, zone, hour12)
        self.editing = ""
        await self._read()

    async def _read(self) -> None:
        actor = await acting(self)
        found = await asyncio.to_thread(event_type_queries.list_event_types, actor)
        self.rows, self.loaded = [as_row(view, actor) for view in found], True

    @rx.event
    async def toggle_dialog(self, event_type_id: str, is_open: bool) -> None:
        """Open the form on an event type (or a new one), or close it."""
        self.error = ""
        if not is_open:
            self.editing = ""
            return
        actor = await acting(self)
        colleagues = await asyncio.to_thread(members.list_colleagues, actor)
        view = None
        if event_type_id != NEW:
            view = await asyncio.to_thread(event_type_queries.get_event_type, actor, event_type_id)
        self.draft = as_draft(view, colleagues, actor.person_id)
        documents = view.questions if view else ()
        self.questions = question_drafts(documents)
        self.places = place_drafts(view.meeting_places if view else ())
        missing = await asyncio.to_thread(meeting_calendars.cannot_offer, actor, view.id if view else "")
        self.place_kinds = place_kinds(missing)
        self.used_ids = [str(document["id"]) for document in documents]
        self.editing = event_type_id

    @rx.event
    def add_place(self) -> None:
        """Add a meeting place."""
        taken = {place.id for place in self.places}
        number = next(n for n in range(1, 1_000) if f"place-{n}" not in taken)
        if len(self.places) < MOST_PLACES:
            self.places = [*self.places, PlaceDraft(f"place-{number}")]

    @rx.event
    def remove_place(self, place_id: str) -> None:
        """Take a meeting place away; it counts when the event type is saved."""
        self.places = [place for place in self.places if place.id != place_id]

    @rx.event
    def set_place_kind(self, place_id: str, kind: str) -> None:
        """Change what kind of place it is."""
        if kind in set(PlaceKind):
            self.places = [
                replace(place, kind=kind) if place.id == place_id else place for place in self.places
            ]

    @rx.event
    def add_question(self) -> None:
        """Add an empty question."""
        if len(self.questions) >= MOST_QUESTIONS:
            return
        taken = {question.id for question in self.questions} | set(self.used_ids)
        number = next(n for n in range(1, 10_000) if f"q{n}" not in taken)
        self.questions = [*self.questions, QuestionDraft(f"q{number}")]

    @rx.event
    def remove_question(self, question_id: str) -> None:
        """Take a question away; it counts when the event type is saved."""
        self.questions = [question for question in self.questions if question.id != question_id]

    @rx.event
    def raise_question(self, question_id: str) -> None:
        """Ask a question one place earlier."""
        ids = [question.id for question in self.questions]
        at = ids.index(question_id) if question_id in ids else 0
        if at:
            moved = list(self.questions)
            moved[at - 1], moved[at] = moved[at], moved[at - 1]
            self.questions = moved

    @rx.event
    def set_question_type(self, question_id: str, kind: str) -> None:
        """Change what kind of answer a question wants."""
        if kind in set(QuestionType):
            self.questions = [
                replace(question, type=kind) if question.id == question_id else question
                for question in self.questions
            ]

    @rx.event
    async def save(self, form: dict[str, Any]) -> Any:
        """Create or change the event type of the open dialog."""
        actor = await acting(self)
        try:
            await asyncio.to_thread(self._save, actor, form)
        except AlmanacError as error:
            self.error = error.detail
            return None
        self.editing = ""
        await self._read()
        return notices.success("Saved.")

    def _save(self, actor: Any, form: Mapping[str, Any]) -> None:
        view = None if self.editing == NEW else event_type_queries.get_event_type(actor, self.editing)
        fields = read_form(form)
        fields |= read_hosts(form, members.list_colleagues(actor), view.hosts if view else ())
        stored = {str(document["id"]): document for document in view.questions} if view else {}
        fields["meeting_places"] = read_places(form, self.places)
        fields["questions"] = read_questions(form, self.questions, stored)
        if view is None:
            event_type_commands.create_event_type(actor, fields)
        else:
            event_type_commands.update_event_type(actor, view.id, fields)

    @rx.event
    async def set_active(self, event_type_id: str, value: bool) -> None:
        """Offer the event type to customers, or stop offering it."""
        actor = await acting(self)
        await asyncio.to_thread(
            event_type_commands.update_event_type, actor, event_type_id, {"is_active": value}
        )
        await self._read()

    @rx.event
    async def delete(self, event_type_id: str) -> Any:
        """Delete an event type that was never booked."""
        await asyncio.to_thread(event_type_commands.delete_event_type, await acting(self), event_type_id)
        await self._read()
        return notices.success("Deleted.")


keep(EventTypesState, "editing", "draft", "questions", "places", "place_kinds", "used_ids")
