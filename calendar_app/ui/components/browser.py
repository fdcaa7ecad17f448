"""What needs the browser itself: its zone and hour cycle, ticking times, arrow keys. See ``browser.js``."""

from __future__ import annotations

from typing import Any

import reflex as rx

_SOURCE = rx.asset("browser.js", shared=True)


def _ready(zone: rx.Var[str], hour12: rx.Var[bool]) -> tuple[rx.Var[str], rx.Var[bool]]:
    return (zone, hour12)


def _value(value: rx.Var[str]) -> tuple[rx.Var[str]]:
    return (value,)


def _restored(
    owner: rx.Var[str], kept: rx.Var[dict[str, dict[str, Any]]]
) -> tuple[rx.Var[str], rx.Var[dict[str, dict[str, Any]]]]:
    return (owner, kept)


class Lifecycle(rx.Component):
    """Calls ``on_ready(zone, hour12)`` when the page stands, and ``on_change`` when it should be read again: every
    ``seconds``, on another ``socket`` (``on_ready`` where that came with a state of its own), and when it was ``told``
    of something newer than is ``shown``.

    ``load`` is the number of the page's load, which goes with the stored state: without it the page is loaded again,
    and ``on_restore(owner, kept)`` hands in what it held before; once ``restored`` says that it is there, what was
    typed into fields is put back.

    ``leave_to`` makes the browser leave the application for that address, once; ``rx.redirect`` takes every address on
    our own host for a page. Within the application it also moves the focus to the new page's ``#main``, as a full page
    load would.
    """

    library = _SOURCE.importable_path
    tag = "Lifecycle"
    told: rx.Var[int]
    shown: rx.Var[int]
    socket: rx.Var[str]
    seconds: rx.Var[int]
    leave_to: rx.Var[str]
    load: rx.Var[str]
    owner: rx.Var[str]
    restored: rx.Var[str]
    kept: rx.Var[dict[str, dict[str, Any]]]
    on_restore: rx.EventHandler[_restored]
    on_ready: rx.EventHandler[_ready]
    on_change: rx.EventHandler[rx.event.no_args_event_spec]


class Notices(rx.Component):
    """Shows ``text`` as a toast whenever ``notice``, its number, changes; ``kind``: success, info, warning, error."""

    library = _SOURCE.importable_path
    tag = "Notices"
    notice: rx.Var[int]
    kind: rx.Var[str]
    text: rx.Var[str]


class Ago(rx.Component):
    """A relative time that ticks; ``instant`` is RFC 3339, empty shows nothing."""

    library = _SOURCE.importable_path
    tag = "Ago"
    instant: rx.Var[str]
    prefix: rx.Var[str]


class ZoneSelect(rx.Component):
    """A select of IANA zones with their present offsets. What it reports is still checked by services."""

    library = _SOURCE.importable_path
    tag = "ZoneSelect"
    value: rx.Var[str]
    name: rx.Var[str]
    label: rx.Var[str]
    on_change: rx.EventHandler[_value]


class ArrowKeys(rx.Component):
    """A box whose buttons marked ``data-cell`` are walked with the arrow keys."""

    library = _SOURCE.importable_path
    tag = "ArrowKeys"
    columns: rx.Var[int]
    role: rx.Var[str]
    label: rx.Var[str]


lifecycle = Lifecycle.create
ago = Ago.create
zone_select = ZoneSelect.create
arrow_keys = ArrowKeys.create
