"""Subscriptions: their handshake, their notifications, and what Graph says about their life.

Source: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks,
.../change-notifications-lifecycle-events, https://learn.microsoft.com/graph/api/resources/subscription. Delivery runs
in the background and is tried again after answers that are not 2xx. Graph demands ``https``; here plain ``http`` is
allowed too, to loopback addresses only.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sqlite3
import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import httpx
import orjson

from calendar_app.sandbox.delivery import Delivery, may_receive
from calendar_app.sandbox.microsoft import ids
from calendar_app.sandbox.microsoft.error import GraphError, bad_request
from calendar_app.sandbox.microsoft.mailboxes import TENANT_ID, Calendar, Mailboxes
from calendar_app.sandbox.microsoft.odata import words
from calendar_app.sandbox.microsoft.resource import moment
from calendar_app.sandbox.microsoft.rules import ONE_SUBSCRIPTION, PAUSES
from calendar_app.sandbox.microsoft.zones import query_instant
from calendar_app.sandbox.rules import Rules
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

LONGEST_LIFE_MS = 10_080 * 60_000
WARNED_BEFORE_MS = 15 * 60_000
VALIDATION_SECONDS = 10.0
LARGEST_BATCH = 100
LIFECYCLE = ("reauthorizationRequired", "subscriptionRemoved", "missed")

_CHANGES = frozenset({"created", "updated", "deleted"})
_WRITABLE = words(
    """
    changeType notificationUrl lifecycleNotificationUrl resource expirationDateTime clientState
    latestSupportedTlsVersion
    """
)
_OTHERS = words(
    """
    id applicationId creatorId encryptionCertificate encryptionCertificateId includeResourceData
    notificationQueryOptions notificationUrlAppId
    """
)
_RESOURCE = re.compile(
    r"^/?(?:me|users/(?P<user>[^/]+))/(?:events|calendar/events|calendars(?:/(?P<id>[^/']+)|\('(?P<quoted>[^']+)'\))/events)$",
    re.IGNORECASE,
)
_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class Subscriptions:
    """Use of the subscription table."""

    def __init__(
        self,
        store: Store,
        mailboxes: Mailboxes,
        delivery: Delivery,
        etag_of: Callable[[str], str],
        rules: Rules,
    ) -> None:
        self.store, self.mailboxes, self.delivery, self.etag_of = store, mailboxes, delivery, etag_of
        self.rules = rules
        self._authorized: dict[str, int] = {}
        self._missed: set[str] = set()

    async def create(self, email: str, body: object, *, immutable: bool, authorized_until: int) -> Json:
        """Checks, shakes hands with both addresses, and opens the subscription.

        ``authorized_until``: when the access token ends that vouches for it (ms). :raises GraphError: 400, 409.
        """
        given = _known(body, _WRITABLE | _OTHERS)
        for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
            if not isinstance(given.get(name), str) or not given[name]:
                raise invalid(f"The subscription's '{name}' is missing.")
        kinds = [kind.strip().lower() for kind in given["changeType"].split(",")]
        if not set(kinds) <= _CHANGES:
            raise invalid(f"Invalid 'changeType' attribute: '{given['changeType']}'.")
        if given.get("includeResourceData"):
            raise invalid("Notifications with resource data are not offered here.")
        if len(given.get("clientState") or "") > 128:
            raise invalid("The 'clientState' may have at most 128 characters.")
        calendar = self._calendar(email, given["resource"])
        expires = self._expiry(given["expirationDateTime"])
        if ONE_SUBSCRIPTION in self.rules:
            self._refuse_second(email, given["resource"], ",".join(kinds))
        addresses = [given["notificationUrl"], given.get("lifecycleNotificationUrl")]
        for address in dict.fromkeys(filter(None, addresses)):
            await self._validate(address)
        own = str(uuid.uuid4())
        with self.store.writing():
            self.store.db.execute(
                "INSERT INTO subscription VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
                (
                    own,
                    email,
                    calendar.id,
                    given["resource"],
                    ",".join(kinds),
                    *addresses,
                    given.get("clientState"),
                    immutable,
                    expires,
                ),
            )
        self._authorized[own] = authorized_until
        return self._shown(self._row(email, own), with_state=True)

    async def update(self, email: str, own: str, body: object, *, authorized_until: int) -> Json:
        """Renews, and so authorizes anew; ``notificationUrl`` may change too, after a handshake.

        :raises GraphError: 400, 404.
        """
        row = self._row(email, own)
        given = _known(body, frozenset({"expirationDateTime", "notificationUrl"}))
        expires = (
            self._expiry(given["expirationDateTime"]) if "expirationDateTime" in given else row["expires"]
        )
        address = given.get("notificationUrl") or row["address"]
        if address != row["address"]:
            await self._validate(address)
        with self.store.writing():
            self.store.db.execute(
                "UPDATE subscription SET expires = ?, address = ?, warned = 0 WHERE id = ?",
                (expires, address, own),
            )
        self._authorized[own] = authorized_until
        return self._shown(self._row(email, own))

    def reauthorize(self, email: str, own: str, *, authorized_until: int) -> None:
        """:raises GraphError: 404."""
        self._row(email, own)
        with self.store.writing():
            self.store.db.execute("UPDATE subscription SET warned = 0 WHERE id = ?", (own,))
        self._authorized[own] = authorized_until

    def get(self, email: str, own: str) -> Json:
        """:raises GraphError: 404."""
        return self._shown(self._row(email, own))

    def listed(self, email: str) -> list[Json]:
        return [self._shown(row) for row in self.of(email)]

    def delete(self, email: str, own: str) -> None:
        """:raises GraphError: 404."""
        self._row(email, own)
        with self.store.writing():
            self.store.db.execute("DELETE FROM subscription WHERE id = ?", (own,))

    def of(self, email: str | None = None) -> list[sqlite3.Row]:
        """The open subscriptions of one mailbox, or of all."""
        return self.store.db.execute(
            "SELECT * FROM subscription WHERE mailbox = coalesce(?, mailbox) AND expires > ? ORDER BY expires",
            (email, self.store.now_ms()),
        ).fetchall()

    def changed(self, touched: frozenset[str]) -> None:
        """Tells every open subscription; the store calls it after each commit with ``calendar event change`` words."""
        by_calendar: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for line in sorted(touched):
            calendar, event, change = line.split()
            by_calendar[calendar].append((event, change))
        if not by_calendar:
            return
        self.warn()
        for row in self.of():
            if PAUSES in self.rules and self._vouched_until(row) <= self.store.now_ms():
                continue
            wanted = set(row["change_types"].split(","))
            found = [
                self._change(row, *item) for item in by_calendar.get(row["calendar"], ()) if item[1] in wanted
            ]
            for first in range(0, len(found), LARGEST_BATCH):
                self._start(row, row["address"], {"value": found[first : first + LARGEST_BATCH]})

    def warn(self) -> None:
        """Sends ``reauthorizationRequired`` where a subscription ends soon, once until it is renewed; with
        :data:`PAUSES`, also where the access token ends soon that vouches for it."""
        soon = self.store.now_ms() + WARNED_BEFORE_MS
        for row in self.of():
            ends = min(row["expires"], self._vouched_until(row)) if PAUSES in self.rules else row["expires"]
            if ends <= soon and not row["warned"]:
                self._say(row, "reauthorizationRequired")
                self.store.db.execute("UPDATE subscription SET warned = 1 WHERE id = ?", (row["id"],))

    def lifecycle(self, kind: str, email: str | None = None) -> int:
        """Sends one of :data:`LIFECYCLE` to the subscriptions of a mailbox, or all; how many.

        ``subscriptionRemoved`` removes them. :raises ValueError: no such kind.
        """
        if kind not in LIFECYCLE:
            raise ValueError(f"Not a lifecycle event: {kind}")
        rows = self.of(email)
        for row in rows:
            self._say(row, kind)
        if kind == "subscriptionRemoved":
            with self.store.writing():
                self.store.db.executemany(
                    "DELETE FROM subscription WHERE id = ?", [(row["id"],) for row in rows]
                )
        return len(rows)

    def expire(self, email: str | None = None) -> None:
        """Ends subscriptions as their time would: silently."""
        with self.store.writing():
            self.store.db.execute(
                "UPDATE subscription SET expires = ? WHERE mailbox = coalesce(?, mailbox)",
                (self.store.now_ms(), email),
            )

    def _vouched_until(self, row: sqlite3.Row) -> int:
        """When its access token ends; for a subscription of before a restart, when it ends itself."""
        return int(self._authorized.get(row["id"], row["expires"]))

    def _refuse_second(self, email: str, resource: str, kinds: str) -> None:
        for row in self.of(email):
            same = row["resource"].strip("/").lower() == resource.strip("/").lower()
            if same and row["change_types"] == kinds:
                raise GraphError(
                    409,
                    "Conflict",
                    f"Subscription Id {row['id']} already exists for the requested combination",
                )

    def _calendar(self, email: str, resource: str) -> Calendar:
        match = _RESOURCE.match(resource)
        mailbox = self.mailboxes.get(email)
        if match is None or (match["user"] and unquote(match["user"]) not in (email, mailbox.id)):
            raise invalid(f"Invalid 'resource' attribute: '{resource}'.")
        named = match["id"] or match["quoted"]
        return (
            self.mailboxes.calendar(email, unquote(named))
            if named
            else self.mailboxes.default_calendar(email)
        )

    def _expiry(self, text: object) -> int:
        try:
            expires = query_instant(str(text), "expirationDateTime") * 1000
        except GraphError as error:
            raise invalid(f"The value '{text}' of 'expirationDateTime' is not valid.") from error
        now = self.store.now_ms()
        if expires <= now:
            raise invalid("Subscription expiration must be in the future.")
        if expires > now + LONGEST_LIFE_MS:
            raise invalid("Subscription expiration can only be 10080 minutes in the future.")
        return expires

    async def _validate(self, address: str) -> None:
        """The handshake: the token must come back as plain text, decoded, with status 200."""
        check_address(address)
        token = f"Validation: Testing client application reachability. Request-Id: {secrets.token_hex(16)}"
        joint = "&" if urlsplit(address).query else "?"
        try:
            reply = await asyncio.wait_for(
                self.delivery.ask(f"{address}{joint}{urlencode({'validationToken': token})}", _TEXT),
                VALIDATION_SECONDS,
            )
        except (httpx.HTTPError, TimeoutError) as error:
            raise _refused_handshake("Subscription validation request timed out.") from error
        if reply.status != 200:
            raise _refused_handshake(
                "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation "
                "request."
            )
        if reply.text != token or reply.kind.partition(";")[0].strip() != "text/plain":
            raise _refused_handshake(
                "Subscription validation request failed. Response must exactly match validationToken query parameter."
            )

    def _row(self, email: str, own: str) -> sqlite3.Row:
        for row in self.of(email):
            if row["id"] == own:
                return row
        raise GraphError(404, "ResourceNotFound", "The object was not found.")

    def _shown(self, row: sqlite3.Row, *, with_state: bool = False) -> Json:
        return {
            "id": row["id"],
            "resource": row["resource"],
            "applicationId": None,
            "changeType": row["change_types"],
            "clientState": row["client_state"] if with_state else None,
            "notificationUrl": row["address"],
            "notificationQueryOptions": None,
            "lifecycleNotificationUrl": row["lifecycle_address"],
            "expirationDateTime": moment(row["expires"]),
            "creatorId": self.mailboxes.get(row["mailbox"]).id,
            "includeResourceData": None,
            "latestSupportedTlsVersion": "v1_2",
            "encryptionCertificate": None,
            "encryptionCertificateId": None,
            "notificationUrlAppId": None,
        }

    def _change(self, row: sqlite3.Row, event: str, change: str) -> Json:
        shown = ids.shown(event, bool(row["immutable"]))
        place = f"Users/{self.mailboxes.get(row['mailbox']).id}/Events/{quote(shown, safe='=')}"
        data = {"@odata.type": "#Microsoft.Graph.Event", "@odata.id": place, "id": shown}
        data |= {"@odata.etag": self.etag_of(event)}
        return self._envelope(row) | {"changeType": change, "resource": place, "resourceData": data}

    def _envelope(self, row: sqlite3.Row) -> Json:
        return {
            "subscriptionId": row["id"],
            "subscriptionExpirationDateTime": moment(row["expires"]),
            "clientState": row["client_state"],
            "tenantId": TENANT_ID,
        }

    def _say(self, row: sqlite3.Row, event: str) -> None:
        if row["lifecycle_address"]:
            self._start(
                row, row["lifecycle_address"], {"value": [self._envelope(row) | {"lifecycleEvent": event}]}
            )

    def _start(self, row: sqlite3.Row, address: str, body: Json) -> None:
        self.delivery.start(self._send(row, address, orjson.dumps(body)))

    async def _send(self, row: sqlite3.Row, address: str, content: bytes) -> None:
        async def taken() -> bool:
            return 200 <= await self.delivery.send(address, _JSON, content) < 300

        if not await self.delivery.try_until(taken):
            self._missed.add(row["id"])
        elif row["id"] in self._missed:
            self._missed.discard(row["id"])
            self._say(row, "missed")


def check_address(address: str) -> None:
    """:raises GraphError: 400 where Graph would not deliver there."""
    if not may_receive(address):
        raise invalid(f"The notification URL '{address}' must be an absolute HTTPS address.")


def invalid(message: str) -> GraphError:
    """Graph's refusal of what a subscription says."""
    return GraphError(400, "InvalidRequest", message)


def _known(body: object, names: frozenset[str]) -> Json:
    if not isinstance(body, dict):
        raise bad_request("The body must be one JSON object.")
    found = {name: value for name, value in body.items() if "@odata." not in name}
    if unknown := set(found) - names:
        raise invalid(f"The property '{min(unknown)}' cannot be set on a subscription.")
    return found


def _refused_handshake(message: str) -> GraphError:
    return GraphError(400, "ValidationError", message)
