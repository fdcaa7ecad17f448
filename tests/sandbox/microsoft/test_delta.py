"""Rounds of calendarView/delta: links, removals, tokens that are too old, and a mirror that stays true."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from calendar_app.sandbox.microsoft import ids
from calendar_app.sandbox.microsoft.delta import Delta
from calendar_app.sandbox.microsoft.error import GraphError
from calendar_app.sandbox.microsoft.events import Events
from calendar_app.sandbox.microsoft.mailboxes import Mailboxes
from calendar_app.sandbox.microsoft.resource import Wishes, resource
from calendar_app.sandbox.microsoft.schema import SCHEMA
from calendar_app.sandbox.rules import Rules
from calendar_app.sandbox.store import Store
from tests.sandbox.microsoft.client import Json, Microsoft, at, meeting, ok, refused, weekly

WINDOW = {"startDateTime": "2026-11-01T00:00:00Z", "endDateTime": "2026-12-01T00:00:00Z"}


class Rounds:
    """A client that follows every link; ``pages`` counts the requests of the last round."""

    def __init__(self, graph: httpx.Client, calendar: str, size: int = 100) -> None:
        self.graph, self.size, self.pages = graph, size, 0
        self.place = f"me/calendars/{calendar}/calendarView/delta"
        self.link = ""

    def next(self) -> list[Json]:
        """One round to its delta link; what it gave."""
        items: list[Json] = []
        own = self.graph.headers.get("prefer", "")
        prefer = {"Prefer": ", ".join(filter(None, [own, f"odata.maxpagesize={self.size}"]))}
        page = ok(
            self.graph.get(self.link or self.place, params=None if self.link else WINDOW, headers=prefer)
        )
        self.pages = 1
        while "@odata.nextLink" in page:
            assert "@odata.deltaLink" not in page
            items += page["value"]
            page = ok(self.graph.get(page["@odata.nextLink"], headers=prefer))
            self.pages += 1
        self.link = page["@odata.deltaLink"]
        return items + page["value"]


def kinds(items: list[Json]) -> list[str]:
    return ["removed" if "@removed" in item else item["type"] for item in items]


def test_the_first_round_has_all_of_the_window(graph: httpx.Client, project: str) -> None:
    """Single events whole, a series as its master and bare occurrences; nothing outside the window."""
    place = f"me/calendars/{project}/events"
    single = ok(graph.post(place, json=meeting()), 201)
    ok(graph.post(place, json=meeting("2027-01-05")), 201)
    master = ok(graph.post(place, json=meeting("2026-11-16", recurrence=weekly("2026-11-16"))), 201)
    items = Rounds(graph, project).next()
    assert kinds(items) == ["singleInstance", "seriesMaster", "occurrence", "occurrence", "occurrence"]
    assert items[0] == {"@odata.type": "#microsoft.graph.event"} | single
    assert items[2].keys() == {
        "@odata.type",
        "@odata.etag",
        "id",
        "seriesMasterId",
        "type",
        "start",
        "end",
    }
    assert {item["seriesMasterId"] for item in items[2:]} == {master["id"]}
    assert items[2]["start"] == {"dateTime": "2026-11-16T08:00:00.0000000", "timeZone": "UTC"}


def test_pages_are_as_long_as_preferred(graph: httpx.Client, project: str) -> None:
    """Each page has at most the preferred number, the last one the delta link; nothing is lost or doubled."""
    for day in range(10, 17):
        ok(graph.post(f"me/calendars/{project}/events", json=meeting(f"2026-11-{day}")), 201)
    ok(
        graph.post(
            f"me/calendars/{project}/events", json=meeting("2026-11-02", recurrence=weekly("2026-11-02"))
        ),
        201,
    )
    rounds = Rounds(graph, project, size=3)
    items = rounds.next()
    assert rounds.pages == 5
    assert len(items) == len({item["id"] for item in items}) == 7 + 1 + 5


def test_a_quiet_round_is_empty(graph: httpx.Client, project: str) -> None:
    """A new delta link and no items."""
    ok(graph.post(f"me/calendars/{project}/events", json=meeting()), 201)
    rounds = Rounds(graph, project)
    rounds.next()
    assert rounds.next() == []
    assert rounds.pages == 1


def test_changes_come_once(graph: httpx.Client, project: str) -> None:
    """New, changed and deleted events, each in the round after it."""
    place = f"me/calendars/{project}/events"
    first, second = (ok(graph.post(place, json=meeting()), 201)["id"] for _ in range(2))
    rounds = Rounds(graph, project)
    rounds.next()
    ok(graph.patch(f"me/events/{first}", json={"subject": "Changed"}))
    ok(graph.delete(f"me/events/{second}"), 204)
    third = ok(graph.post(place, json=meeting()), 201)["id"]
    items = rounds.next()
    assert [(item["id"], item.get("subject")) for item in items] == [
        (first, "Changed"),
        (second, None),
        (third, "Visit"),
    ]
    assert items[1]["@removed"] == {"reason": "deleted"}
    assert rounds.next() == []


def test_what_leaves_the_window_is_removed(graph: httpx.Client, project: str) -> None:
    """So is, as at Graph, what is made outside of it; a first round says nothing of either."""
    place = f"me/calendars/{project}/events"
    inside = ok(graph.post(place, json=meeting()), 201)["id"]
    rounds = Rounds(graph, project)
    rounds.next()
    ok(
        graph.patch(
            f"me/events/{inside}", json={"start": at("2027-02-01", "09:00"), "end": at("2027-02-01", "10:00")}
        )
    )
    outside = ok(graph.post(place, json=meeting("2027-03-01")), 201)["id"]
    items = rounds.next()
    assert kinds(items) == ["removed", "removed"]
    assert [item["id"] for item in items] == [inside, outside]
    assert Rounds(graph, project).next() == []


def test_a_changed_series_comes_whole(graph: httpx.Client, project: str) -> None:
    """Master, remaining occurrences, exceptions; of an occurrence that was taken out there is no trace."""
    body = meeting("2026-11-02", recurrence=weekly("2026-11-02"))
    master = ok(graph.post(f"me/calendars/{project}/events", json=body), 201)
    rounds = Rounds(graph, project)
    before = [item["id"] for item in rounds.next()]
    sides = {"start": at("2026-11-10", "09:00"), "end": at("2026-11-10", "10:00")}
    ok(graph.patch(f"me/events/{before[2]}", json=sides))
    ok(graph.delete(f"me/events/{before[3]}"), 204)
    items = rounds.next()
    assert kinds(items) == ["seriesMaster", "occurrence", "exception", "occurrence", "occurrence"]
    assert [item["id"] for item in items] == [one for one in before if one != before[3]]
    assert items[0]["changeKey"] != master["changeKey"]
    assert (items[2]["originalStart"], items[2]["subject"]) == ("2026-11-09T08:00:00Z", "Visit")
    assert rounds.next() == []


def test_a_shorter_series_says_nothing_of_what_fell_away(graph: httpx.Client, project: str) -> None:
    """Only a series that has gone, or has nothing left in the window, is removed, by its master."""
    body = meeting("2026-11-02", recurrence=weekly("2026-11-02"))
    master = ok(graph.post(f"me/calendars/{project}/events", json=body), 201)["id"]
    rounds = Rounds(graph, project)
    before = [item["id"] for item in rounds.next()]
    shorter = weekly("2026-11-02", type="numbered", numberOfOccurrences=2)
    ok(graph.patch(f"me/events/{master}", json={"recurrence": shorter}))
    items = rounds.next()
    assert kinds(items) == ["seriesMaster", "occurrence", "occurrence"]
    assert [item["id"] for item in items] == before[:3]
    ok(graph.delete(f"me/events/{master}"), 204)
    items = rounds.next()
    assert (kinds(items), items[0]["id"]) == (["removed"], master)


def test_a_change_between_two_pages_comes_later(graph: httpx.Client, project: str) -> None:
    """A round ends where it began to: what changes meanwhile is in the next one."""
    place = f"me/calendars/{project}/events"
    made = [ok(graph.post(place, json=meeting()), 201)["id"] for _ in range(4)]
    headers = {"Prefer": "odata.maxpagesize=2"}
    page = ok(graph.get(f"me/calendars/{project}/calendarView/delta", params=WINDOW, headers=headers))
    ok(graph.patch(f"me/events/{made[0]}", json={"subject": "Late"}))
    ok(graph.delete(f"me/events/{made[3]}"), 204)
    last = ok(graph.get(page["@odata.nextLink"], headers=headers))
    assert [item["id"] for item in page["value"] + last["value"]] == made[:3]
    later = ok(graph.get(last["@odata.deltaLink"]))["value"]
    assert [(item["id"], "@removed" in item) for item in later] == [(made[0], False), (made[3], True)]


def test_tokens_that_are_too_old_are_refused(microsoft: Microsoft, graph: httpx.Client, project: str) -> None:
    """410 SyncStateNotFound; a new first round works."""
    rounds = Rounds(graph, project)
    rounds.next()
    microsoft.stand_in.expire_sync_tokens(project)
    refused(graph.get(rounds.link), 410, "SyncStateNotFound")
    other = ok(graph.get("me/calendar"))["id"]
    Rounds(graph, other).next()
    rounds.link = ""
    assert rounds.next() == []


def test_tokens_of_another_time_need_a_new_start(
    microsoft: Microsoft, graph: httpx.Client, project: str
) -> None:
    """A token ahead of the store, as after restoring a backup, answers 410 resyncRequired."""
    rounds = Rounds(graph, project)
    ok(graph.post(f"me/calendars/{project}/events", json=meeting()), 201)
    rounds.next()
    microsoft.stand_in.store.db.execute("UPDATE meta SET value = value - 1 WHERE name = 'sequence'")
    refused(graph.get(rounds.link), 410, "resyncRequired")
    microsoft.stand_in.store.db.execute("UPDATE meta SET value = value + 1 WHERE name = 'sequence'")


@pytest.mark.parametrize("change", ["cut", "invented", "other calendar", "wrong kind"])
def test_tokens_are_opaque(graph: httpx.Client, project: str, change: str) -> None:
    """What is not exactly a token of this view answers 400."""
    rounds = Rounds(graph, project)
    rounds.next()
    place, _, token = rounds.link.partition("?$deltatoken=")
    link = {
        "cut": f"{place}?$deltatoken={token[:-3]}",
        "invented": f"{place}?$deltatoken=abc",
        "other calendar": f"me/calendarView/delta?$deltatoken={token}",
        "wrong kind": f"{place}?$skiptoken={token}",
    }[change]
    refused(graph.get(link), 400, "ErrorInvalidUrlQuery")


@pytest.mark.parametrize("name", ["$select", "$filter", "$orderby", "$top", "$expand", "$search"])
def test_change_tracking_takes_no_options(graph: httpx.Client, name: str) -> None:
    """They are refused by name."""
    answer = graph.get("me/calendarView/delta", params=WINDOW | {name: "subject"})
    assert name in refused(answer, 400, "ErrorInvalidUrlQuery")


def test_a_window_is_needed_to_begin(graph: httpx.Client) -> None:
    """Without it there is nothing to track."""
    refused(graph.get("me/calendarView/delta"), 400, "ErrorInvalidParameter")


def test_preferences_hold_in_rounds_too(microsoft: Microsoft) -> None:
    """Zone and form of ids."""
    graph = microsoft.graph(Prefer='outlook.timezone="Tokyo Standard Time", IdType="ImmutableId"')
    items = Rounds(graph, ok(graph.get("me/calendar"))["id"]).next()
    assert {item["start"]["timeZone"] for item in items} == {"Tokyo Standard Time"}
    assert {item["id"][:8] for item in items} == {"AAkALgAA"}


class Mirror(RuleBasedStateMachine):
    """Whatever happens to a calendar, a client that follows rounds holds what a calendar view shows."""

    first, last = 1_793_491_200, 1_793_491_200 + 42 * 86_400  # 2026-11-01, six weeks

    @initialize(size=st.integers(1, 7))
    def begin(self, size: int) -> None:
        self.store = Store(":memory:", lambda: datetime(2026, 11, 18, tzinfo=UTC), SCHEMA)
        mailboxes = Mailboxes(self.store)
        self.mailbox = mailboxes.ensure("o@example.com")
        self.calendar = mailboxes.default_calendar(self.mailbox.email)
        self.events, self.size = Events(self.store, mailboxes, Rules({})), size
        self.delta = Delta(self.events)
        self.held: dict[str, Json] = {}
        self.token = ""

    def show(self, event: Any) -> Json:
        return resource(event, self.mailbox, Wishes(), "https://x.example")

    def times(self, day: int, hour: int) -> Json:
        on = (date(2026, 10, 20) + timedelta(days=day)).isoformat()
        return {"start": at(on, f"{hour:02}:00"), "end": at(on, f"{hour + 1:02}:00")}

    @rule(day=st.integers(0, 70), hour=st.integers(6, 20))
    def add(self, day: int, hour: int) -> None:
        self.events.insert(self.calendar, self.times(day, hour))

    @rule(day=st.integers(0, 40), interval=st.integers(1, 9), count=st.integers(1, 8))
    def add_series(self, day: int, interval: int, count: int) -> None:
        body = self.times(day, 9)
        span = {"type": "numbered", "numberOfOccurrences": count, "startDate": body["start"]["dateTime"][:10]}
        recurrence = {"pattern": {"type": "daily", "interval": interval}, "range": span}
        self.events.insert(self.calendar, body | {"recurrence": recurrence})

    def pick(self, number: int, *, occurrences: bool) -> str | None:
        found = (
            self.events.view(self.calendar, self.first, self.last)
            if occurrences
            else list(self.events.listed(self.calendar))
        )
        return ids.shown(found[number % len(found)].id) if found else None

    @rule(
        number=st.integers(0, 50), day=st.integers(0, 70), hour=st.integers(6, 20), occurrences=st.booleans()
    )
    def move(self, number: int, day: int, hour: int, occurrences: bool) -> None:
        if chosen := self.pick(number, occurrences=occurrences):
            try:
                self.events.patch(self.mailbox.email, chosen, self.times(day, hour))
            except GraphError as error:
                if error.code != "ErrorOccurrenceCrossingBoundary":
                    raise

    @rule(number=st.integers(0, 50), hour=st.integers(6, 20))
    def move_occurrence_within_its_day(self, number: int, hour: int) -> None:
        if chosen := self.pick(number, occurrences=True):
            start = self.events.get(self.mailbox.email, chosen).body["start"]["dateTime"][:10]
            sides = {"start": at(start, f"{hour:02}:00"), "end": at(start, f"{hour + 1:02}:00")}
            self.events.patch(self.mailbox.email, chosen, sides)

    @rule(number=st.integers(0, 50), occurrences=st.booleans())
    def rename(self, number: int, occurrences: bool) -> None:
        if chosen := self.pick(number, occurrences=occurrences):
            subject = f"Name {self.store.sequence()}"
            self.events.patch(self.mailbox.email, chosen, {"subject": subject})

    @rule(number=st.integers(0, 50), occurrences=st.booleans())
    def delete(self, number: int, occurrences: bool) -> None:
        if chosen := self.pick(number, occurrences=occurrences):
            self.events.delete(self.mailbox.email, chosen)

    @rule(number=st.integers(0, 50))
    def end_repetition(self, number: int) -> None:
        chosen = self.pick(number, occurrences=False)
        if chosen and self.events.get(self.mailbox.email, chosen).kind == "master":
            self.events.patch(self.mailbox.email, chosen, {"recurrence": None})

    @rule()
    def synchronise(self) -> None:
        state = (
            self.delta.resume(self.calendar, self.token, finished=True)
            if self.token
            else self.delta.begin(self.calendar, self.first, self.last)
        )
        while True:
            page, state = self.delta.page(self.calendar, state, self.size, Wishes(), self.show)
            for item in page["value"]:
                if "seriesMasterId" not in item or not item["seriesMasterId"]:
                    of_it = [name for name, one in self.held.items() if one["seriesMasterId"] == item["id"]]
                    for name in (item["id"], *of_it):
                        self.held.pop(name, None)
                if "@removed" not in item:
                    self.held[item["id"]] = item
            if state.after == state.until:
                break
            state = self.delta.resume(self.calendar, self.delta.token(state), finished=False)
        self.token = self.delta.token(state)
        shown = {
            ids.shown(event.id): self.show(event)
            for event in self.events.view(self.calendar, self.first, self.last)
        }
        held = {name: item for name, item in self.held.items() if item["type"] != "seriesMaster"}
        assert {name: (item["type"], item["start"], item["end"]) for name, item in held.items()} == {
            name: (item["type"], item["start"], item["end"]) for name, item in shown.items()
        }
        for name, item in shown.items():
            source = self.held[held[name]["seriesMasterId"]] if item["type"] == "occurrence" else held[name]
            assert source["subject"] == item["subject"]

    @invariant()
    def change_keys_are_unique_per_item(self) -> None:
        if hasattr(self, "events"):
            listed = [event.change_key for event in self.events.listed(self.calendar)]
            assert len(listed) == len(set(listed))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.synchronise()
            self.store.close()


TestMirror = Mirror.TestCase
TestMirror.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
