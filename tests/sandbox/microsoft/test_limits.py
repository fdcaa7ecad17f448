"""More than four calls of one mailbox at once are too many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.sandbox.microsoft.client import Microsoft, at, ok, refused


def test_four_calls_of_a_mailbox_go_in_at_once(microsoft: Microsoft) -> None:
    """The fifth answers 429 with Retry-After; other mailboxes do not notice; later all is well."""
    graph = microsoft.graph()
    other = microsoft.graph(microsoft.tokens(email="other@example.net", scope="User.Read")["access_token"])
    microsoft.stand_in.api.gate.latency = 0.3

    def call(client: httpx.Client) -> httpx.Response:
        return client.get("me")

    with ThreadPoolExecutor(8) as pool:
        mine = [pool.submit(call, graph) for _ in range(6)]
        theirs = pool.submit(call, other)
        answers = [future.result() for future in mine]
        ok(theirs.result())
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 429, 429]
    late = next(answer for answer in answers if answer.status_code == 429)
    assert "MailboxConcurrency" in refused(late, 429, "ApplicationThrottled")
    assert int(late.headers["retry-after"]) >= 1
    microsoft.stand_in.api.gate.latency = 0.0
    ok(graph.get("me"))


def test_four_threads_are_never_too_many(microsoft: Microsoft) -> None:
    """A client that keeps to four is never told off."""
    graph = microsoft.graph()
    microsoft.stand_in.api.gate.latency = 0.01
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _number: graph.get("me").status_code, range(40)))
    assert set(answers) == {200}


def test_refused_calls_do_not_stay_inside(microsoft: Microsoft) -> None:
    """A 404 leaves the gate as an answer does."""
    graph = microsoft.graph()
    for _ in range(10):
        refused(graph.get("me/events/nonsense"), 400, "ErrorInvalidIdMalformed")
    ok(graph.get("me"))


def test_subscriptions_may_want_the_permission_to_read(microsoft: Microsoft) -> None:
    """With the rule on, Calendars.ReadWrite alone does not do."""
    microsoft.stand_in.rules.switch("read_scope", on=True)
    body = {"changeType": "updated", "notificationUrl": "https://a.example", "resource": "me/events"}
    refused(microsoft.graph().post("subscriptions", json=body), 403, "ErrorAccessDenied")
    token = microsoft.tokens(scope="User.Read Calendars.ReadWrite Calendars.Read")["access_token"]
    refused(microsoft.graph(token).post("subscriptions", json=body), 400, "InvalidRequest")


def test_what_personal_accounts_lack(microsoft: Microsoft) -> None:
    """No getSchedule, no Teams, no delta of a single calendar; the default calendar's delta is there."""
    microsoft.stand_in.rules.switch("personal", on=True)
    graph = microsoft.graph(microsoft.tokens(email="ada@outlook.com")["access_token"])
    (calendar,) = ok(graph.get("me/calendars"))["value"]
    assert calendar["allowedOnlineMeetingProviders"] == []
    window = {"startDateTime": "2026-11-01T00:00:00Z", "endDateTime": "2026-12-01T00:00:00Z"}
    path = f"me/calendars/{calendar['id']}/calendarView/delta"
    refused(graph.get(path, params=window), 400, "BadRequest")
    assert "@odata.deltaLink" in ok(graph.get("me/calendarView/delta", params=window))
    asked = {
        "schedules": ["ada@outlook.com"],
        "startTime": at("2026-11-20"),
        "endTime": at("2026-11-21"),
    }
    refused(graph.post("me/calendar/getSchedule", json=asked), 403, "ErrorAccessDenied")
