"""Google's error answers, as one exception.

Shape and texts: https://developers.google.com/workspace/calendar/api/guides/errors. A handler raises
:class:`GoogleError`; the HTTP layer turns it into
``{"error": {"code", "message", "errors": [{"domain", "reason", "message", "location", "locationType"}]}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse


class GoogleError(Exception):
    """``reason`` is Google's machine word, ``location`` the parameter or header at fault (``location_type``)."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: str = "",
        location_type: str = "parameter",
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})
        item = {"domain": domain, "reason": reason, "message": message}
        if location:
            item |= {"locationType": location_type, "location": location}
        self.body = {"error": {"code": status, "message": message, "errors": [item], **(extra or {})}}

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status, headers=self.headers)


def invalid(message: str, location: str = "") -> GoogleError:
    """400: a value that Google does not take."""
    return GoogleError(400, "invalid", message, location=location)


def required(message: str) -> GoogleError:
    """400: something that must be there is missing."""
    return GoogleError(400, "required", message)


def not_found() -> GoogleError:
    """404: missing, or another account's."""
    return GoogleError(404, "notFound", "Not Found")


def time_range_empty(location: str = "timeMax") -> GoogleError:
    """400: an end that is not after its start."""
    return GoogleError(
        400, "timeRangeEmpty", "The specified time range is empty.", domain="calendar", location=location
    )


def full_sync_required() -> GoogleError:
    """410: the sync token is expired or unknown; the client starts again without one."""
    return GoogleError(
        410,
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        domain="calendar",
        location="syncToken",
    )


def condition_not_met() -> GoogleError:
    """412: ``If-Match`` names another version than the present one."""
    return GoogleError(
        412, "conditionNotMet", "Precondition Failed", location="If-Match", location_type="header"
    )
