"""Feeds and calendar files over HTTP: conditional requests, who may ask, uploads and their limits."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from tests.services.calendar_sync.test_ics_import import ics, vevent
from tests.support.databases import Database
from tests.support.people import problem, user

FEEDS, IMPORT = "/api/v1/feeds", "/api/v1/calendars/import"


def test_a_feed_is_read_without_signing_in_and_only_if_it_changed(
    api: httpx.Client, database: Database
) -> None:
    """The address alone opens it; entity tag and date answer 304; caches of others may not keep it."""
    ada = user()
    problem(api.get(FEEDS), 401, "not_signed_in")
    assert api.get(FEEDS, headers=ada.bearer).json() == {"feed": None}
    made = api.post(FEEDS, headers=ada.bearer)
    assert made.status_code == 201
    feed = made.json()["feed"]
    assert api.get(FEEDS, headers=ada.bearer).json()["feed"] == feed
    path = urlsplit(feed["url"]).path
    answer = api.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["cache-control"].startswith("private")
    assert answer.text.startswith("BEGIN:VCALENDAR\r\n")
    etag, modified = answer.headers["etag"], answer.headers["last-modified"]
    for known in ({"If-None-Match": f'"other", {etag}'}, {"If-Modified-Since": modified}):
        unchanged = api.get(path, headers=known)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == etag
    assert (
        api.get(path, headers={"If-None-Match": '"other"', "If-Modified-Since": modified}).status_code == 200
    )
    assert api.get(path, headers={"If-Modified-Since": "yesterday"}).status_code == 200
    head = api.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    assert api.delete(FEEDS, headers=ada.bearer).status_code == 204
    problem(api.get(path), 404, "not_found")


def test_a_file_is_uploaded_replaced_and_deleted(api: httpx.Client, database: Database) -> None:
    """The answer names the calendar and what was left out; strangers find nothing; deleting ends it."""
    ada, eve = user(), user("eve@example.com")
    broken = "BEGIN:VEVENT\nUID:x\nSUMMARY:No start\nEND:VEVENT"
    files = {"file": ("holidays.ics", ics(vevent("a"), broken, head="PRODID:x"), "text/calendar")}
    problem(api.post(IMPORT, files=files), 401, "not_signed_in")
    made = api.post(IMPORT, files=files, headers=ada.bearer)
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["imported"], body["skipped_count"]) == (1, 1)
    assert body["skipped"][0]["summary"] == "No start"
    assert body["skipped"][0]["line"] == 9
    calendar = body["calendar"]
    assert (calendar["name"], calendar["provider"]) == ("holidays", "file")
    where = {"calendar_id": calendar["id"]}
    problem(api.post(IMPORT, files=files, params=where, headers=eve.bearer), 404, "not_found")
    again = api.post(IMPORT, files=files, data={"name": "Off"}, params=where, headers=ada.bearer).json()
    assert (again["calendar"]["id"], again["calendar"]["name"]) == (calendar["id"], "Off")
    path = f"/api/v1/calendars/{calendar['id']}"
    problem(api.delete(path, headers=eve.bearer), 404, "not_found")
    assert api.delete(path, headers=ada.bearer).status_code == 204
    problem(api.delete(path, headers=ada.bearer), 404, "not_found")


def test_what_is_no_calendar_or_too_large_is_refused(api: httpx.Client, database: Database) -> None:
    """A web page is named as none; more than the limit is refused before it is read."""
    ada = user()
    page = {"file": ("x.ics", b"<html>", "text/calendar")}
    problem(api.post(IMPORT, files=page, headers=ada.bearer), 422, "not_a_calendar")
    long = {"file": ("x.ics", b"x" * (10 * 2**20 + 1), "text/calendar")}
    problem(api.post(IMPORT, files=long, headers=ada.bearer), 422, "calendar_too_large")
    huge = {"file": ("x.ics", b"x" * (12 * 2**20), "text/calendar")}
    problem(api.post(IMPORT, files=huge, headers=ada.bearer), 413, "too_large")
    problem(api.post("/api/v1/auth/token", content=b"x" * 2_000_000), 413, "too_large")


def test_a_link_that_may_not_be_called_is_refused(api: httpx.Client, database: Database) -> None:
    """Private addresses, other schemes and nonsense end in a sentence, and nothing is connected."""
    ada = user()
    for url in (
        "http://169.254.169.254/x.ics",
        "webcal://127.0.0.1/x.ics",
        "file:///etc/passwd",
        "::",
        "https://[::1]/",
    ):
        answer = api.post("/api/v1/connections/ics", json={"url": url}, headers=ada.bearer)
        problem(answer, 422, "address_refused")
    assert api.get("/api/v1/connections", headers=ada.bearer).json()["items"] == []
