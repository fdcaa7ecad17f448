"""Webhook subscriptions of the stand-in, and the signed delivery of what happened.

Source: https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures: the header is
``t=<epoch seconds>,v1=<hex HMAC-SHA256 of "t.body">``. Deliveries that fail are tried again; a subscription whose
deliveries fail for a day is disabled. Calendly demands ``https``; here plain ``http`` to loopback is allowed too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from calendar_app.sandbox.calendly.bookings import API, Account, Bookings, stamp, uuid_of
from calendar_app.sandbox.calendly.error import already_exists, denied, invalid, not_found
from calendar_app.sandbox.calendly.rules import APP_SIGNED, NO_WEBHOOKS
from calendar_app.sandbox.delivery import Delivery, may_receive
from calendar_app.sandbox.environment import CALENDLY_WEBHOOK_KEY
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

RETRY_AFTER_S = (0.2, 1.0, 3.0, 10.0)
DISABLED_AFTER = timedelta(hours=24)
EVENTS = frozenset(("invitee.created", "invitee.canceled", "routing_form_submission.created"))


def signature(key: str, moment: int, body: bytes) -> str:
    """The value of ``Calendly-Webhook-Signature``."""
    digest = hmac.new(key.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


class Webhooks:
    """Use of the webhook table."""

    def __init__(
        self,
        bookings: Bookings,
        delivery: Delivery,
        rules: Rules,
    ) -> None:
        self.bookings, self.delivery, self.rules, self.store = bookings, delivery, rules, bookings.store

    def create(self, account: Account, body: Mapping[str, Any]) -> Json:
        """:raises CalendlyError: 400, 403 for another organization or user, 409 for a URL that is taken."""
        if NO_WEBHOOKS in self.rules:
            raise denied("Please upgrade your Calendly account to Professional")
        url, key, scope = (body.get(name) for name in ("url", "signing_key", "scope"))
        events = body.get("events")
        if not isinstance(url, str) or not may_receive(url):
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
                    self.delivery.start(
                        self._send(row["uuid"], row["url"], row["signing_key"], orjson.dumps(payload))
                    )

    async def _send(self, uuid: str, url: str, key: str, body: bytes) -> None:
        """Each try is signed anew, with its own time."""

        async def taken() -> bool:
            headers = {"Content-Type": "application/json", "User-Agent": "Calendly-Webhooks"}
            secret = CALENDLY_WEBHOOK_KEY if APP_SIGNED in self.rules else key
            if secret:
                moment = int(self.store.now().timestamp())
                headers["Calendly-Webhook-Signature"] = signature(secret, moment, body)
            delivered = False
            try:
                delivered = 200 <= await self.delivery.send(url, headers, body) < 300
            finally:
                self._note(uuid, delivered=delivered)
            return delivered

        await self.delivery.try_until(taken)

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
