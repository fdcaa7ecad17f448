"""Receivers that others' libraries check signatures for take what we send, in Python and in JavaScript."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from calendar_app.domain.webhook import SUBSCRIBABLE, signatures
from calendar_app.services.bookings import transitions
from calendar_app.services.webhooks import sending, subscriptions
from calendar_app.settings import Settings
from tests.support.receivers import receiver
from tests.support.scheduling import Place

Configure = Callable[..., Settings]
HOME = Path(__file__).parent
needs_npm = pytest.mark.skipif(
    not (HOME / "node_modules" / "standardwebhooks").exists(), reason="npm ci --prefix tests/receivers"
)


class JavaScript:
    """A running receiver in JavaScript at ``url``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{self.line()['port']}/hook"

    def line(self) -> dict[str, Any]:
        """What it says next."""
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


@contextmanager
def javascript(secret: str) -> Iterator[JavaScript]:
    node = Path(sys.executable).with_name("node")
    program = str(node) if node.exists() else shutil.which("node") or "node"
    command = [program, str(HOME / "receiver.mjs"), secret]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield JavaScript(process)
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # PyPI's `node` is a wrapper around the real one


def _subscribe(place: Place, url: str) -> subscriptions.SubscriptionView:
    return subscriptions.create(place.owner, url, [one.value for one in SUBSCRIBABLE])


def test_a_receiver_in_python_checks_what_it_gets(place: Place, configure: Configure) -> None:
    """A booking with letters outside ASCII is made and cancelled: both messages verify, a changed body does not."""
    configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1")
    with receiver() as running:
        made = _subscribe(place, running.url)
        booking = place.book(place.at(10), guest=("Zoë Übermut 🎉", "zoe@example.org"))
        transitions.cancel(place.owner, booking.id, "Ça ne va pas")
        assert sending.send_due(made.id) == 2
        created, cancelled = running.verified(made.secret)
        assert [created["type"], cancelled["type"]] == ["booking.created", "booking.cancelled"]
        assert created["data"]["booking"]["name"] == "Zoë Übermut 🎉"
        assert cancelled["data"]["booking"]["cancel_reason"] == "Ça ne va pas"
        first = running.got[0]
        with pytest.raises(WebhookVerificationError):
            Webhook(made.secret).verify(first.body.decode().replace("created", "deleted"), first.headers)


@needs_npm
def test_a_receiver_in_javascript_checks_what_it_gets(place: Place, configure: Configure) -> None:
    """It takes messages under its secret, and under the one before while a new one is being put in place."""
    configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1")
    made = _subscribe(place, "http://127.0.0.1:9/")
    with javascript(made.secret) as running:
        subscriptions.change(place.owner, made.id, url=running.url)
        booking = place.book(place.at(10), guest=("Zoë Übermut 🎉", "zoe@example.org"))
        assert sending.send_due(made.id) == 1
        got = running.line()
        assert (got["payload"]["type"], got["id"]) == ("booking.created", got["payload"]["id"])
        assert got["payload"]["data"]["booking"]["id"] == booking.id
        subscriptions.rotate_secret(place.owner, made.id)
        transitions.cancel(place.owner, booking.id)
        assert sending.send_due(made.id) == 1
        assert running.line()["payload"]["type"] == "booking.cancelled"


def test_signatures_are_the_librarys() -> None:
    """Byte for byte what ``standardwebhooks`` signs, for each secret."""
    at = datetime(2026, 11, 18, 9, 0, 0, 999_999, tzinfo=UTC)
    keys = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 44]
    expected = [Webhook(key).sign("msg_1", at, '{"a":"ü"}') for key in keys]
    assert signatures(keys, "msg_1", at, '{"a":"ü"}'.encode()).split() == expected
