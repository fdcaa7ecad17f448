"""The ``fields`` parameter: partial responses (https://developers.google.com/workspace/calendar/api/guides/performance)."""

from __future__ import annotations

import re
from typing import Any

from calendar_app.sandbox.google.error import invalid

Mask = dict[str, "Mask"]
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9]*|\*|[(),/]")


def parse(fields: str) -> Mask:
    """``items(id,start/date),nextPageToken`` as a tree; an empty mask keeps everything below.

    :raises GoogleError: 400 for a malformed selector.
    """
    tokens = _TOKEN.findall(fields)
    if "".join(tokens) != fields.replace(" ", ""):
        raise invalid("Invalid field selection", "fields")
    mask, rest = _selectors(tokens)
    if rest or not mask:
        raise invalid("Invalid field selection", "fields")
    return mask


def _selectors(tokens: list[str]) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while tokens and tokens[0] != ")":
        path, tokens = tokens[:1], tokens[1:]
        while tokens and tokens[0] == "/":
            path, tokens = [*path, *tokens[1:2]], tokens[2:]
        if set(path) & set("(),/"):
            raise invalid("Invalid field selection", "fields")
        below: Mask = {}
        if tokens and tokens[0] == "(":
            below, tokens = _selectors(tokens[1:])
            if not tokens:
                raise invalid("Invalid field selection", "fields")
            tokens = tokens[1:]
        node = mask
        for step in path:
            node = node.setdefault(step, {})
        node.update(below)
        if tokens and tokens[0] == ",":
            tokens = tokens[1:]
    return mask, tokens


def select(value: Any, mask: Mask) -> Any:
    """``value`` reduced to ``mask``; arrays are reduced item by item."""
    if not mask or ("*" in mask and not mask["*"]):
        return value
    if isinstance(value, list):
        return [select(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    every = mask.get("*")
    return {
        name: select(item, mask.get(name, every or {}))
        for name, item in value.items()
        if name in mask or every is not None
    }
