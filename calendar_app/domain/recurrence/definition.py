"""Time zones that a calendar defines itself (RFC 5545 §3.6.5), as names that carry their definition.

A VTIMEZONE's zone is nowhere but in its file, and events outlive the file: they are stored, and expanded again each
night. So such a zone is named by what it does. The name is ``defined:`` and the zone's observances, each as the offsets
before and after its onsets, the wall-clock times of those, and the rule by which they recur::

    defined:-0600-0500@20240310T02;FREQ=YEARLY;BYMONTH=3;BYDAY=2SU|-0500-0600@20241103T02;FREQ=YEARLY;…

The same definition has the same name, and :func:`~calendar_app.domain.recurrence.wallclock.zone_of` reads it as it
reads an IANA name. A zone that can be meant in two ways has both names, joined by ``or``.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from calendar_app.domain.recurrence.days import DAY, wall_seconds
from calendar_app.domain.recurrence.errors import RecurrenceError, TooComplex
from calendar_app.domain.recurrence.generate import Recurrence
from calendar_app.domain.recurrence.rule import parse_rule, parse_time

PREFIX = "defined:"
OR = " or "
MAX_NAME = 1_500
_MAX_ONSETS = 400
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # a wall clock has no zone
_FIRST, _LAST = wall_seconds(datetime(1995, 1, 1)), wall_seconds(datetime(2070, 1, 1))  # noqa: DTZ001
"""Between these, rules are followed; expansion never looks beyond them."""
_SHORTER = wall_seconds(datetime(2015, 1, 1)), wall_seconds(datetime(2050, 1, 1))  # noqa: DTZ001
_OBSERVANCE = re.compile(r"([+-]\d{4}(?:\d\d)?)([+-]\d{4}(?:\d\d)?)@([\dT,]+)(?:;(.*))?")


class Observance(NamedTuple):
    """Onsets (local seconds in the offset ``before``) from which the offset is ``after``, both in seconds east of UTC;
    ``rule`` is a recurrence rule that begins with the first onset, empty for none."""

    before: int
    after: int
    onsets: tuple[int, ...]
    rule: str = ""


class Change(NamedTuple):
    """At instant ``at`` the offset becomes ``after``; it was ``before``. Seconds east of UTC."""

    at: int
    before: int
    after: int


def defined_zone(observances: Iterable[Observance]) -> str:
    """The name of the zone with these observances.

    :raises RecurrenceError: there is none, they cannot be followed, or they change more often than clocks do.
    """
    name = _name(observances)
    changes = changes_of(name)
    if len(name) <= MAX_NAME:
        return name
    kept = [change for change in changes if _SHORTER[0] <= change.at < _SHORTER[1]]
    name = _name(Observance(before, after, (at + before,)) for at, before, after in kept)
    if len(name) > MAX_NAME:
        raise TooComplex
    return name


def fixed_zone(offset: int) -> str:
    """The zone that is always ``offset`` seconds east of UTC: IANA's for whole hours, whose names count west."""
    hours, rest = divmod(offset, 3600)
    if rest or not -12 <= hours <= 14:
        return _name([Observance(offset, offset, (0,))])
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def readings(name: str | None) -> list[str]:
    """The zones that a name may stand for: one, or two."""
    return name.split(OR) if name else []


@lru_cache(maxsize=256)
def zone_info(name: str) -> ZoneInfo:
    """The zone that a ``defined:`` name describes. :raises RecurrenceError: it describes none."""
    changes = changes_of(name)
    offsets = list(dict.fromkeys([changes[0].before, *(change.after for change in changes)]))
    if len(offsets) > 250:
        raise TooComplex
    return ZoneInfo.from_file(io.BytesIO(_tzif(changes, offsets)), key=name)


@lru_cache(maxsize=256)
def changes_of(name: str) -> tuple[Change, ...]:
    """Every change of offset, in order. Before its first onset a zone has that onset's TZOFFSETFROM.

    :raises RecurrenceError: the name describes no zone.
    """
    found: dict[int, tuple[int, int]] = {}
    for observance in observances_of(name):
        for local in _onsets(observance):
            found[local - observance.before] = (observance.before, observance.after)
    if not found:
        raise RecurrenceError("The time zone has no onsets.")
    if len(found) > _MAX_ONSETS:
        raise TooComplex
    ordered = sorted(found.items())
    offset = ordered[0][1][0]
    changes: list[Change] = []
    for at, (_, after) in ordered:
        if after != offset or not changes:
            changes.append(Change(at, offset, after))
        offset = after
    return tuple(changes)


def _onsets(observance: Observance) -> list[int]:
    """Local seconds of the onsets: all that are named, and those of the rule that anybody will ask for."""
    found = list(observance.onsets)
    if not observance.rule:
        return found
    rule, start = parse_rule(observance.rule), observance.onsets[0]
    last = _LAST
    if rule.until is not None:  # RFC 5545 §3.6.5: in UTC
        last = wall_seconds(rule.until.value)
        if rule.until.all_day:
            last += DAY - 1
        elif rule.until.zone:
            last += observance.before
    for chunk in Recurrence(rule, start).between(_FIRST, min(last, _LAST)):
        found += chunk
        if len(found) > _MAX_ONSETS:
            raise TooComplex
    return found


def _name(observances: Iterable[Observance]) -> str:
    """Onsets without a rule stand together where they lead from the same offset to the same other one."""
    single: dict[tuple[int, int], set[int]] = {}
    texts: set[str] = set()
    for before, after, onsets, rule in observances:
        if rule:
            texts.add(f"{_offset(before)}{_offset(after)}@{_stamp(onsets[0])};{parse_rule(rule).text}")
        else:
            single.setdefault((before, after), set()).update(onsets)
    for (before, after), onsets_ in single.items():
        stamps = ",".join(_stamp(at) for at in sorted(onsets_))
        texts.add(f"{_offset(before)}{_offset(after)}@{stamps}")
    return PREFIX + "|".join(sorted(texts))


def observances_of(name: str) -> list[Observance]:
    """What a ``defined:`` name says. :raises RecurrenceError: it is none."""
    found: list[Observance] = []
    for text in name.removeprefix(PREFIX).split("|"):
        match = _OBSERVANCE.fullmatch(text)
        if match is None:
            raise RecurrenceError("This is not a time zone's definition.")
        onsets = [parse_time(stamp.ljust(15, "0")).value for stamp in match[3].split(",")]
        found.append(
            Observance(
                offset_of(match[1]), offset_of(match[2]), tuple(map(wall_seconds, onsets)), match[4] or ""
            )
        )
    return found


def offset_of(text: str) -> int:
    """Seconds east of UTC (RFC 5545 §3.3.14); a colon and a missing sign are read over.

    :raises RecurrenceError: it is none, or a day and more.
    """
    match = re.fullmatch(r"([+-]?)(\d{2}):?(\d{2}):?(\d{2})?", text.strip(), re.ASCII)
    seconds = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4] or 0) if match else DAY
    if match is None or seconds >= DAY:
        raise RecurrenceError(f"This is not an offset: {text[:20]!r}.")
    return -seconds if match[1] == "-" else seconds


def _offset(seconds: int) -> str:
    minutes, rest = divmod(abs(seconds), 60)
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}{minutes % 60:02}{f'{rest:02}' if rest else ''}"


def _stamp(local: int) -> str:
    moment = _EPOCH + timedelta(seconds=local)
    text = f"{moment:%Y%m%dT%H%M%S}".zfill(15)
    while len(text) > 11 and text.endswith("00"):
        text = text[:-2]
    return text


def _tzif(changes: Sequence[Change], offsets: Sequence[int]) -> bytes:
    """The changes as a time zone file (RFC 8536), which the standard library reads; none is marked as summer."""
    if changes[0].before == changes[0].after:
        changes = changes[1:]
    names = b"-\0"
    types = b"".join(struct.pack(">lbB", offset, 0, 0) for offset in offsets)
    head = struct.Struct(">4sc15x6l")
    empty = head.pack(b"TZif", b"2", 0, 0, 0, 0, 1, len(names)) + struct.pack(">lbB", 0, 0, 0) + names
    full = head.pack(b"TZif", b"2", 0, 0, 0, len(changes), len(offsets), len(names))
    full += b"".join(struct.pack(">q", change.at) for change in changes)
    full += bytes(offsets.index(change.after) for change in changes)
    return empty + full + types + names + b"\n\n"
