"""Which providers the contract suite runs for: registry key -> a fresh account at its counterpart."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.providers.suite.calendly import calendly
from tests.providers.suite.google import google
from tests.providers.suite.harness import Harness
from tests.sandbox.server import SharedServer

HARNESSES: dict[str, Callable[[SharedServer], AbstractContextManager[Harness]]] = {
    "calendly": calendly,
    "google": google,
}
