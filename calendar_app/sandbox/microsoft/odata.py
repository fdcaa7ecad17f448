"""OData query options as Exchange's part of Graph takes them.

Source: https://learn.microsoft.com/graph/query-parameters, .../filter-query-parameter, and for extended properties
https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get. An option that a resource does not take is
refused. Names of parameters are matched without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from calendar_app.sandbox.microsoft.error import GraphError, bad_request

Json = dict[str, Any]
Test = Callable[[Json], bool]

DEFAULT_PAGE = 10
LARGEST_PAGE = 1000
EXTENDED = "singleValueExtendedProperties"

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<moment>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))|(?P<number>-?\d+)"
    r"|(?P<word>[A-Za-z_][\w/]*)|(?P<sign>[(),:]))"
)
_EXPAND = re.compile(rf"^{EXTENDED}\s*\(\s*\$filter\s*=\s*(.+)\)$", re.IGNORECASE | re.DOTALL)


def words(text: str) -> frozenset[str]:
    """The names in a text."""
    return frozenset(text.split())


# Exchange filters by what it indexes; on the others it answers that the property does not support filtering.
_FILTERABLE = words(
    """
    subject start/dateTime end/dateTime showAs isAllDay isCancelled isOrganizer type importance
    sensitivity hasAttachments createdDateTime lastModifiedDateTime iCalUId seriesMasterId isReminderOn
    name isDefaultCalendar canEdit id
    """
)


def unquoted(name: str) -> str:
    return name.lower().removeprefix("$")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one call, by lower-case name without ``$``; ``known`` are the properties of the resource."""

    given: Mapping[str, str]
    known: frozenset[str]

    @classmethod
    def of(cls, query: Iterable[tuple[str, str]], known: Iterable[str], allowed: Iterable[str]) -> Options:
        """:raises GraphError: 400 for an option the resource does not take, or one that is repeated."""
        given: dict[str, str] = {}
        for name, value in query:
            if not name.startswith("$"):
                continue
            key, permitted = unquoted(name), set(allowed)
            if key not in permitted:
                raise bad_request(f"The query parameter '{name}' is not supported.", "ErrorInvalidUrlQuery")
            if key in given:
                raise bad_request(
                    f"Query option '{name}' was specified more than once, but it must be specified at most once."
                )
            given[key] = value
        return cls(given, frozenset(known))

    def number(self, name: str, default: int) -> int:
        text = self.given.get(name, str(default))
        if not text.isascii() or not text.isdigit():
            raise bad_request(
                f"Invalid value '{text}' for ${name} query option found. It must be a non-negative integer."
            )
        if name == "top" and not 1 <= int(text) <= LARGEST_PAGE:
            raise bad_request(
                f"The limit of '{LARGEST_PAGE}' for Top query has been exceeded. The value from the incoming request "
                f"is '{text}'."
            )
        return int(text)

    def counts(self) -> bool:
        text = self.given.get("count", "false").lower()
        if text not in ("true", "false"):
            raise bad_request(f"Invalid value '{text}' for $count query option found.")
        return text == "true"

    def select(self) -> frozenset[str] | None:
        """The chosen properties; ``None`` for all."""
        if "select" not in self.given:
            return None
        names = [name.strip() for name in self.given["select"].split(",") if name.strip()]
        for name in names:
            if name.split("/")[0] not in self.known and name != "*":
                raise bad_request(
                    f"Parsing OData Select and Expand failed: Could not find a property named '{name}'.",
                    "RequestBroker--ParseUri",
                )
        return None if "*" in names else frozenset(name.split("/")[0] for name in names)

    def order(self) -> list[tuple[str, bool]]:
        """(path, descending) in order."""
        found = []
        for part in self.given.get("orderby", "").split(","):
            words = part.split()
            if not words:
                continue
            if len(words) > 2 or words[1:] not in ([], ["asc"], ["desc"]) or words[0] not in _FILTERABLE:
                raise bad_request(
                    f"The property '{words[0]}' does not support ordering.", "RequestBroker--ParseUri"
                )
            found.append((words[0], words[1:] == ["desc"]))
        return found

    def expanded(self) -> list[str]:
        """The ids of the extended properties to show."""
        text = self.given.get("expand", "")
        if not text:
            return []
        match = _EXPAND.match(text.strip())
        if match is None:
            raise bad_request(
                f"Expand: only {EXTENDED} with a $filter on id is supported here.", "ErrorInvalidUrlQuery"
            )
        wanted = re.findall(r"id\s+eq\s+'((?:[^']|'')*)'", match[1])
        if not wanted:
            raise bad_request("Parsing OData Select and Expand failed.", "RequestBroker--ParseUri")
        return [name.replace("''", "'").lower() for name in wanted]

    def filter(self) -> Test | None:
        """Whether a resource (with its extended properties) passes; ``None`` where all do."""
        return _Filter(self.given["filter"]).test() if self.given.get("filter") else None


def value_at(resource: Json, path: str) -> Any:
    """``start/dateTime`` of ``{"start": {"dateTime": ...}}``."""
    found: Any = resource
    for name in path.split("/"):
        found = found.get(name) if isinstance(found, dict) else None
    return found


class _Filter:
    """A recursive descent over ``or``, ``and``, ``not``, comparisons, ``startswith``, ``contains`` and ``any``."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.tokens = self._tokens()

    def _tokens(self) -> list[tuple[str, str]]:
        found, at = [], 0
        while at < len(self.text.rstrip()):
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise self._refused()
            found.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()
        return found

    def _refused(self) -> GraphError:
        return bad_request(f"Invalid filter clause: {self.text[:200]}", "RequestBroker--ParseUri")

    def test(self) -> Test:
        found = self._either()
        if self.at != len(self.tokens):
            raise self._refused()
        return found

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _take(self, *expected: str) -> tuple[str, str]:
        if self.at >= len(self.tokens) or (expected and self._peek() not in expected):
            raise self._refused()
        self.at += 1
        return self.tokens[self.at - 1]

    def _either(self) -> Test:
        left = self._both()
        while self._peek() == "or":
            self._take()
            left = _or(left, self._both())
        return left

    def _both(self) -> Test:
        left = self._one()
        while self._peek() == "and":
            self._take()
            left = _and(left, self._one())
        return left

    def _one(self) -> Test:
        if self._peek() == "(":
            self._take()
            inner = self._either()
            self._take(")")
            return inner
        kind, word = self._take()
        if kind != "word":
            raise self._refused()
        if word == "not":
            inner = self._one()
            return lambda item: not inner(item)
        if word.lower() in ("startswith", "contains"):
            return self._function(word.lower())
        if word.lower().endswith("/any"):
            return self._any(word[:-4])
        return self._comparison(self._known(word))

    def _known(self, path: str) -> str:
        if path not in _FILTERABLE:
            raise GraphError(
                400, "ErrorInvalidProperty", f"The property '{path}' does not support filtering."
            )
        return path

    def _function(self, name: str) -> Test:
        self._take("(")
        path = self._known(self._take()[1])
        self._take(",")
        kind, literal = self._take()
        self._take(")")
        if kind != "text":
            raise self._refused()
        part = _text(literal).lower()
        if name == "startswith":
            return lambda item: str(value_at(item, path) or "").lower().startswith(part)
        return lambda item: part in str(value_at(item, path) or "").lower()

    def _comparison(self, path: str) -> Test:
        sign = self._take("eq", "ne", "ge", "gt", "le", "lt")[1]
        kind, literal = self._take()
        wanted = _literal(kind, literal)

        def test(item: Json) -> bool:
            return _compare(sign, value_at(item, path), wanted)

        return test

    def _any(self, path: str) -> Test:
        """``categories/any(c:c eq 'x')``, ``singleValueExtendedProperties/any(p: p/id eq 'i' and p/value eq 'v')``."""
        if path not in (EXTENDED, "categories"):
            raise GraphError(
                400, "ErrorInvalidProperty", f"The property '{path}' does not support filtering."
            )
        self._take("(")
        name = self._take()[1]
        self._take(":")
        wanted: dict[str, str] = {}
        while True:
            member = self._take(name, f"{name}/id", f"{name}/value")[1].removeprefix(name).lstrip("/")
            self._take("eq")
            kind, literal = self._take()
            if kind != "text":
                raise self._refused()
            wanted[member] = _text(literal)
            if self._peek() != "and":
                break
            self._take()
        self._take(")")
        if path == "categories":
            return lambda item: wanted.get("", "") in item.get("categories", ())
        if wanted.keys() != {"id", "value"}:
            raise self._refused()
        return lambda item: any(
            part["id"].lower() == wanted["id"].lower() and part["value"] == wanted["value"]
            for part in item.get(EXTENDED, ())
        )


def _and(left: Test, right: Test) -> Test:
    return lambda item: left(item) and right(item)


def _or(left: Test, right: Test) -> Test:
    return lambda item: left(item) or right(item)


def _text(literal: str) -> str:
    return literal[1:-1].replace("''", "'")


def _literal(kind: str, literal: str) -> Any:
    if kind == "text":
        return _text(literal)
    if kind == "number":
        return int(literal)
    if kind == "word":
        return {"true": True, "false": False, "null": None}.get(literal, literal)
    return literal


def _compare(sign: str, found: Any, wanted: Any) -> bool:
    if isinstance(found, str) and isinstance(wanted, str) and (first := _instant(found)) is not None:
        second = _instant(wanted)
        if second is None:
            raise bad_request(
                f"Invalid filter clause: '{wanted}' is no date and time.", "RequestBroker--ParseUri"
            )
        found, wanted = first, second
    if sign in ("eq", "ne"):
        return bool(found == wanted) is (sign == "eq")
    if found is None or type(found) is not type(wanted):
        return False
    return bool(
        {"ge": found >= wanted, "gt": found > wanted, "le": found <= wanted, "lt": found < wanted}[sign]
    )


def _instant(text: str) -> datetime | None:
    if not re.match(r"^\d{4}-\d\d-\d\d(T|$)", text):
        return None
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
