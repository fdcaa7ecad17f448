"""Webhook subscriptions of the stand-in, and the signed delivery of what happened.

Source: https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures: the header is
``t=<epoch seconds>,v1=<hex HMAC-SHA256 of "t.body">``. Deliveries that fail are tried again; a subscription whose
deliveries fail for a day is disabled. Calendly demands ``https``; here plain ``http`` to loopback is allowed too.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import orjson

from calendar_app.sandbox.calendly.bookings import API, Account, Bookings, stamp, uuid_of
from calendar_app.sandbox.calendly.error import already_exists, denied, invalid, not_found
from calendar_app.sandbox.calendly.rules import APP_SIGNED, NO_WEBHOOKS
from calendar_app.sandbox.environment import CALENDLY_WEBHOOK_KEY
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]
Deliver = Callable[[str, dict[str, str], bytes], Awaitable[int]]
"""Sends one notification (address, headers, body) and answers the receiver's HTTP status."""

RETRY_AFTER_S = (0.2, 1.0, 3.0, 10.0)
DISABLED_AFTER = timedelta(hours=24)
EVENTS = frozenset(("invitee.created", "invitee.canceled", "routing_form_submission.created"))

_log = logging.getLogger(__name__)


def signature(key: str, moment: int, body: bytes) -> str:
    """The value of ``Calendly-Webhook-Signature``."""
    digest = hmac.new(key.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


class HttpDelivery:
    """Sends notifications over HTTP; one client for the life of the process."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, address: str, headers: dict[str, str], body: bytes) -> int:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(15, connect=10), trust_env=False)
        return (await self._client.post(address, headers=headers, content=body)).status_code

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class Webhooks:
    """Use of the webhook table."""

    def __init__(
        self,
        bookings: Bookings,
        deliver: Deliver,
        rules: Rules,
        retry_after: tuple[float, ...] = RETRY_AFTER_S,
    ) -> None:
        self.bookings, self.deliver, self.rules, self.retry_after = bookings, deliver, rules, retry_after
        self.store = bookings.store
        self._running: set[asyncio.Task[None]] = set()

    def create(self, account: Account, body: Mapping[str, Any]) -> Json:
        """:raises CalendlyError: 400, 403 for another organization or user, 409 for a URL that is taken."""
        if NO_WEBHOOKS in self.rules:
            raise denied("Please upgrade your Calendly account to Professional")
        url, key, scope = (body.get(name) for name in ("url", "signing_key", "scope"))
        events = body.get("events")
        if not isinstance(url, str) or not _may_receive(url):
            raise invalid("must be a valid https URL", "url")
        if not isinstance(events, list) or not events or not set(events) <= EVENTS:
            raise invalid("must be known events", "events")
        if scope not in ("user", "organization"):
            raise invalid("must be user or organization", "scope")
        if key is not None and not isinstance(key, str):
            raise invalid("must be a string", "signing_key")
        owner = body.get("user") if scope == "user" else None
        if scope == "user" and not owner:
            raise invalid("is required for the user scope", "user")
        _check_reach(account, str(body.get("organization") or ""), owner)
        now, uuid = stamp(self.store.now()), str(uuid4())
        made: Json = {
            "uri": f"{API}/webhook_subscriptions/{uuid}",
            "callback_url": url,
            "created_at": now,
            "updated_at": now,
            "retry_started_at": None,
            "state": "active",
            "events": list(dict.fromkeys(events)),
            "scope": scope,
            "organization": account.organization,
            "user": owner,
            "creator": account.uri,
        }
        with self.store.writing():
            taken = self.store.db.execute(
                "SELECT 1 FROM webhook WHERE url = ? AND owner IS ?", (url, owner)
            ).fetchone()
            if taken:
                raise already_exists()
            self.store.db.execute(
                "INSERT INTO webhook VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    uuid,
                    account.uuid,
                    account.organization,
                    owner,
                    url,
                    key or "",
                    orjson.dumps(made).decode(),
                ),
            )
        return made

    def listed(self, account: Account, organization: str, scope: str, user: str) -> list[Json]:
        """:raises CalendlyError: 400, 403."""
        if scope not in ("user", "organization"):
            raise invalid("must be user or organization", "scope")
        _check_reach(account, organization, user or None)
        rows = self.store.db.execute(
            "SELECT body FROM webhook WHERE organization = ? AND (? = '' OR owner = ?) ORDER BY rowid",
            (organization, user, user),
        )
        return [body for row in rows if (body := orjson.loads(row["body"]))["scope"] == scope]

    def get(self, account: Account, uuid: str) -> Json:
        """:raises CalendlyError: 404 where the account has no such subscription."""
        row = self.store.db.execute(
            "SELECT body FROM webhook WHERE uuid = ? AND account = ?", (uuid, account.uuid)
        ).fetchone()
        if row is None:
            raise not_found()
        body: Json = orjson.loads(row["body"])
        return body

    def delete(self, account: Account, uuid: str) -> None:
        """:raises CalendlyError: 404."""
        self.get(account, uuid)
        with self.store.writing():
            self.store.db.execute("DELETE FROM webhook WHERE uuid = ?", (uuid,))

    def forget(self, account: str | None) -> None:
        """Removes the subscriptions of one account, or all."""
        with self.store.writing():
            self.store.db.execute("DELETE FROM webhook WHERE account = coalesce(?, account)", (account,))

    def count(self, account: str) -> int:
        """How many subscriptions the account has made."""
        row = self.store.db.execute("SELECT count(*) FROM webhook WHERE account = ?", (account,)).fetchone()
        return int(row[0])

    def changed(self, resources: frozenset[str]) -> None:
        """Tells every subscription; the store calls it after each commit with ``<event>:<invitee uuid>``."""
        for resource in sorted(resources):
            event, _, uuid = resource.partition(":")
            invitee = self.bookings.invitee(uuid)
            if invitee is None:
                continue
            owner, scheduled = self.bookings.event(uuid_of(invitee["event"]))
            account = self.bookings.account(owner)
            assert account is not None
            rows = self.store.db.execute(
                "SELECT * FROM webhook WHERE organization = ? AND coalesce(owner, ?) = ?",
                (account.organization, account.uri, account.uri),
            ).fetchall()
            for row in rows:
                subscription = orjson.loads(row["body"])
                if event in subscription["events"] and subscription["state"] == "active":
                    payload = {
                        "event": event,
                        "created_at": stamp(self.store.now()),
                        "created_by": subscription["creator"],
                        "payload": invitee | {"scheduled_event": scheduled},
                    }
                    self._start(row["uuid"], row["url"], row["signing_key"], orjson.dumps(payload))

    async def close(self) -> None:
        """Ends what is still being delivered."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self, uuid: str, url: str, key: str, body: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._send(uuid, url, key, body))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _send(self, uuid: str, url: str, key: str, body: bytes) -> None:
        """Each try is signed anew, with its own time."""
        for pause in (*self.retry_after, None):
            headers = {"Content-Type": "application/json", "User-Agent": "Calendly-Webhooks"}
            if APP_SIGNED in self.rules:
                key = CALENDLY_WEBHOOK_KEY
            if key:
                moment = int(self.store.now().timestamp())
                headers["Calendly-Webhook-Signature"] = signature(key, moment, body)
            try:
                if 200 <= await self.deliver(url, headers, body) < 300:
                    self._note(uuid, delivered=True)
                    return
            except httpx.HTTPError as error:
                _log.info("Webhook to %s failed: %s", url, type(error).__name__)
            self._note(uuid, delivered=False)
            if pause is not None:
                await asyncio.sleep(pause)

    def _note(self, uuid: str, *, delivered: bool) -> None:
        """Keeps ``retry_started_at``, and disables a subscription whose deliveries have failed for a day."""
        row = self.store.db.execute("SELECT body FROM webhook WHERE uuid = ?", (uuid,)).fetchone()
        if row is None:
            return
        body, now = orjson.loads(row["body"]), self.store.now()
        started = body["retry_started_at"]
        if delivered and started is None:
            return
        if delivered:
            body["retry_started_at"] = None
        elif started is None:
            body["retry_started_at"] = stamp(now)
        elif now - datetime.fromisoformat(started) >= DISABLED_AFTER:
            body["state"] = "disabled"
        body["updated_at"] = stamp(now)
        with self.store.writing():
            self.store.db.execute(
                "UPDATE webhook SET body = ? WHERE uuid = ?", (orjson.dumps(body).decode(), uuid)
            )


def _check_reach(account: Account, organization: str, user: str | None) -> None:
    """:raises CalendlyError: 403 unless it is the account's organization, and its own user or an administrator's."""
    if organization != account.organization:
        raise denied("You do not have permission to access this resource.")
    if user != account.uri and account.role not in ("admin", "owner"):
        raise denied()


def _may_receive(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and loopback))
