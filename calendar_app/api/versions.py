"""``ETag`` and ``If-Match``: nobody overwrites what they have not seen (RFC 9110 sections 8.8.3 and 13.1.1).

An answer that shows one object carries its version::

    @router.get("/schedules/{schedule_id}")
    def get_schedule(..., tag: Tag) -> ScheduleOut:
        return tag(ScheduleOut(...))

and who changes it may name the version that they saw. The check is made by the service inside its transaction, with the
row locked, so that of two requests with the same version one wins::

    @router.patch("/schedules/{schedule_id}")
    def update_schedule(..., unless_changed: IfMatch, tag: Tag) -> ScheduleOut:
        return tag(shown(update(..., check=unless_changed.check_for(shown))))

Without the header nothing is checked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Header, Response
from pydantic import BaseModel

from calendar_app.errors import InvalidInput, VersionMismatch

View = TypeVar("View")


def etag(shown: Any) -> str:
    """The version of what is shown, as an entity tag."""
    if isinstance(shown, BaseModel):
        content = shown.model_dump(mode="json")
    else:
        content = asdict(shown) if is_dataclass(shown) and not isinstance(shown, type) else shown
    written = orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str)
    return f'"{hashlib.sha256(written).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class Tagger:
    """Puts the version of what it is called with into the answer's ``ETag``."""

    response: Response

    def __call__(self, shown: View) -> View:
        self.response.headers["ETag"] = etag(shown)
        return shown


@dataclass(frozen=True, slots=True)
class Condition:
    """The versions of which one has to be the present one; ``None``: whichever it is."""

    versions: tuple[str, ...] | None

    def check(self, shown: Any) -> None:
        """:raises VersionMismatch: the object as it stands is none of the versions."""
        if self.versions is not None and etag(shown) not in self.versions:
            raise VersionMismatch("Read it again: its version is another one now.")

    def check_for(self, show: Callable[[Any], Any]) -> Callable[[Any], None] | None:
        """What a service calls, inside its transaction, with its view of the object as it stands."""
        if self.versions is None:
            return None
        return lambda view: self.check(show(view))


def tag(response: Response) -> Tagger:
    """The dependency behind :data:`Tag`."""
    return Tagger(response)


def of_request(
    if_match: Annotated[
        str | None, Header(description="The `ETag` of the version that you change", max_length=2_000)
    ] = None,
) -> Condition:
    """The dependency behind :data:`IfMatch`. :raises InvalidInput: the header is no list of entity tags."""
    if if_match is None or if_match.strip() == "*":
        return Condition(None)
    tags = tuple(part.strip() for part in if_match.split(","))
    if not all(
        each.removeprefix("W/").startswith('"') and each.endswith('"') and len(each) > 1 for each in tags
    ):
        raise InvalidInput("If-Match is a list of entity tags in double quotes.", field="if-match")
    return Condition(tags)


Tag = Annotated[Tagger, Depends(tag)]
IfMatch = Annotated[Condition, Depends(of_request)]
