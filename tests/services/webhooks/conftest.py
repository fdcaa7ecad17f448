"""A business, and a receiver that it tells of what happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from calendar_app.domain.webhook import SUBSCRIBABLE
from calendar_app.services.webhooks import subscriptions
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.receivers import receiver
from tests.support.told import Told

Configure = Callable[..., Settings]


@pytest.fixture
def told(database: Database, configure: Configure) -> Iterator[Told]:
    with receiver() as running:
        configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1")
        team = factories.team()
        owner = factories.actor(team.person, team.workspace)
        made = subscriptions.create(owner, running.url, [one.value for one in SUBSCRIBABLE])
        yield Told(owner, running, made)
