"""The servers that the suite's tests run against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.providers.suite.harnesses import Counterparts


@pytest.fixture(scope="session")
def counterparts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterparts]:
    """Counterparts of all providers; each is started when a test first asks for it, and serves all of them."""
    with ExitStack() as running:
        yield Counterparts(tmp_path_factory.mktemp("counterparts"), running)
