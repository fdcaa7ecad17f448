"""What the page of webhooks shows, and what its buttons do. Secrets never get in here (see ``secret_form.js``)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.domain.webhook import DeliveryState, SubscriptionState
from calendar_app.errors import AlmanacError
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.webhooks import deliveries, subscriptions
from calendar_app.services.webhooks.deliveries import DeliveryView
from calendar_app.services.webhooks.subscriptions import SubscriptionView
from calendar_app.ui import formats, live, notices
from calendar_app.ui.session import SessionState, acting, enter

PAGE = 25


@dataclass
class WebhookRow:
    """A subscription; ``trouble`` says what is wrong, empty where nothing is."""

    id: str
    url: str
    description: str
    events: str
    state: str
    trouble: str
    waiting: str
    taken: str


@dataclass
class DeliveryRow:
    """A delivery in the list."""

    id: str
    event: str
    subject: str
    state: str
    answer: str
    tries: str
    made: str
    next_try: str


@dataclass
class Bodies:
    """What the dialog shows of one delivery; closed while ``id`` is empty."""

    id: str = ""
    title: str = ""
    message_id: str = ""
    result: str = ""
    payload: str = ""
    answer: str = ""


def webhook_row(view: SubscriptionView) -> WebhookRow:
    """What the list says of a subscription."""
    trouble = view.reason
    if view.state == SubscriptionState.ACTIVE and view.failing_since is not None:
        trouble = "The last messages were not taken. We go on trying."
    return WebhookRow(
        id=view.id,
        url=view.url,
        description=view.description,
        events=", ".join(view.events),
        state=view.state,
        trouble=trouble,
        waiting=formats.count(view.waiting, "message waits", "messages wait") if view.waiting else "",
        taken=formats.rfc3339(view.last_delivered_at),
    )


def delivery_row(view: DeliveryView) -> DeliveryRow:
    """What the list says of a delivery."""
    waits = view.state == DeliveryState.WAITING
    return DeliveryRow(
        id=view.id,
        event=view.event,
        subject=view.subject_id,
        state=view.state,
        answer=answer_in_words(view),
        tries=formats.count(view.attempts, "try", "tries") if view.attempts else "",
        made=formats.rfc3339(view.created_at),
        next_try=formats.rfc3339(view.next_attempt_at) if waits and view.next_attempt_at else "",
    )


def answer_in_words(view: DeliveryView) -> str:
    """What came of the last try."""
    if not view.attempts:
        return ""
    if view.answer_status and not view.last_error:
        return f"Answered {view.answer_status} in {view.answer_ms} ms"
    return view.last_error


def bodies(view: DeliveryView) -> Bodies:
    """A delivery with what was sent, laid out for reading, and what was answered."""
    payload = json.dumps(json.loads(view.payload), indent=2, ensure_ascii=False)
    result = answer_in_words(view) or "Not sent yet"
    return Bodies(view.id, view.event, view.message_id, result, payload, view.answer)


class WebhooksState(rx.State):
    """The workspace's webhooks, and of the chosen one the deliveries of one state or of all."""

    loaded: bool = False
    allowed: bool = False
    error: str = ""
    rows: list[WebhookRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    chosen: str = ""
    view: str = ""
    found: list[DeliveryRow] = []  # noqa: RUF012
    more: bool = False
    listed: int = PAGE
    opened: Bodies = Bodies()

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show all of them."""
        actor = await enter(self, zone, hour12)
        self.chosen, self.view, self.listed, self.opened = "", "", PAGE, Bodies()
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    @rx.event
    async def refresh(self) -> None:
        """Read again after a change."""
        actor = await acting(self)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    async def _read(self, actor: Actor) -> None:
        self.allowed, self.error = actor.role >= Role.MANAGER, ""
        if self.allowed:
            found = await asyncio.to_thread(subscriptions.list_subscriptions, actor)
            self.rows = [webhook_row(one) for one in found]
            if self.chosen not in {row.id for row in self.rows}:
                self.chosen = self.rows[0].id if len(self.rows) == 1 else ""
            await self._read_deliveries(actor)
        self.loaded = True

    async def _read_deliveries(self, actor: Actor) -> None:
        if not self.chosen:
            self.found, self.more = [], False
            return
        page = await asyncio.to_thread(
            deliveries.list_deliveries, actor, self.chosen, state=self.view, limit=self.listed
        )
        self.found = [delivery_row(one) for one in page.items]
        self.more = page.next is not None and self.listed < deliveries.MOST

    @rx.event
    async def choose(self, webhook_id: str) -> None:
        """Show what was sent to a webhook, or hide it."""
        actor = await acting(self)
        self.chosen = "" if webhook_id == self.chosen else webhook_id[:64]
        self.view, self.listed = "", PAGE
        await self._read(actor)

    @rx.event
    async def set_view(self, value: str) -> None:
        """Choose which deliveries are listed."""
        actor = await acting(self)
        self.view, self.listed = value if value in list(DeliveryState) else "", PAGE
        await self._read_deliveries(actor)

    @rx.event
    async def show_more(self) -> None:
        """List older ones, too."""
        actor = await acting(self)
        self.listed = min(self.listed + PAGE, deliveries.MOST)
        await self._read_deliveries(actor)

    @rx.event
    async def open(self, delivery_id: str) -> Any:
        """Show what was sent and answered."""
        actor = await acting(self)
        try:
            self.opened = bodies(await asyncio.to_thread(deliveries.get, actor, self.chosen, delivery_id))
        except AlmanacError as error:
            return notices.error(error.detail)
        return None

    @rx.event
    def close(self, is_open: bool) -> None:
        """Close the dialog."""
        if not is_open:
            self.opened = Bodies()

    @rx.event
    async def set_state(self, webhook_id: str, state: str) -> Any:
        """Pause a webhook, or switch it on."""
        actor = await acting(self)
        try:
            await asyncio.to_thread(lambda: subscriptions.change(actor, webhook_id, state=state))
        except AlmanacError as error:
            return notices.error(error.detail)
        finally:
            await self._read(actor)
        return notices.success("Switched on." if state == SubscriptionState.ACTIVE else "Paused.")

    @rx.event
    async def delete(self, webhook_id: str) -> Any:
        """End a webhook."""
        actor = await acting(self)
        try:
            await asyncio.to_thread(subscriptions.delete, actor, webhook_id)
        except AlmanacError as error:
            return notices.error(error.detail)
        finally:
            await self._read(actor)
        return notices.success("The webhook is deleted.")

    @rx.event
    async def send_test(self, webhook_id: str) -> Any:
        """Send a test now, and show what is answered."""
        actor = await acting(self)
        try:
            tested = await asyncio.to_thread(deliveries.send_test, actor, webhook_id)
        except AlmanacError as error:
            return notices.error(error.detail)
        self.opened = bodies(tested)
        await self._read(actor)
        return None

    @rx.event
    async def replay(self, delivery_id: str) -> Any:
        """Send one message again."""
        actor = await acting(self)
        try:
            await asyncio.to_thread(deliveries.replay, actor, self.chosen, delivery_id)
        except AlmanacError as error:
            return notices.error(error.detail)
        self.opened = Bodies()
        await self._read(actor)
        return notices.success("It is sent again.")

    @rx.event
    async def replay_since(self, form: dict[str, Any]) -> Any:
        """Send everything again that happened since a moment on the page's clock."""
        actor = await acting(self)
        zone = (await self.get_state(SessionState)).zone
        try:
            since = datetime.fromisoformat(str(form.get("since", ""))).replace(tzinfo=ZoneInfo(zone))
            number = await asyncio.to_thread(deliveries.replay_since, actor, self.chosen, since)
        except (ValueError, OverflowError):
            return notices.error("Please give a day and a time.")
        except AlmanacError as error:
            return notices.error(error.detail)
        await self._read(actor)
        return notices.success(f"{formats.count(number, 'message is', 'messages are')} sent again.")
