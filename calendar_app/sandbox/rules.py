"""Rules of the real vendors that would spoil a tour of the product: each is a switch on the sandbox's page.

All are off at first. Tests switch on what they are about, or all of the strict ones at once (:meth:`Rules.be_strict`).
Like faults, switches live in the sandbox's memory: a restart switches all off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Rule:
    """``text`` says on the page what is so while the rule is on. ``strict``: an application that knows the vendor
    works with it as well as without, and needs nobody to do anything."""

    text: str
    strict: bool = True


class Rules:
    """The rules of one stand-in by their keys; ``"key" in rules`` tells whether that rule is on."""

    def __init__(self, known: Mapping[str, Rule]) -> None:
        self._known = known
        self._on: set[str] = set()
        self._changes = 0

    def __contains__(self, key: str) -> bool:
        return key in self._on

    def all(self) -> list[dict[str, Any]]:
        """``[{"key", "text", "strict", "on"}, …]``"""
        return [{"key": key, **asdict(rule), "on": key in self._on} for key, rule in self._known.items()]

    def sequence(self) -> int:
        """Grows with every switch."""
        return self._changes

    def switch(self, key: str, *, on: bool) -> None:
        """:raises KeyError: no such rule."""
        if key not in self._known:
            raise KeyError(key)
        self._changes += 1
        if on:
            self._on.add(key)
        else:
            self._on.discard(key)

    def be_strict(self) -> None:
        """Switch every strict rule on."""
        for key, rule in self._known.items():
            if rule.strict:
                self.switch(key, on=True)


@runtime_checkable
class HasRules(Protocol):
    """A stand-in with such switches."""

    rules: Rules


def rules_of(stand_in: object) -> Rules:
    """The stand-in's rules; none where it has no such switches."""
    return stand_in.rules if isinstance(stand_in, HasRules) else Rules({})
