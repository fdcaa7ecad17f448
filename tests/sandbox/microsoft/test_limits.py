"""More than four calls of one mailbox at once are too many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.sandbox.microsoft.client import Microsoft, ok, refused


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
