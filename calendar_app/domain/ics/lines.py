"""iCalendar text as components and content lines (RFC 5545 §3.1), and no further.

Our own reader and not the ``icalendar`` library's, because files come from strangers: a fault must cost one component
and not the file, no text may take long (the library hands VTIMEZONE rules to an unbounded expansion), and a first sync
reads tens of thousands of events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_DEPTH = 8
MAX_COMPONENTS = 100_000
MAX_LINES = 600_000
MAX_PARAMS = 65_536  # characters of a line up to its value


class CalendarFileError(ValueError):
    """The text as a whole cannot be used; the message is one sentence for people.

    CalendarFileError
    ├── NotACalendar   no iCalendar, or so broken that nothing of it can be used
    └── TooLarge       more bytes, components or nesting than a calendar has
    """


class NotACalendar(CalendarFileError):
    """The text is no iCalendar, or nothing of it can be used."""


class TooLarge(CalendarFileError):
    """The text exceeds a bound."""


class FaultyLine(ValueError):
    """A content line, ``text``, does not follow the grammar; ``name`` is what stands where its name should."""

    def __init__(self, text: str) -> None:
        super().__init__(f"a line cannot be read: {text[:40]!r}")
        self.text = text
        self.name = re.split("[;:= ]", text.strip(), maxsplit=1)[0].upper()


class Line(NamedTuple):
    """A content line: upper-case name, parameters by upper-case name (first value only), value as written."""

    name: str
    params: dict[str, str]
    value: str


@dataclass(slots=True)
class Component:
    """A ``BEGIN``…``END`` block: its own lines, still as text, and the blocks inside it.

    ``at`` is the number of its BEGIN among the text's unfolded lines, from 0; the file's own line is told by
    :func:`written_lines`.
    """

    name: str
    lines: list[str] = field(default_factory=list)
    children: list[Component] = field(default_factory=list)
    closed: bool = False
    at: int = 0

    def properties(self) -> Iterator[Line | FaultyLine]:
        """Each line, parsed, or the fault that keeps it from being."""
        for text in self.lines:
            try:
                yield parse_line(text)
            except FaultyLine as fault:
                yield fault

    def value(self, name: str) -> str:
        """The value of the first property with that upper-case name, or an empty string."""
        for line in self.properties():
            if isinstance(line, Line) and line.name == name:
                return line.value
        return ""


SIBLINGS = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE"})
_PARAM = r'[ \t]*;[ \t]*([A-Za-z0-9-]+)[ \t]*=[ \t]*((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*)'
_PARAM_PATTERN = re.compile(_PARAM)
_NAME_PATTERN = re.compile(r"[ \t]*([A-Za-z0-9-]+)[ \t]*")
_FOLD = re.compile(r"\n[ \t]")
_ESCAPE = re.compile(r"\\([nN\\,;:\"])")


def parse_line(text: str) -> Line:
    """The parts of an unfolded content line. :raises FaultyLine: where it does not follow RFC 5545 §3.1."""
    match = _NAME_PATTERN.match(text)
    if match is None:
        raise FaultyLine(text)
    name, at = match[1].upper(), match.end()
    params: dict[str, str] = {}
    while (match := _PARAM_PATTERN.match(text, at, MAX_PARAMS)) is not None:
        params.setdefault(match[1].upper(), match[2].strip().strip('"'))
        at = match.end()
    if text[at : at + 1] != ":":
        raise FaultyLine(text)
    return Line(name, params, text[at + 1 :])


def unescape(text: str) -> str:
    """A TEXT value as people read it (RFC 5545 §3.3.11)."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], text)


def decode(data: str | bytes, max_bytes: int) -> str:
    """The text of a file: UTF-8, or Latin-1 where it is not valid UTF-8.

    :raises TooLarge: beyond ``max_bytes``. :raises NotACalendar: for binary data.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"The calendar is larger than {max_bytes // 2**20} MiB.")
    if isinstance(data, str):
        text = data
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if data[:2] == b"\x1f\x8b":
        raise NotACalendar("The file is compressed (gzip): unpack it first.")
    if "\0" in text:
        raise NotACalendar("The file is not a calendar: it holds binary data.")
    return text.lstrip("\ufeff")


def written_lines(text: str) -> list[int]:
    """For each unfolded line of a text (:attr:`Component.at`) the line of the file that it begins in, from 1."""
    physical = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [number for number, line in enumerate(physical, 1) if number == 1 or line[:1] not in (" ", "\t")]


def components(text: str) -> list[Component]:
    """The outermost components of a text. One that the text does not close is kept with ``closed`` false.

    A misspelt END closes the innermost component, and a VEVENT (or VTODO, …) never lies inside another: where it seems
    to, the other has lost its END.

    :raises NotACalendar: for a text that begins otherwise.
    :raises TooLarge: for more than :data:`MAX_COMPONENTS` or :data:`MAX_LINES`, or nesting deeper than
        :data:`MAX_DEPTH`.
    """
    found: list[Component] = []
    stack: list[Component] = []
    number = 0
    text = _FOLD.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise TooLarge(f"The calendar has more than {MAX_LINES:,} lines.")
    for at, line in enumerate(lines):
        if not line or line.isspace():
            continue
        if line[:6].upper() == "BEGIN:":
            component = Component(line[6:].strip().upper(), at=at)
            number += 1
            if number > MAX_COMPONENTS or len(stack) >= MAX_DEPTH:
                raise TooLarge("The calendar has too many or too deeply nested parts.")
            if component.name in SIBLINGS:
                del stack[1 if stack and stack[0].name == "VCALENDAR" else 0 :]
            (stack[-1].children if stack else found).append(component)
            stack.append(component)
        elif not stack:
            if not found:
                raise NotACalendar("The file is not a calendar.")
        elif line[:4].upper() == "END:":
            name = line[4:].strip().upper()
            depth = next((at for at in reversed(range(len(stack))) if stack[at].name == name), len(stack) - 1)
            stack[depth].closed = True
            del stack[depth:]
        else:
            stack[-1].lines.append(line)
    return found
