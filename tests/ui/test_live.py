"""What open pages are sent when their workspace changes: each once, what it may see, and never the older last."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from calendar_app.services.common.change_events import EVERYWHERE, Change
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.ui.following import Delta, Following, Page

HERE = "w1"
EVENTS = Change(HERE, "events")


def actor(person: str, role: Role = Role.MANAGER) -> Actor:
    return Actor(person, HERE, role, f"{person}@example.com", person.title(), "Europe/Berlin")


@dataclass
class Source:
    """Stands for the database: ``value`` is what there is to see, ``reads`` who has looked."""

    value: int = 0
    reads: list[Actor] = field(default_factory=list)
    gate: threading.Event | None = None
    entered: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Seen:
    """A view that shows the source's value; ``kind`` tells one view from another."""

    source: Source = field(hash=False, compare=False)
    kind: str = "week"

    def concerns(self, viewer: Actor, change: Change) -> bool:
        return change.topic == "events" and change.person in ("", viewer.person_id)

    def delta(self, viewer: Actor) -> Delta:
        self.source.reads.append(viewer)
        value = self.source.value
        self.source.entered.set()
        if self.source.gate is not None and not self.source.gate.wait(10):
            raise AssertionError("the gate stays closed")
        if value < 0:
            raise RuntimeError("the database is away")
        return {"page": {"value": value}}


class Wire:
    """Sockets that note what was sent to whom."""

    def __init__(self, *sids: str) -> None:
        self.open = set(sids)
        self.sent: list[tuple[Delta, list[str]]] = []

    def is_open(self, sid: str) -> bool:
        return sid in self.open

    async def send(self, delta: Delta, sids: list[str]) -> None:
        self.sent.append((delta, sids))

    def to(self, sid: str) -> list[Delta]:
        return [delta for delta, sids in self.sent if sid in sids]


def everybody(*actors: Actor) -> Callable[[str, Collection[str]], dict[str, Actor]]:
    """Sessions that are called after their people."""
    known = {one.person_id: one for one in actors}

    def find(workspace: str, sessions: Collection[str]) -> dict[str, Actor]:
        return {session: known[session] for session in sessions if session in known and workspace == HERE}

    return find


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 20))


def test_what_equal_pages_show_is_read_once() -> None:
    """Two hundred managers' dashboards are one read and one sending, which names them all."""
    people = [actor(f"p{number}") for number in range(200)]
    wire, source = Wire(*(one.person_id for one in people)), Source(7)
    following = Following(wire, everybody(*people), "live")

    async def work() -> None:
        for one in people:
            following.follow(one.person_id, Page(one.person_id, HERE, Seen(source)))
        following.changed(EVENTS)
        await following.settled()

    run(work)
    assert len(source.reads) == 1
    ((delta, sids),) = wire.sent
    assert sorted(sids) == sorted(wire.open)
    assert delta == {"page": {"value": 7}, "live": {"told": 2, "shown": 2}}


def test_everybody_sees_with_their_own_rights() -> None:
    """Managers share a read that knows none of them, staff get their own, and whose session ended is only told."""
    staff, boss, owner = actor("s", Role.STAFF), actor("m"), actor("o", Role.OWNER)
    wire, source = Wire("s", "m", "o", "gone"), Source(1)
    following = Following(wire, everybody(staff, boss, owner), "live")

    async def work() -> None:
        for sid in sorted(wire.open):
            following.follow(sid, Page(sid, HERE, Seen(source)))
        following.changed(EVENTS)
        await following.settled()

    run(work)
    assert sorted((one.person_id, one.role) for one in source.reads) == [
        ("", Role.MANAGER),
        ("s", Role.STAFF),
    ]
    assert next(sids for _, sids in wire.sent if "m" in sids) == ["m", "o"]
    assert wire.to("gone") == [{"live": {"told": 2}}]


def test_a_page_is_told_of_what_it_shows() -> None:
    """A change that does not concern a view is not read for it; a page without a view, or one that may have missed
    something, always hears."""
    boss = actor("m")
    wire, source = Wire("m", "plain"), Source(1)
    following = Following(wire, everybody(boss), "live")

    async def work() -> None:
        following.follow("m", Page("m", HERE, Seen(source)))
        following.follow("plain", Page("m", HERE))
        following.changed(Change(HERE, "bookings"))
        following.changed(Change(HERE, "events", "somebody else"))
        following.changed(Change("elsewhere", "events"))
        await following.settled()
        assert (wire.to("m"), wire.to("plain")) == ([], [{"live": {"told": 3}}])
        following.changed(Change(EVERYWHERE, EVERYWHERE))
        await following.settled()

    run(work)
    assert wire.to("m") == [{"page": {"value": 1}, "live": {"told": 4, "shown": 4}}]


def test_a_burst_is_sent_together() -> None:
    """However many changes come while one is being read, they make one more read, which is the newest."""
    wire, source = Wire("m"), Source(gate=threading.Event())
    following = Following(wire, everybody(actor("m")), "live")

    async def work() -> None:
        assert source.gate is not None
        following.follow("m", Page("m", HERE, Seen(source)))
        following.changed(EVENTS)
        await asyncio.to_thread(source.entered.wait, 10)
        for number in range(250):
            source.value = number
            following.changed(EVENTS)
        source.gate.set()
        await following.settled()

    run(work)
    assert len(source.reads) == 2
    assert [delta["page"]["value"] for delta in wire.to("m")] == [0, 249]


def test_who_moved_on_is_not_sent_what_they_showed() -> None:
    """A page that shows another week by the time a read ends has read that itself; the old one is not sent to it."""
    wire, source = Wire("m"), Source(gate=threading.Event())
    following = Following(wire, everybody(actor("m")), "live")

    async def work() -> None:
        assert source.gate is not None
        following.follow("m", Page("m", HERE, Seen(source)))
        following.changed(EVENTS)
        await asyncio.to_thread(source.entered.wait, 10)
        assert following.follow("m", Page("m", HERE, Seen(source, "next week"))) == 2
        source.gate.set()
        await following.settled()

    run(work)
    assert wire.sent == []


def test_a_failed_read_is_left_to_the_pages() -> None:
    """When a view cannot be read, its pages are told that there is something newer."""
    wire, source = Wire("m"), Source(-1)
    following = Following(wire, everybody(actor("m")), "live")

    async def work() -> None:
        following.follow("m", Page("m", HERE, Seen(source)))
        following.changed(EVENTS)
        await following.settled()

    run(work)
    assert wire.sent == [({"live": {"told": 2}}, ["m"])]


def test_closed_pages_leave_nothing_behind() -> None:
    """Two hundred pages that opened and closed, in workspaces that change and in others, are forgotten."""
    wire, source = Wire(), Source()
    following = Following(wire, everybody(actor("m")), "live")
    empty = {name: len(value) for name, value in vars(following).items() if isinstance(value, dict)}

    async def work() -> None:
        for number in range(200):
            sid = f"socket{number}"
            wire.open.add(sid)
            following.follow(sid, Page("m", HERE if number % 2 else f"w{number}", Seen(source)))
            following.changed(EVENTS)
            wire.open.discard(sid)
        await following.settled()
        wire.open.add("still")
        following.follow("still", Page("m", HERE, Seen(source)))
        assert following.prune() == 1
        wire.open.clear()
        assert following.prune() == 0

    run(work)
    assert {name: len(value) for name, value in vars(following).items() if isinstance(value, dict)} == empty


class Tab:
    """A browser's tab, as ``Lifecycle`` in ``browser.js`` behaves, with answers that may be late."""

    def __init__(self, following: Following, wire: Wire, source: Source) -> None:
        self.following, self.wire, self.source = following, wire, source
        self.told = self.shown = self.asked = 0
        self.value = -1
        self.answers: list[Delta] = []
        self.sockets = 0
        self.taken = 0
        self.connect()

    def connect(self) -> None:
        """A new socket: answers on the old one are lost, `told` starts again, and the page reads."""
        self.wire.open = {f"s{self.sockets}"}
        self.sockets += 1
        self.sid = f"s{self.sockets - 1}"
        self.told = self.asked = 0
        self.answers.clear()
        self.taken = len(self.wire.sent)
        self.read()

    def read(self) -> None:
        """The server reads; its answer is on its way."""
        shown = self.following.follow(self.sid, Page("m", HERE, Seen(self.source)))
        self.answers.append({"page": {"value": self.source.value}, "live": {"shown": shown}})

    def answered(self) -> None:
        if self.answers:
            self.take(self.answers.pop(0))

    def pushed(self) -> None:
        for delta, sids in self.wire.sent[self.taken :]:
            if self.sid in sids:
                self.take(delta)
        self.taken = len(self.wire.sent)

    def take(self, delta: Delta) -> None:
        self.value = delta.get("page", {}).get("value", self.value)
        self.told = delta["live"].get("told", self.told)
        self.shown = delta["live"].get("shown", self.shown)
        if self.shown and self.told > self.shown >= self.asked:
            self.asked = self.told
            self.read()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(("change", "tick", "answered", "pushed", "settle", "reconnect", "read"))))
def test_no_page_is_left_at_the_older_of_two_changes(steps: list[str]) -> None:
    """However changes, readings, late answers, pushes and lost sockets mingle, a page ends at the newest."""
    wire, source = Wire(), Source()
    following = Following(wire, everybody(actor("m")), "live")

    async def work() -> None:
        tab = Tab(following, wire, source)
        for step in steps:
            if step == "change":
                source.value += 1
                following.changed(EVENTS)
            elif step == "tick":
                await asyncio.sleep(0)
            elif step == "settle":
                await following.settled()
            else:
                {"answered": tab.answered, "pushed": tab.pushed, "read": tab.read, "reconnect": tab.connect}[
                    step
                ]()
        await following.settled()
        tab.pushed()
        while tab.answers:
            tab.answered()
        assert tab.value == source.value

    run(work)
