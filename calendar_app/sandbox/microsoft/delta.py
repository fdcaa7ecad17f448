"""``calendarView/delta``: rounds of changes within a window.

Source: https://learn.microsoft.com/graph/delta-query-events, https://learn.microsoft.com/graph/api/event-delta, and for
series what users found out (microsoft-graph-docs issues 7632 and 2963, pull request 4501). The first round gives all
that lies in the window. Later rounds give what changed; what was deleted, or changed outside the window, comes as
``@removed``. A series that has changed in any way comes whole: its master, then the occurrences in the window, which
carry ids and times only, and the exceptions. An occurrence that is no more is told nowhere: it is not among them. State
tokens hold the window, so that a request with one takes no other parameter.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from secrets import token_hex
from typing import Any

import orjson

from calendar_app.sandbox.microsoft.error import bad_request, resync_required, sync_state_gone
from calendar_app.sandbox.microsoft.events import Events
from calendar_app.sandbox.microsoft.mailboxes import Calendar
from calendar_app.sandbox.microsoft.resource import Stored, Wishes, bare_occurrence, removed

Json = dict[str, Any]
Show = Callable[[Stored], Json]

_FEWEST_ROWS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class State:
    """What a token holds: the window, the sequence the client has (0: nothing), and how far the round has come.

    The round ends at ``until``; ``after`` and ``inner`` are the last row given and how many of its items.
    """

    calendar: str
    epoch: int
    start: int
    end: int
    base: int
    until: int
    after: int
    inner: int = 0


class Delta:
    """Rounds over one calendar."""

    def __init__(self, events: Events) -> None:
        self.events, self.store = events, events.store

    def begin(self, calendar: Calendar, start: int, end: int) -> State:
        """The first round of a window."""
        return State(calendar.id, calendar.epoch, start, end, 0, self.store.sequence(), 0)

    def resume(self, calendar: Calendar, token: str, *, finished: bool) -> State:
        """The state in a skip token, or (``finished``) the next round after a delta token.

        :raises GraphError: 400 for a token that is none of ours, 410 for one that is too old.
        """
        state = self._read(token)
        if state.calendar != calendar.id or finished != (
            state.after == state.until and state.base == state.until
        ):
            raise bad_request("Badly formed token.", "ErrorInvalidUrlQuery")
        if state.epoch != calendar.epoch:
            raise sync_state_gone()
        if state.until > self.store.sequence():
            raise resync_required()
        return replace(state, until=self.store.sequence()) if finished else state

    def page(
        self, calendar: Calendar, state: State, size: int, wishes: Wishes, show: Show
    ) -> tuple[Json, State]:
        """``{"value": [...]}`` and the state after it; the round is over where ``after == until``."""
        items: list[Json] = []
        while len(items) < size and state.after < state.until:
            rows = self.events.changed_since(
                calendar, state.after, state.until, max(size, _FEWEST_ROWS_AT_ONCE)
            )
            if not rows:
                state = replace(state, after=state.until, inner=0)
            for row in rows:
                found = list(self._items(row, state, wishes, show))[state.inner :]
                room = size - len(items)
                items += found[:room]
                if len(found) > room:
                    return {"value": items}, replace(state, inner=state.inner + room)
                state = replace(state, after=row.seq, inner=0)
                if len(items) == size:
                    break
        if state.after < state.until and not self.events.changed_since(calendar, state.after, state.until, 1):
            state = replace(state, after=state.until)
        if state.after == state.until:
            state = replace(state, base=state.until, inner=0)
        return {"value": items}, state

    def token(self, state: State) -> str:
        """The state as an opaque string."""
        fields = [state.epoch, state.start, state.end, state.base, state.until, state.after, state.inner]
        raw = orjson.dumps([state.calendar, *fields])
        return urlsafe_b64encode(self._seal(raw) + raw).decode().rstrip("=")

    def _read(self, token: str) -> State:
        try:
            sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            if self._seal(sealed[8:]) != sealed[:8]:
                raise ValueError(token)
            return State(*orjson.loads(sealed[8:]))
        except (ValueError, TypeError, binascii.Error) as error:
            raise bad_request("Badly formed token.", "ErrorInvalidUrlQuery") from error

    def _seal(self, raw: bytes) -> bytes:
        key = self.store.secret("delta_key", lambda: token_hex(16)).encode()
        return blake2b(raw, key=key, digest_size=8).digest()

    def _items(self, row: Stored, state: State, wishes: Wishes, show: Show) -> Iterator[Json]:
        typed = {"@odata.type": "#microsoft.graph.event"}
        inside: list[Stored] = []
        if row.status == "live" and row.kind == "master":
            inside = self.events.instances(row, state.start, state.end)
        elif row.status == "live" and _touches(row, state):
            inside = [row]
        if inside and row.kind == "master":
            yield typed | show(row)
        for event in inside:
            yield bare_occurrence(event, wishes) if event.kind == "occurrence" else typed | show(event)
        if not inside and state.base:
            yield removed(row.id, wishes)


def _touches(row: Stored, state: State) -> bool:
    return row.starts < state.end and (row.ends > state.start or row.starts == row.ends >= state.start)
