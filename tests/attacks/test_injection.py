"""Text that would like to be something else, over real HTTP: line breaks, markup, formulas, header lines.

It goes in by the public form and by the owner's settings and comes out as text: in the calendar file of a booking, in a
feed, in letters as an SMTP server gets them, and in the provider's event. There is no CSV, where a formula would count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from icalendar import Calendar as ICalendar
from redis import Redis
from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import Mail
from calendar_app.domain.event import BOOKING_MARK
from calendar_app.services.booking_emails.writer import BookingWriter
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.settings import Settings
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.long_form import LONG
from tests.support.mail_server import mail_server
from tests.support.scheduling import ZONE, Place, bearer, bookable, carry_out

pytestmark = pytest.mark.timeout(120)

QUESTION = [{"id": "q", "label": "Why?", "type": "textarea"}]
TEXTS = [
    "Eve\r\nBcc: everybody@example.net",
    "Eve\nATTENDEE:mailto:everybody@example.net",
    "Eve\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:evil\r\nSUMMARY:evil",
    "<script>document.title='evil'</script><img src=x onerror=alert(1)>",
    "=cmd|'/C calc'!A0",
    "+1+cmd()",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    '"; ORGANIZER=mailto:evil@example.net,\\n',
    "=?utf-8?q?=0D=0ABcc=3A_eve=40example.net?=",
    "\u202egnp.exe\u2028Bcc: x@example.net\x85x",
    "{{7*7}} ${7*7} %0d%0aBcc:x",
]


@pytest.fixture
def fake(database: Database, redis_server: Redis) -> Iterator[FakeProvider]:
    if database.kind == "postgresql" and not LONG:
        pytest.skip("on SQLite alone, but in the long form")
    with FakeProvider().installed() as provider:
        yield provider


def _file(answer: httpx.Response, events: int) -> None:
    """A calendar of so many events, each of which is nobody's but ours, served as nothing else."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/calendar")
    assert "\n" not in answer.headers.get("content-disposition", "")
    found = [part for part in ICalendar.from_ical(answer.content).walk() if part.name == "VEVENT"]
    assert len(found) == events
    for event in found:
        assert str(event["UID"]) != "evil"
        people = [str(one) for one in _list(event.get("ATTENDEE")) + _list(event.get("ORGANIZER"))]
        assert not [one for one in people if "everybody" in one or "evil@" in one], people
        assert "BCC" not in event
    for line in answer.content.replace(b"\r\n ", b"").split(b"\r\n"):
        assert b"\n" not in line
        assert b"\r" not in line


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _book(api: httpx.Client, place: Place, number: int, name: str, text: str) -> dict[str, Any] | None:
    body = {
        "event_type_id": place.event_type.id,
        "start": place.at(9 + number % 8, days=number // 8).isoformat(),
        "timezone": ZONE,
        "name": name,
        "email": "grace@example.org",
        "answers": {"q": text},
    }
    answer = api.post("/api/v1/bookings", json=body)
    assert answer.status_code in (201, 422), answer.text
    assert answer.headers["content-type"].split(";")[0] in ("application/json", "application/problem+json")
    return dict(answer.json()) if answer.status_code == 201 else None


def test_text_stays_text(
    api: httpx.Client,
    fake: FakeProvider,
    configure: Callable[..., Settings],
    record_property: Callable[[str, object], None],
) -> None:
    """As name and as answer of a visitor, and as title and place of the owner."""
    place = bookable(fake, questions=QUESTION)
    me = bearer(place.people[0])
    made: list[dict[str, Any]] = []
    for number, text in enumerate(TEXTS):
        path = f"/api/v1/event-types/{place.event_type.id}"
        changed = api.patch(path, json={"title": text[:100], "location": text[:100]}, headers=me)
        assert changed.status_code in (200, 422), changed.text
        booked = _book(api, place, number, text[:60], text) or _book(api, place, number, "Grace", text)
        if booked is None:
            continue  # refused with a sentence, as control characters are
        made.append(booked)
        token = {"token": booked["manage_url"].rsplit("/", 1)[-1]}
        for reader in ({"params": token}, {"headers": me}):
            _file(api.get(f"/api/v1/bookings/{booked['id']}.ics", **reader), 1)  # type: ignore[arg-type]
    assert len(made) > len(TEXTS) / 2
    feed = api.post("/api/v1/feeds", headers=me)
    assert feed.status_code == 201, feed.text
    url = httpx.URL(feed.json()["feed"]["url"])
    _file(api.get(url.path), len(made))
    carry_out()
    _events(fake, place, made)
    _letters(configure)
    record_property("count", f"{len(TEXTS)} texts in {len(made)} bookings: files, a feed, events and letters")


def _events(fake: FakeProvider, place: Place, made: list[dict[str, Any]]) -> None:
    standing = [one for one in fake.standing(place.calendars[0].remote_id) if BOOKING_MARK in one.private]
    assert {one.private[BOOKING_MARK] for one in standing} == {one["id"] for one in made}
    for one in standing:
        assert {person.email for person in one.attendees} <= {"grace@example.org", place.people[0].email}


def _letters(configure: Callable[..., Settings]) -> None:
    with mail_server() as server:
        configure(SMTP_URL=server.url)
        with reading() as session:
            rows = list(session.exec(select(Mail).where(col(Mail.state).in_(mail_outbox.WAITING))))
        for row in rows:
            mail_outbox.deliver(row.id, BookingWriter())
        assert server.received
        for got in server.received:
            assert got.message["Bcc"] is None
            assert len(got.recipients) == 1
            assert all("\n" not in str(value) and "\r" not in str(value) for value in got.message.values())
            assert not [
                part
                for part in got.message.walk()
                if part.get_content_type() == "text/html" and "<script" in part.get_content()
            ]


def test_nothing_is_offered_as_csv(api: httpx.Client) -> None:
    """A spreadsheet has nothing to open: no answer of the API is a table of text."""
    document = api.get("/api/v1/openapi.json").json()
    kinds = {
        kind
        for path in document["paths"].values()
        for operation in path.values()
        for answer in operation.get("responses", {}).values()
        for kind in answer.get("content", {})
    }
    assert not {kind for kind in kinds if "csv" in kind or "excel" in kind or "sheet" in kind}
