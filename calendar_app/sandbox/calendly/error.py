"""Calendly's error answers, as one exception: ``{"title", "message", "details": [{"parameter", "message"}]}``.

Titles and messages: https://developer.calendly.com/api-docs (the answers of each endpoint).
"""

from __future__ import annotations

from starlette.responses import JSONResponse


class CalendlyError(Exception):
    """``parameter`` names what is wrong in the request, where one thing is."""

    def __init__(
        self, status: int, title: str, message: str, *, parameter: str = "", detail: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, object] = {"title": title, "message": message}
        if detail:
            named = {"parameter": parameter} if parameter else {}
            self.body["details"] = [{**named, "message": detail}]

    def response(self) -> JSONResponse:
        return JSONResponse(self.body, self.status)


def invalid(detail: str, parameter: str = "") -> CalendlyError:
    """400."""
    return CalendlyError(
        400, "Invalid Argument", "The supplied parameters are invalid.", parameter=parameter, detail=detail
    )


def unauthenticated() -> CalendlyError:
    """401."""
    return CalendlyError(401, "Unauthenticated", "The access token is invalid")


def denied(message: str = "You do not have permission") -> CalendlyError:
    """403."""
    return CalendlyError(403, "Permission Denied", message)


def not_found() -> CalendlyError:
    """404."""
    return CalendlyError(404, "Resource Not Found", "The server could not find the requested resource.")


def already_exists() -> CalendlyError:
    """409."""
    return CalendlyError(409, "Already Exists", "Hook with this url already exists")
