"""Webhooks that nobody sent but an attacker, for every provider that pushes: no work is done, nothing is told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from redis import Redis

from calendar_app.db.tables import Channel
from calendar_app.providers import registry
from calendar_app.providers.base import Capability
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bookable

SCRIPT = "<script>alert(1)</script>"
PROVIDERS = [kind.key for kind in registry.kinds() if Capability.PUSH in kind.capabilities]


@pytest.fixture
def place(database: Database, redis_server: Redis) -> Iterator[Place]:
    with FakeProvider().installed() as fake:
        yield bookable(fake)


def _forgeries(provider: str) -> list[tuple[dict[str, str], dict[str, str], bytes]]:
    """Headers, query and body of messages that look like the provider's own."""
    channel = {"X-Goog-Channel-ID": "made-up", "X-Goog-Channel-Token": "guess", "X-Goog-Message-Number": "1"}
    change = {"subscriptionId": "made-up", "clientState": "guess", "changeType": "updated", "resource": "x"}
    graph = json.dumps({"value": [change]}).encode()
    calendly = json.dumps({"event": "invitee.created", "payload": {"uri": "x"}, "created_by": "x"}).encode()
    signed = {"Calendly-Webhook-Signature": "t=1,v1=" + "0" * 64}
    anything: list[tuple[dict[str, str], dict[str, str], bytes]] = [
        ({}, {}, b""),
        ({}, {}, b"{"),
        ({}, {}, b"[]"),
        ({}, {}, b'{"value": 7}'),
        ({}, {}, b'{"value": [null, 1, {"subscriptionId": {}}]}'),
        ({}, {}, b"\x00\xff" * 50),
        (channel, {}, b""),
        (channel | {"X-Goog-Channel-ID": "x" * 5_000}, {}, b""),
        ({"Content-Type": "application/json"}, {}, graph),
        (signed, {}, calendly),
        ({"Calendly-Webhook-Signature": "nonsense"}, {}, calendly),
        ({"Calendly-Webhook-Signature": "t=x,v1="}, {"channel": "made-up"}, calendly),
    ]
    assert provider
    return anything


@pytest.mark.parametrize("provider", PROVIDERS)
def test_forged_messages_do_nothing(
    api: httpx.Client, place: Place, redis_server: Redis, provider: str, record_property: object
) -> None:
    """A 4xx or an empty thanks; no job, no error of ours, nothing of theirs comes back."""
    for headers, query, body in _forgeries(provider):
        answer = api.post(f"/api/v1/hooks/{provider}", headers=headers, params=query, content=body)
        assert answer.status_code < 500, (headers, body, answer.text)
        assert "made-up" not in answer.text
    queued = {key: redis_server.llen(key) for key in redis_server.scan_iter("rq:queue:*")}
    assert not any(queued.values()), queued


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_known_channel_with_the_wrong_secret(
    api: httpx.Client, place: Place, redis_server: Redis, provider: str
) -> None:
    """The channel's id is not enough."""
    from datetime import UTC, datetime, timedelta

    factories.save(
        Channel(
            calendar_id=place.calendars[0].id,
            connection_id=place.calendars[0].connection_id,
            provider=provider,
            channel_id="known",
            resource_id="r",
            secret="the-real-secret",
            expires_at=datetime.now(UTC) + timedelta(days=1),
        )
    )
    for headers, query, body in _forgeries(provider):
        named = {name: value.replace("made-up", "known") for name, value in headers.items()}
        asked = {name: value.replace("made-up", "known") for name, value in query.items()}
        path = f"/api/v1/hooks/{provider}"
        answer = api.post(path, headers=named, params=asked, content=body.replace(b"made-up", b"known"))
        assert answer.status_code < 500
        assert "the-real-secret" not in answer.text
    assert not any(redis_server.llen(key) for key in redis_server.scan_iter("rq:queue:*"))


@pytest.mark.parametrize("provider", [*PROVIDERS, "nobody", "..%2f..", "google%00"])
def test_validation_tokens_are_never_markup(api: httpx.Client, place: Place, provider: str) -> None:
    """Microsoft's handshake echoes a token: as plain text, of bounded length, or not at all."""
    for token in (SCRIPT, "x" * 20_000, "a\r\nSet-Cookie: x=1"):
        answer = api.post(f"/api/v1/hooks/{provider}", params={"validationToken": token})
        assert answer.status_code < 500
        assert "set-cookie" not in answer.headers
        if SCRIPT in answer.text:
            assert answer.headers["content-type"].startswith("text/plain")
            assert answer.headers.get("x-content-type-options") == "nosniff"
