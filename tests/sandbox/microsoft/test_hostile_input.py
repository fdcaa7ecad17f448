"""Whatever a client sends, the stand-in answers in Graph's shape and never breaks."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from calendar_app.sandbox.microsoft.error import GraphError
from calendar_app.sandbox.microsoft.event import _WRITABLE, bounds, merged, writable
from calendar_app.sandbox.microsoft.odata import Options
from calendar_app.sandbox.microsoft.recurrence import completed
from calendar_app.sandbox.microsoft.zones import query_instant
from tests.sandbox.microsoft.client import Json, Microsoft, at, meeting, weekly

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(
        ["2026-11-20", "2026-11-20T09:00:00", "UTC", "weekly", "monday", "noEnd", "9999-12-31T23:00:00"]
    )
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PATTERN = "type interval month dayOfMonth daysOfWeek index firstDayOfWeek"
RANGE = "type startDate endDate numberOfOccurrences recurrenceTimeZone"
PARTS = f"dateTime timeZone pattern range id value {PATTERN} {RANGE}"
WORDS = (
    "subject eq and or not ( ) 'x' 1 null startswith any categories/any c:c , start/dateTime ge '2026-11-20' : é "
    "2026-11-20T00:00:00Z singleValueExtendedProperties/Any isAllDay"
)
ENDS_OF_TIME = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-20 00:00"]


def filled(names: str) -> st.SearchStrategy[Json]:
    """Objects with some of these fields, and anything in them."""
    return st.dictionaries(st.sampled_from(names.split()), ANYTHING, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([*_WRITABLE, "title", "id"]), ANYTHING | filled(PARTS), max_size=4))
def test_any_event_body_is_taken_or_refused(change: Json) -> None:
    """Nothing but a GraphError comes out of a body that makes no sense."""
    with contextlib.suppress(GraphError):
        bounds(merged(None, writable(meeting() | change)), "Europe/Berlin")


@settings(max_examples=60, deadline=None)
@given(filled(PATTERN), filled(RANGE))
def test_any_recurrence_is_taken_or_refused(pattern: Json, span: Json) -> None:
    """Every field of a pattern and a range, with anything in it."""
    sane = weekly("2026-11-20")
    with contextlib.suppress(GraphError):
        recurrence = {"pattern": sane["pattern"] | pattern, "range": sane["range"] | span}
        completed(recurrence, datetime.fromisoformat("2026-11-20T09:00"), "UTC")
        bounds(merged(None, writable(meeting(recurrence=recurrence))), "Europe/Berlin")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS.split()), max_size=8).map(" ".join) | st.text(max_size=20),
    st.text(max_size=10),
)
def test_any_filter_is_taken_or_refused(text: str, other: str) -> None:
    """And so is any order, selection and expansion."""
    item = {"subject": "x", "isAllDay": False, "start": at("2026-11-20"), "categories": ["x"]}
    item["singleValueExtendedProperties"] = []
    for name in ("filter", "orderby", "select", "expand", "top", "count"):
        for value in (text, other):
            options = Options({name: value}, frozenset({"subject"}))
            with contextlib.suppress(GraphError):
                (
                    options.number("top", 10),
                    options.counts(),
                    options.select(),
                    options.order(),
                    options.expanded(),
                )
                test = options.filter()
                if test is not None:
                    test(item)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30) | st.sampled_from(ENDS_OF_TIME))
def test_any_moment_is_read_or_refused(text: str) -> None:
    """At the ends of time too."""
    with contextlib.suppress(GraphError):
        query_instant(text, "startDateTime")


def test_odd_requests_over_http(microsoft: Microsoft, graph: httpx.Client) -> None:
    """Bodies, queries, ids, headers: each is answered below 500."""
    odd: list[tuple[str, str, Any]] = [
        ("POST", "me/events", {"start": at("9999-12-31", "23:00"), "end": at("9999-12-31", "23:30")}),
        ("POST", "me/events", {"start": at("0001-01-01"), "end": at("0001-01-01", "01:00")}),
        ("POST", "me/events", meeting(subject="\x00<script>\r\nX: y")),
        ("POST", "me/events", meeting(recurrence=weekly("2026-11-20", type="endDate", endDate="9999-12-31"))),
        ("POST", "me/calendar/getSchedule", {"schedules": [1], "startTime": 1, "endTime": []}),
        ("POST", "me/calendars", {"name": 5}),
        ("POST", "me/calendars", []),
        ("POST", "subscriptions", []),
        ("POST", "subscriptions", {"changeType": "created", "notificationUrl": "http://[", "resource": "x"}),
        ("PATCH", "subscriptions/x", None),
        ("GET", "me/events/AAMkAGVmMDEzMTM4LTZmYWUtNDdkNC1hMDZiLTU1OGY5OTZhYmY4OABG", None),
        ("GET", "me/events/AAMkAGVmMDEzMTM4LTZmYWUtNDdkNC1hMDZiLTU1OGY5OTZhYmY4OABGw6k=", None),
        ("GET", "me/calendarView?startDateTime=0001-01-01T00:00:00Z&endDateTime=0001-02-01T00:00:00Z", None),
        ("GET", "me/calendarView?startDateTime=9999-12-01T00:00:00Z&endDateTime=9999-12-31T00:00:00Z", None),
        ("GET", "me/calendarView/delta?$deltatoken=%00", None),
        ("GET", "me/calendarView/delta?$skiptoken=" + "A" * 4000, None),
        ("PUT", "me/events", {}),
    ]
    for method, path, body in odd:
        answer = graph.request(method, path, json=body) if body is not None else graph.request(method, path)
        assert answer.status_code < 500, (method, path, answer.text)
    for prefer in (
        'outlook.timezone=""',
        "odata.maxpagesize=999999999999",
        '"',
        "IdType",
        'outlook.timezone="../x"',
    ):
        answer = graph.get("me/events", headers={"Prefer": prefer})
        assert answer.status_code < 500, prefer
