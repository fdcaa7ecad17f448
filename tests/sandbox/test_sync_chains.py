"""Whatever happens to a calendar, a client that follows sync tokens ends with what a full listing shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from calendar_app.sandbox.google.calendars import CalendarRow, Calendars
from calendar_app.sandbox.google.error import GoogleError
from calendar_app.sandbox.google.events import Events
from calendar_app.sandbox.google.listing import Listing, Query, resume_page, resume_sync
from calendar_app.sandbox.google.rules import RULES as SWITCHES
from calendar_app.sandbox.google.schema import SCHEMA
from calendar_app.sandbox.rules import Rules
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
RULES = (
    [],
    ["RRULE:FREQ=WEEKLY;COUNT=5"],
    ["RRULE:FREQ=DAILY;COUNT=9"],
    ["RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20261205T000000Z"],
    ["RRULE:FREQ=WEEKLY;BYDAY=MO,FR;COUNT=11", "EXDATE:20261123T090000Z"],
)
ACTIONS = (
    "insert",
    "patch",
    "retime",
    "rerule",
    "delete",
    "revive",
    "patch instance",
    "delete instance",
    "move",
)
PAGES = (2, 7, 2500)
Step = tuple[str, int, int]


class Mirror:
    """A client: what it holds by id, and its token."""

    def __init__(self, store: Store, calendars: Calendars, page: int, **query: Any) -> None:
        self.store, self.calendars, self.page, self.query = store, calendars, page, query
        self.held: dict[str, Json] = {}
        self.token = ""

    def row(self) -> CalendarRow:
        return self.calendars.get("a@example.com", "primary")

    def pull(self, *, full: bool = False) -> None:
        """One full or incremental listing, page by page."""
        base = Query(limit=self.page, **self.query)
        if full:
            self.held.clear()
        elif self.token:
            base = resume_sync(
                Query(limit=self.page, single=base.single), self.token, self.row(), self.store.now_ms()
            )
        query = base
        while True:
            answer = orjson.loads(orjson.dumps(Listing(self.store, self.row(), query).page()))
            for event in answer["items"]:
                if event["status"] == "cancelled" and (query.single or "recurringEventId" not in event):
                    self.held.pop(event["id"], None)
                else:
                    self.held[event["id"]] = event
            if "nextPageToken" not in answer:
                self.token = answer["nextSyncToken"]
                return
            query = resume_page(base, answer["nextPageToken"])

    def seen(self) -> dict[str, tuple[Any, ...]]:
        """What matters of it: live events, and cancelled instances of live series."""
        series = {event_id for event_id, event in self.held.items() if "recurrence" in event}
        return {
            event_id: (event["status"],)
            if event["status"] == "cancelled"
            else (event["etag"], str(event["start"]))
            for event_id, event in self.held.items()
            if event["status"] != "cancelled" or event["recurringEventId"] in series
        }


class World:
    """A calendar under random edits."""

    def __init__(self) -> None:
        self.store = Store(":memory:", lambda: NOW, SCHEMA)
        self.calendars, self.events = (
            Calendars(self.store),
            Events(self.store, "http://localhost", Rules(SWITCHES)),
        )
        self.calendars.ensure_account("a@example.com")
        self.own = self.calendars.get("a@example.com", "primary").ref
        self.other = self.calendars.insert("a@example.com", {"summary": "Other"}).ref
        self.ids: list[str] = []

    def body(self, number: int, rule: list[str]) -> Json:
        start = NOW + timedelta(days=number % 11, hours=number % 5)
        zone = "Europe/Berlin"
        times = {"start": start, "end": start + timedelta(hours=1)}
        bounds = {side: {"dateTime": moment.isoformat(), "timeZone": zone} for side, moment in times.items()}
        return {"summary": f"Event {number}", "recurrence": rule, **bounds}

    def act(self, step: Step) -> None:
        """One edit; edits that Google would refuse change nothing."""
        action, number, choice = step
        rule = RULES[choice % len(RULES)]
        if action == "insert" or not self.ids:
            self.ids.append(self.events.insert(self.own, self.body(number, rule))["id"])
            return
        event_id = self.ids[number % len(self.ids)]
        try:
            if action == "patch":
                self.events.patch(self.own, event_id, {"summary": f"Patched {choice}"})
            elif action in ("retime", "rerule"):
                self.events.update(self.own, event_id, self.body(number + choice, rule))
            elif action == "delete":
                self.events.delete(self.own, event_id)
            elif action == "revive":
                self.events.patch(self.own, event_id, {"status": "confirmed"})
            elif action == "move":
                here, there = (self.own, self.other) if choice % 2 else (self.other, self.own)
                self.events.move(here, event_id, there)
            else:
                self._change_instance(action, event_id, choice)
        except GoogleError as error:
            assert error.status in (400, 404, 409, 410)  # noqa: PT017  # refusals are part of the story

    def _change_instance(self, action: str, event_id: str, choice: int) -> None:
        query = Query(single=True, series=event_id, limit=50)
        items = Listing(self.store, self.calendars.get("a@example.com", "primary"), query).page()["items"]
        if items:
            instance = orjson.loads(orjson.dumps(items[choice % len(items)]))["id"]
            if action == "delete instance":
                self.events.delete(self.own, instance)
            else:
                moved = self.body(choice, [])
                self.events.patch(self.own, instance, {"start": moved["start"], "end": moved["end"]})


steps = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 30), st.integers(0, 12)), max_size=12)


@settings(max_examples=80, deadline=None)
@given(before=steps, rounds=st.lists(steps, max_size=4), page=st.sampled_from(PAGES), single=st.booleans())
def test_following_tokens_equals_listing_everything(
    before: list[Step], rounds: list[list[Step]], page: int, single: bool
) -> None:
    """With and without expansion, for any page size, over any edits in between."""
    world = World()
    for step in before:
        world.act(step)
    follower = Mirror(world.store, world.calendars, page, single=single)
    follower.pull()
    for edits in rounds:
        for step in edits:
            world.act(step)
        follower.pull()
    fresh = Mirror(world.store, world.calendars, 2500, single=single)
    fresh.pull(full=True)
    assert follower.seen() == fresh.seen()
    world.store.close()


@settings(max_examples=30, deadline=None)
@given(before=steps, after=steps)
def test_following_a_window_keeps_what_a_full_listing_of_it_shows(
    before: list[Step], after: list[Step]
) -> None:
    """A chain that began with timeMin and timeMax may hold more, never less, and nothing stale."""
    world = World()
    bounds = {"time_min": int(NOW.timestamp()), "time_max": int((NOW + timedelta(days=8)).timestamp())}
    for step in before:
        world.act(step)
    follower = Mirror(world.store, world.calendars, 20, single=True, **bounds)
    follower.pull()
    for step in after:
        world.act(step)
    follower.pull()
    fresh = Mirror(world.store, world.calendars, 2500, single=True, **bounds)
    fresh.pull(full=True)
    everything = Mirror(world.store, world.calendars, 2500, single=True)
    everything.pull(full=True)
    assert fresh.seen().items() <= follower.seen().items() <= everything.seen().items()
    world.store.close()
