"""What an examination of the installation comes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """``error``: something does not work; ``warning``: it works, and somebody should act."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ``detail`` says how it is, ``advice`` what to do, empty where that is nothing."""

    name: str
    level: Level
    detail: str
    advice: str = ""


def ok(name: str, detail: str, advice: str = "") -> Finding:
    """It works."""
    return Finding(name, Level.OK, detail, advice)


def warning(name: str, detail: str, advice: str) -> Finding:
    """It works, and somebody should act."""
    return Finding(name, Level.WARNING, detail, advice)


def error(name: str, detail: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(name, Level.ERROR, detail, advice)


def worst(found: Iterable[Finding]) -> Level:
    """The level of the worst finding."""
    levels = {one.level for one in found}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)
