"""Push channels: ``watch``, ``channels.stop``, and the delivery of notifications.

Source: https://developers.google.com/workspace/calendar/api/guides/push. A channel first receives a ``sync`` message,
then one POST per committed change, without a body, all facts in ``X-Goog-*`` headers. Delivery runs in the background
and is tried again after 5xx answers and connection errors. Google demands ``https`` addresses; here plain ``http`` is
allowed too, to loopback addresses only.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from calendar_app.sandbox.delivery import Delivery, may_receive
from calendar_app.sandbox.google.error import GoogleError, invalid, required
from calendar_app.sandbox.google.rules import UNVERIFIED_DOMAIN
from calendar_app.sandbox.rules import Rules
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

DEFAULT_LIFE_S = 7 * 86_400
LONGEST_LIFE_S = 30 * 86_400
_RETRIED = (500, 502, 503, 504)


class Channels:
    """Use of the channel table."""

    def __init__(self, store: Store, delivery: Delivery, rules: Rules) -> None:
        self.store, self.delivery, self.rules = store, delivery, rules

    def watch(self, account: str, resource: str, uri: str, body: object) -> Json:
        """Opens a channel on ``resource`` (``events:<calendar id>`` or ``calendars:<account>``).

        :raises GoogleError: 400.
        """
        if not isinstance(body, dict) or body.get("type") not in ("web_hook", "webhook"):
            raise invalid("Invalid channel type.")
        for name in ("id", "address"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise required(f"Missing channel {name}.")
        if len(body["id"]) > 64 or len(str(body.get("token", ""))) > 256:
            raise invalid("Channel id or token is too long.")
        _check_address(body["address"])
        if UNVERIFIED_DOMAIN in self.rules:
            raise GoogleError(
                401,
                "push.webhookUrlUnauthorized",
                f"Unauthorized WebHook callback channel: {body['address']}",
            )
        expires = self._expiry(body)
        resource_id = _opaque(f"{account} {resource}")
        with self.store.writing():
            self.store.db.execute("DELETE FROM channel WHERE expires <= ?", (self.store.now_ms(),))
            if self.store.db.execute("SELECT 1 FROM channel WHERE id = ?", (body["id"],)).fetchone():
                raise GoogleError(400, "channelIdNotUnique", f"Channel id {body['id']} not unique")
            self.store.db.execute(
                "INSERT INTO channel VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    body["id"],
                    account,
                    resource,
                    resource_id,
                    uri,
                    body["address"],
                    body.get("token", ""),
                    expires,
                ),
            )
        self._notify("id = ?", body["id"], "sync")
        answer = {"kind": "api#channel", "id": body["id"], "resourceId": resource_id, "resourceUri": uri}
        token = {"token": body["token"]} if body.get("token") else {}
        return {**answer, **token, "expiration": str(expires)}

    def stop(self, account: str, body: object) -> None:
        """:raises GoogleError: 404 where the account has no such channel."""
        fields = body if isinstance(body, dict) else {}
        with self.store.writing():
            gone = self.store.db.execute(
                "DELETE FROM channel WHERE id = ? AND resource_id = ? AND account = ?",
                (fields.get("id"), fields.get("resourceId"), account),
            )
        if gone.rowcount == 0:
            raise GoogleError(404, "notFound", f"Channel '{fields.get('id')}' not found for project")

    def of(self, account: str) -> list[Json]:
        """The account's open channels, as rows."""
        rows = self.store.db.execute(
            "SELECT * FROM channel WHERE account = ? AND expires > ? ORDER BY expires",
            (account, self.store.now_ms()),
        )
        return [dict(row) for row in rows]

    def expire(self, account: str | None = None) -> None:
        """Ends the channels of one account, or all, as their time would: silently."""
        with self.store.writing():
            self.store.db.execute(
                "UPDATE channel SET expires = ? WHERE account = coalesce(?, account)",
                (self.store.now_ms(), account),
            )

    def changed(self, resources: frozenset[str]) -> None:
        """Tells every open channel on ``resources``; the store calls it after each commit."""
        for resource in sorted(resources):
            self._notify("resource = ?", resource, "exists")

    def _notify(self, condition: str, value: str, state: str) -> None:
        rows = self.store.db.execute(
            f"UPDATE channel SET number = number + 1 WHERE {condition} AND expires > ? RETURNING *",  # noqa: S608
            (value, self.store.now_ms()),
        ).fetchall()
        for row in rows:
            headers = {
                "X-Goog-Channel-ID": row["id"],
                "X-Goog-Channel-Expiration": format_datetime(
                    datetime.fromtimestamp(row["expires"] / 1000, UTC), usegmt=True
                ),
                "X-Goog-Resource-State": state,
                "X-Goog-Message-Number": str(row["number"]),
                "X-Goog-Resource-ID": row["resource_id"],
                "X-Goog-Resource-URI": row["resource_uri"],
                "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            }
            if row["token"]:
                headers["X-Goog-Channel-Token"] = row["token"]
            self.delivery.start(self._send(row["address"], headers))

    async def _send(self, address: str, headers: dict[str, str]) -> None:
        async def taken() -> bool:
            return await self.delivery.send(address, headers) not in _RETRIED

        await self.delivery.try_until(taken)

    def _expiry(self, body: Json) -> int:
        now = self.store.now_ms()
        try:
            if body.get("expiration"):
                expires = int(body["expiration"])
            else:
                expires = now + int((body.get("params") or {}).get("ttl", DEFAULT_LIFE_S)) * 1000
        except (TypeError, ValueError, AttributeError) as error:
            raise invalid("Invalid channel expiration.") from error
        if expires <= now:
            raise invalid("Channel expiration must be in the future.")
        return min(expires, now + LONGEST_LIFE_S * 1000)


def _opaque(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:20]).decode().rstrip("=")


def _check_address(address: str) -> None:
    """:raises GoogleError: 400 where Google would not deliver there."""
    if not may_receive(address):
        raise GoogleError(
            400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}", location="address"
        )
